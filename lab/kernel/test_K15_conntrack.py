# SPDX-License-Identifier: Apache-2.0
"""K15: both legs have the same five-tuple; what does conntrack make of it?

    cli:p ══ leg one ══ gw ══ leg two ══ srv:80       one entry: cli:p -> srv:80

Leg two's SYN is taken for a reopening, and once the server has acknowledged
it the entry follows leg two's sequence numbers.  Leg one is then judged by
them: what lies ahead of leg two's window is `ct state invalid`, what lies
behind is let pass as an old duplicate.  The client's initial sequence number
is random, so about half of all flows are invalid, in both directions, and
stop for ever where invalid packets are dropped in prerouting, input or
output.  In forward such a rule harms nothing: relayed flows do not go there.
Cures: notrack for leg one in both directions, a zone for leg one, or
nf_conntrack_tcp_be_liberal.  UDP has no sequence numbers and no trouble.  IPv6
as IPv4.

A trap of testing: the kernel derives initial sequence numbers from the
four-tuple and one secret for all its namespaces, so in a lab on one machine
both legs begin alike and all seems well.  Here TCP_REPAIR sets the numbers.
"""

import itertools
import socket

import pytest

from endings import assert_alive, end_of, finish
from kernel.sockets import (
    accept,
    datagram_listener,
    interception,
    leg,
    listener,
    packets,
    table,
    transparent,
)
from probe import original_destination
from wait import wait_for

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
SEND_QUEUE, REPAIR_OFF_NO_PROBE = 2, -1
LOW, HIGH = 5, 1 << 30
AHEAD, BEHIND, ALIKE = (HIGH, LOW), (LOW, HIGH), (LOW, LOW)  # leg one, leg two
client_ports = itertools.count(20000)
DATA = b"x" * 3000

INVALID = """
    counter invalid {{ }}
    chain judge {{
        type filter hook {hook} priority filter;
        ct state invalid th sport {port} counter name invalid {verdict}
        ct state invalid th dport {port} counter name invalid {verdict}
    }}
    {more}
"""

BOTH_DIRECTIONS = """
    chain from_client {{
        type filter hook prerouting priority raw;
        iifname "lan0" {statement}
    }}
    chain to_client {{
        type filter hook output priority raw;
        oifname "lan0" {statement}
    }}
"""


@pytest.fixture(autouse=True)
def intercepted(lab, resources):
    resources.enter_context(interception(lab.gw))
    lab.gw.run("conntrack", "-F")


@pytest.fixture
def port() -> int:
    """Of the client; what an earlier flow still repeats has another one."""
    return next(client_ports)


@pytest.fixture
def judge(lab, resources, port):
    """judge("input", "drop"): what becomes of this flow's invalid packets."""

    def add(hook: str, verdict: str = "", more: str = "") -> None:
        body = INVALID.format(hook=hook, verdict=verdict, more=more, port=port)
        resources.enter_context(table(lab.gw, "judge", body))

    return add


def count_invalid(lab) -> int:
    return packets(lab.gw, "judge", "invalid")


def start_at(s: socket.socket, sequence: int) -> None:
    for name, value in (
        (TCP_REPAIR, 1),
        (TCP_REPAIR_QUEUE, SEND_QUEUE),
        (TCP_QUEUE_SEQ, sequence),
        (TCP_REPAIR, REPAIR_OFF_NO_PROBE),
    ):
        s.setsockopt(socket.IPPROTO_TCP, name, value)


class Flow:
    """client == one, two == server; each end in our hands."""

    def __init__(self, lab, family, resources, port, sequences):
        keep = resources.enter_context
        to_server = keep(lab.srv.listen(family, 80))
        intercepting = keep(listener(lab.gw, family))
        client = keep(lab.cli.new_socket(family, socket.SOCK_STREAM, port))
        start_at(client, sequences[0])
        client.connect(to_server.getsockname())
        one = keep(accept(intercepting))
        two = keep(transparent(lab.gw, family))
        two.bind(one.getpeername()[:2])
        start_at(two, sequences[1])
        two.connect(one.getsockname())
        self.client, self.one, self.two = client, one, two
        self.server = keep(accept(to_server))
        there = [(client, one), (two, self.server)]
        back = [(self.server, two), (one, client)]
        self.hops = there + back

    def assert_works(self) -> None:
        """Data each way, then an orderly end."""
        for sender, to in self.hops:
            sender.sendall(DATA)
            assert to.recv(len(DATA), socket.MSG_WAITALL) == DATA
        for sender, to in self.hops:
            finish(sender)
            assert end_of(to) == "fin"


@pytest.fixture
def flow(lab, family, resources, port):
    return lambda sequences: Flow(lab, family, resources, port, sequences)


# --- is it invalid? -----------------------------------------------------------


@pytest.mark.parametrize("hook", ["prerouting", "input", "output"])
@pytest.mark.parametrize(
    "sequences, is_invalid",
    [(AHEAD, True), (BEHIND, False), (ALIKE, False)],
    ids=["ahead", "behind", "alike"],
)
def test_leg_one_ahead_of_leg_two_is_invalid(
    lab, flow, judge, hook, sequences, is_invalid
):
    judge(hook)
    flow(sequences).assert_works()
    assert bool(count_invalid(lab)) == is_invalid


# --- with a rule that drops ---------------------------------------------------


def assert_stopped(lab, sender: socket.socket, to: socket.socket) -> None:
    before = count_invalid(lab)
    sender.sendall(DATA)
    wait_for("a repetition is dropped too", lambda: count_invalid(lab) > before + 2)
    to.setblocking(False)
    with pytest.raises(BlockingIOError):
        to.recv(1)


@pytest.mark.parametrize("hook", ["prerouting", "input"])
def test_dropping_invalid_stops_the_client(lab, flow, judge, hook):
    judge(hook, "drop")
    stopped = flow(AHEAD)
    assert_stopped(lab, stopped.client, stopped.one)
    assert_alive(stopped.two, stopped.server)


def test_dropping_invalid_stops_what_goes_to_the_client(lab, flow, judge):
    judge("output", "drop")
    stopped = flow(AHEAD)
    assert_stopped(lab, stopped.one, stopped.client)
    assert_alive(stopped.two, stopped.server)


def test_dropping_invalid_in_forward_harms_nothing(lab, flow, judge):
    judge("forward", "drop")
    flow(AHEAD).assert_works()
    assert count_invalid(lab) == 0


# --- cures --------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["prerouting", "input", "output"])
@pytest.mark.parametrize("statement", ["notrack", "ct zone set 1"])
def test_leg_one_apart_cures_it(lab, flow, judge, hook, statement):
    judge(hook, "drop", BOTH_DIRECTIONS.format(statement=statement))
    flow(AHEAD).assert_works()
    assert count_invalid(lab) == 0


@pytest.mark.parametrize("hook", ["prerouting", "input", "output"])
def test_liberal_conntrack_cures_it(lab, flow, judge, resources, hook):
    liberal = {"net.netfilter.nf_conntrack_tcp_be_liberal": 1}
    resources.enter_context(lab.gw.sysctls(liberal))
    judge(hook, "drop")
    flow(AHEAD).assert_works()


# --- UDP ----------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["prerouting", "input", "output"])
def test_udp_is_never_invalid(lab, family, judge, resources, port, hook):
    judge(hook, "drop")
    keep = resources.enter_context
    client = keep(lab.cli.udp(family, port))
    server = keep(lab.srv.udp(family, 5000))
    one = keep(datagram_listener(lab.gw, family))
    client.sendto(b"question", server.getsockname())
    data, ancillary, _, peer = one.recvmsg(100, 100)
    to = original_destination(ancillary)
    two = keep(leg(lab.gw, peer, to, socket.SOCK_DGRAM))
    two.sendall(data)
    server.sendto(b"answer", server.recvfrom(100)[1])
    keep(leg(lab.gw, to, peer, socket.SOCK_DGRAM)).sendall(two.recv(100))
    assert client.recv(100) == b"answer"
    assert count_invalid(lab) == 0
