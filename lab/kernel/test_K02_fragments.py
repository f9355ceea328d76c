# SPDX-License-Identifier: Apache-2.0
"""K2: what becomes of a UDP datagram that comes in fragments?

TC sees every fragment, ports stand in the first only, a socket is looked up
after reassembly.

ANSWER: a listener assigned to the first fragment is lost in reassembly, though
all fragments are delivered here: nobody gets the datagram.  Marked through a
map of (source, destination, id, protocol), with sk_lookup behind, it arrives
whole.  Fragments that come before their first one have no decision, so a
reversed datagram is lost, whether they are dropped or pass (then the server
gets parts that it cannot use).  Only where undecided fragments are marked by
their address alone, a reversed one arrives; nft and xt, which reassemble
first, do not have this question.  With the first fragment lost, nothing.
"""

import itertools
import select

import pytest

from kernel.bpf import counter
from kernel.packets import PacketSender, datagram, fragments
from probe import BLOCK
from wait import wait_for

SIZE = 8192
DATA = BLOCK[:SIZE]
LATER = 5  # fragments after the first
FENCE_PORT = 9
NO_PORTS = {"v4": "UdpNoPorts", "v6": "Udp6NoPorts"}
ORDERS = {
    "in_order": lambda packets: packets,
    "reversed": lambda packets: packets[::-1],
    "first_lost": lambda packets: packets[1:],
}
PASS, DROP, MARK = ("set undecided_action %d" % number for number in range(3))

numbers = itertools.count(1)


class Client:
    """Sends fragments in any order, and whole datagrams of one byte."""

    def __init__(self, lab, family: str, resources):
        self._whole = resources.enter_context(lab.cli.udp(family))
        self._whole.bind((lab.cli.address(family), 0))
        self._parts = resources.enter_context(PacketSender(lab.cli, family))
        self._to = (lab.srv.address(family), 80)

    def send(self, order: str) -> None:
        source = self._whole.getsockname()[:2]
        data = datagram(source, self._to, DATA)
        ends = (source[0], self._to[0])
        packets = fragments(*ends, next(numbers), data)
        assert len(packets) == 1 + LATER
        for packet in ORDERS[order](packets):
            self._parts.send(packet, self._to[0])

    def received_before_a_whole_one(self, listener) -> list[bytes]:
        """What came of send(): the next datagram shows that no more comes."""
        self._whole.sendto(b".", self._to)
        return [*iter(lambda: listener.recv(1 << 16), b".")]

    def fence(self, end) -> None:
        """srv has all that was on the way to it."""
        self._whole.sendto(b"fence", end.getsockname()[:2])
        end.recv(100)


@pytest.fixture
def client(lab, family, resources):
    return Client(lab, family, resources)


@pytest.fixture
def server(lab, family, resources):
    return resources.enter_context(lab.srv.udp(family, 80))


@pytest.fixture
def fence_end(lab, family, resources):
    return resources.enter_context(lab.srv.udp(family, FENCE_PORT))


def test_K02_assigned_to_the_first_fragment_is_lost(lab, intercept, family, client):
    interception = intercept("fragments_assign", family, protocol="udp")
    before = counter(lab.gw, NO_PORTS[family])
    client.send("in_order")
    assert client.received_before_a_whole_one(interception.listener) == []
    assert counter(lab.gw, NO_PORTS[family]) == before + 1
    programs = interception.programs
    assert programs["first_fragments"] == 1
    assert programs["later_fragments"] == LATER
    assert programs["undecided"] == programs["refused"] == 0
    assert programs["assigned"] == 2  # the first fragment and the whole one


def test_K02_marked_by_the_map_it_arrives(intercept, family, client):
    interception = intercept("fragments_hybrid", family, protocol="udp")
    client.send("in_order")
    assert client.received_before_a_whole_one(interception.listener) == [DATA]
    assert interception.programs["undecided"] == 0


def test_K02_without_sk_lookup_the_map_is_not_enough(
    lab, intercept, toolbox, family, client, resources
):
    """The negative twin: the same marks, nobody who names the listener."""
    interception = intercept("fragments_hybrid", family, protocol="udp")
    interception.programs.close()
    steps = ("set port 80", "ingress lan0 mark_fragments")
    resources.enter_context(toolbox.start(lab.gw, "steer", *steps))
    before = counter(lab.gw, NO_PORTS[family])
    client.send("in_order")
    wait_for("no socket", lambda: counter(lab.gw, NO_PORTS[family]) == before + 1)
    assert not select.select([interception.listener], [], [], 0)[0]


@pytest.mark.parametrize("order", ["reversed", "first_lost"])
@pytest.mark.parametrize("action", [PASS, DROP])
def test_K02_before_the_first_there_is_no_decision(
    intercept, family, client, order, action, leaks, fence_end
):
    interception = intercept("fragments_hybrid", family, action, protocol="udp")
    client.send(order)
    assert client.received_before_a_whole_one(interception.listener) == []
    assert interception.programs["undecided"] == LATER
    client.fence(fence_end)
    assert leaks.forwarded() == 1 + (LATER if action == PASS else 0)


@pytest.mark.parametrize("order", ORDERS)
def test_K02_marked_by_address_the_order_does_not_matter(
    intercept, family, client, order
):
    interception = intercept("fragments_hybrid", family, MARK, protocol="udp")
    client.send(order)
    expected = [] if order == "first_lost" else [DATA]
    assert client.received_before_a_whole_one(interception.listener) == expected


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("engine", ["nft", "xt_nft", "xt_legacy"])
def test_K02_netfilter_reassembles_first(intercept, engine, family, client, order):
    interception = intercept(engine, family, protocol="udp")
    client.send(order)
    expected = [] if order == "first_lost" else [DATA]
    assert client.received_before_a_whole_one(interception.listener) == expected


@pytest.mark.parametrize("order", ORDERS)
def test_K02_without_an_engine_the_server_gets_it(server, client, order):
    client.send(order)
    expected = [] if order == "first_lost" else [DATA]
    assert client.received_before_a_whole_one(server) == expected
