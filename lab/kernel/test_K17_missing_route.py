# SPDX-License-Identifier: Apache-2.0
"""K17: where do packets go when the rule or the local route is gone?

ANSWER: a packet with a listener on it (bpf_sk_assign, nft, xt) that routing
wants to forward is dropped by the kernel: loss, never a leak.  A packet that
has only the mark is forwarded to the server.  Dropping our mark at TC egress
of the way out, or in the forward hook, stops it, and does not disturb a
working interception, also on the clients' own interface.

Of a flow that is running, marked-only packets are lost as well: early demux
finds their socket, and what has a socket is not forwarded.  Only with
ip_early_demux=0 they leak, and the server's RST ends the client.  If instead
the marking ends and the route stays, early demux goes on delivering from the
route the socket remembers.

Where only the listener is gone, IPv6 refuses (RST, port unreachable), IPv4 is
silent: it answers from no address that is not its own, if no socket asks.
"""

import errno
import json
import select
import socket
from dataclasses import dataclass

import pytest

from endings import assert_alive, end_of
from kernel.bpf import IP, KINDS, Interception, route_words, rule_words
from wait import wait_for

FENCE_PORT = 9
ASSIGNING = ("assign", "nft", "xt_nft", "xt_legacy")
NO_EARLY_DEMUX = {"net.ipv4.ip_early_demux": 0}  # IPv6 obeys it as well
EGRESS_DROP = ("egress wan0 drop_marked", "egress lan0 drop_marked")
FORWARD_DROP = """
table inet guard {
    counter taken { }
    chain forward {
        type filter hook forward priority filter;
        meta mark & 0x10 == 0x10 counter name taken drop
    }
}
"""
WITNESS = """
table inet witness
delete table inet witness
table inet witness {
    counter taken { }
    chain prerouting {
        type filter hook prerouting priority raw;
        meta l4proto { tcp, udp } th sport %d th dport 80 counter name taken
    }
}
"""


def counted(host, table: str) -> int:
    words = ("nft", "-j", "list", "counter", "inet", table, "taken")
    return json.loads(host.run(*words).stdout)["nftables"][1]["counter"]["packets"]


@pytest.fixture
def guard(lab):
    """The drop in forward; called, it says how many it took."""
    lab.gw.nft(FORWARD_DROP)
    yield lambda: counted(lab.gw, "guard")
    lab.gw.nft("delete table inet guard")


@pytest.fixture(params=["rule", "route"])
def remove(request, lab):
    """remove("v4"): the rule, or the route it leads to."""

    def now(family: str) -> None:
        words = rule_words("del")
        if request.param == "route":
            words = route_words("del", family)
        lab.gw.run(*IP[family], *words)

    return now


class Witness:
    """At srv: what arrives for its port 80 from one client port."""

    def __init__(self, lab, client: socket.socket):
        self._host = lab.srv
        self._host.nft(WITNESS % client.getsockname()[1])

    def seen(self) -> int:
        return counted(self._host, "witness")


class Attempt:
    """One SYN or datagram to port 80 of srv; how much of it srv saw."""

    def __init__(self, lab, fence, family: str, protocol: str):
        self.client = lab.cli.new_socket(family, KINDS[protocol])
        self.client.bind((lab.cli.address(family), 0))
        self.client.setblocking(False)
        witness = Witness(lab, self.client)
        self.client.connect_ex((lab.srv.address(family), 80))
        if protocol == "udp":
            self.client.send(b"question")
        if fence:
            fence()
        self.forwarded = witness.seen()

    def is_refused(self) -> bool:
        error = self.client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return error == errno.ECONNREFUSED


@pytest.fixture
def fence(lab, family, resources):
    """On return, all that the client sent before is decided: one wire."""
    end = resources.enter_context(lab.srv.udp(family, FENCE_PORT))
    sender = resources.enter_context(lab.cli.udp(family))

    def cross() -> None:
        sender.sendto(b"fence", end.getsockname()[:2])
        end.recv(100)

    return cross


@pytest.fixture
def attempt(lab, fence, family, resources):
    def now(protocol: str, with_fence: bool = True) -> Attempt:
        made = Attempt(lab, with_fence and fence, family, protocol)
        resources.enter_context(made.client)
        return made

    return now


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("engine", ASSIGNING)
def test_K17_assigned_packets_are_lost(
    intercept, engine, family, protocol, remove, attempt
):
    interception = intercept(engine, family, protocol=protocol)
    remove(family)
    assert attempt(protocol).forwarded == 0
    assert not select.select([interception.listener], [], [], 0)[0]
    if engine == "assign":
        assert interception.programs["assigned"] == 1


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_K17_marked_only_packets_are_forwarded(
    lab, intercept, family, server, protocol, remove, attempt, resources
):
    intercept("hybrid", family, protocol=protocol)
    datagrams = resources.enter_context(lab.srv.udp(family, 80))
    remove(family)
    made = attempt(protocol)
    assert made.forwarded >= 1
    if protocol == "tcp":
        accepted = resources.enter_context(server.accept()[0])
        made.client.setblocking(True)
        assert_alive(made.client, accepted)
    else:
        assert datagrams.recv(100) == b"question"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_K17_a_drop_at_egress_stops_them(
    intercept, family, protocol, remove, attempt
):
    interception = intercept("hybrid", family, *EGRESS_DROP, protocol=protocol)
    remove(family)
    assert attempt(protocol).forwarded == 0
    assert interception.programs["dropped"] == 1


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_K17_a_drop_in_forward_stops_them(
    intercept, family, protocol, remove, attempt, guard
):
    intercept("hybrid", family, protocol=protocol)
    remove(family)
    assert attempt(protocol).forwarded == 0
    assert guard() == 1


def test_K17_the_drops_leave_a_working_interception_alone(
    lab, intercept, family, server, guard, resources
):
    interception = intercept("hybrid", family, *EGRESS_DROP)
    client = resources.enter_context(lab.cli.connect(server.getsockname()[:2]))
    accepted = resources.enter_context(interception.listener.accept()[0])
    assert_alive(client, accepted)
    assert interception.programs["dropped"] == guard() == 0


# --- the listener gone ------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_K17_without_a_listener_only_ipv6_refuses(
    intercept, family, protocol, attempt
):
    interception = intercept("hybrid", family, protocol=protocol)
    interception.listener.close()
    made = attempt(protocol)
    assert made.forwarded == 0
    assert interception.programs["marked"] == 1
    if family == "v6":
        wait_for("a refusal", made.is_refused)
    else:
        assert not made.is_refused()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_K17_from_an_address_of_its_own_the_host_refuses(
    lab, intercept, family, protocol, attempt
):
    """The negative twin: the same packet, the same rule, but it may answer."""
    interception = intercept("hybrid", family, protocol=protocol)
    interception.listener.close()
    where = (lab.srv.address(family), "dev", "lo")
    lab.gw.ip("address", "add", *where)
    try:
        wait_for("a refusal", attempt(protocol, with_fence=False).is_refused)
    finally:
        lab.gw.ip("address", "del", *where)


# --- flows that run already -----------------------------------------------------


@dataclass
class Flow:
    interception: Interception
    client: socket.socket
    accepted: socket.socket
    witness: Witness

    def say(self) -> None:
        self.client.sendall(b"?")


@pytest.fixture
def flow(lab, intercept, family, server, resources):
    """Intercepted, and alive."""
    interception = intercept("hybrid", family)
    client = resources.enter_context(lab.cli.connect(server.getsockname()[:2]))
    accepted = resources.enter_context(interception.listener.accept()[0])
    assert_alive(client, accepted)
    return Flow(interception, client, accepted, Witness(lab, client))


def test_K17_a_running_flow_is_lost(flow, family, remove, fence):
    remove(family)
    flow.say()
    fence()
    assert flow.witness.seen() == 0
    assert not select.select([flow.accepted, flow.client], [], [], 0)[0]


def test_K17_without_early_demux_a_running_flow_leaks(lab, flow, family, remove):
    with lab.gw.sysctls(NO_EARLY_DEMUX):
        remove(family)
        flow.say()
        assert end_of(flow.client) == "rst"
    assert flow.witness.seen() >= 1


def test_K17_without_marks_a_running_flow_goes_on(flow):
    flow.interception.programs.close()
    assert_alive(flow.client, flow.accepted)
    assert flow.witness.seen() == 0


def test_K17_without_marks_and_early_demux_it_leaks(lab, flow):
    flow.interception.programs.close()
    with lab.gw.sysctls(NO_EARLY_DEMUX):
        flow.say()
        assert end_of(flow.client) == "rst"
    assert flow.witness.seen() >= 1
