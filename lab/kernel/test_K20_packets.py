# SPDX-License-Identifier: Apache-2.0
"""K20: does interception work for every kind of packet?

    cli ── IPv6 extension header, link-local source, TSO... ── gw: tproxy ── srv

IPv6 extension headers before TCP and UDP do not matter to tproxy and `meta
l4proto`; `ip6 nexthdr` sees the extension header instead.  A client with a
link-local address is intercepted; its name is only complete with the scope id,
without it bind() is EINVAL, and a leg in its name reaches no server behind
another device (ENETUNREACH), where a router would not forward it either.
Segments joined by TSO or GRO and checksums left to the device change nothing.
IPv6 as IPv4.

Next: test_K20_devices.py.
"""

import socket
from collections.abc import Iterator

import pytest

from endings import assert_alive, assert_stream_arrives
from kernel.sockets import (
    accept,
    assert_datagram_is_relayed,
    datagram_listener,
    interception,
    leg,
    listener,
    outcome,
    packets,
    table,
    transparent,
)
from namespace import Namespace
from probe import BLOCK, original_destination
from topology import Lab

MTU_MAX = 65535
COUNT = 4 << 20
SERVER_PORT = 5000

# --- IPv6 extension headers ---------------------------------------------------

PADDING = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # 8 bytes: an option PadN
EXTENSIONS = pytest.mark.parametrize(
    "option, name",
    [(socket.IPV6_HOPOPTS, "hbh"), (socket.IPV6_DSTOPTS, "dst")],
    ids=["hop-by-hop", "destination"],
)
SEEN = """
    counter extended {{ }}
    counter nexthdr {{ }}
    chain look {{
        type filter hook prerouting priority raw;
        iifname != "lan0" accept
        meta l4proto != {{ tcp, udp }} accept
        exthdr {name} exists counter name extended
        ip6 nexthdr {{ tcp, udp }} counter name nexthdr
    }}
"""


@pytest.fixture
def extended(lab, resources):
    """A client's socket whose packets all have this header."""

    def make(kind: int, option: int, name: str) -> socket.socket:
        resources.enter_context(table(lab.gw, "seen", SEEN.format(name=name)))
        resources.enter_context(interception(lab.gw))
        s = resources.enter_context(lab.cli.new_socket("v6", kind))
        s.setsockopt(socket.IPPROTO_IPV6, option, PADDING)
        s.bind((lab.cli.v6, 0))
        return s

    return make


def assert_only_l4proto_saw_it(lab) -> None:
    assert packets(lab.gw, "seen", "extended") > 0
    assert packets(lab.gw, "seen", "nexthdr") == 0


@EXTENSIONS
def test_tcp_behind_an_extension_header(lab, extended, resources, option, name):
    client = extended(socket.SOCK_STREAM, option, name)
    intercepting = resources.enter_context(listener(lab.gw, "v6"))
    client.connect((lab.srv.v6, 80))
    one = resources.enter_context(accept(intercepting))
    assert one.getsockname()[:2] == (lab.srv.v6, 80)
    assert_alive(client, one)
    assert_only_l4proto_saw_it(lab)


@EXTENSIONS
def test_udp_behind_an_extension_header(lab, extended, resources, option, name):
    client = extended(socket.SOCK_DGRAM, option, name)
    server = resources.enter_context(lab.srv.udp("v6", SERVER_PORT))
    at_gateway = resources.enter_context(datagram_listener(lab.gw, "v6"))
    assert_datagram_is_relayed(lab.gw, client, at_gateway, server)
    assert_only_l4proto_saw_it(lab)


# --- link-local clients -------------------------------------------------------


def index_of(namespace: Namespace, ifname: str) -> int:
    with namespace.inside():
        return socket.if_nametoindex(ifname)


@pytest.fixture
def link_local(lab) -> str:
    words = ("-6", "-o", "address", "show", "dev", "eth0", "scope", "link")
    return lab.cli.ip(*words).split()[3].split("/")[0]


@pytest.fixture
def local_client(lab, link_local, resources):
    resources.enter_context(interception(lab.gw))

    def make(kind: int, port: int) -> socket.socket:
        s = resources.enter_context(lab.cli.new_socket("v6", kind))
        s.bind((link_local, port, 0, index_of(lab.cli, "eth0")))
        return s

    return make


def test_link_local_tcp_client(lab, link_local, local_client, resources):
    intercepting = resources.enter_context(listener(lab.gw, "v6"))
    client = local_client(socket.SOCK_STREAM, 20000)
    client.connect((lab.srv.v6, 80))
    one = resources.enter_context(accept(intercepting))
    lan0 = index_of(lab.gw, "lan0")
    assert one.getpeername() == (link_local, 20000, 0, lan0)
    assert_alive(client, one)


def test_link_local_udp_client(lab, local_client, resources):
    client = local_client(socket.SOCK_DGRAM, 20001)
    at_gateway = resources.enter_context(datagram_listener(lab.gw, "v6"))
    client.sendto(b"question", (lab.srv.v6, SERVER_PORT))
    data, ancillary, _, peer = at_gateway.recvmsg(100, 100)
    assert peer[3] == index_of(lab.gw, "lan0")
    to = original_destination(ancillary)
    back = transparent(lab.gw, "v6", socket.SOCK_DGRAM)
    with back:
        back.bind(to)
        back.connect(peer)
        back.send(data)
    assert client.recvfrom(100)[0] == b"question"


def test_link_local_name_needs_its_scope(lab, link_local, resources):
    lan0 = index_of(lab.gw, "lan0")
    for name, expected in (
        ((link_local, 20002), "EINVAL"),
        ((link_local, 20002, 0, lan0), ""),
    ):
        s = resources.enter_context(transparent(lab.gw, "v6"))
        assert outcome(s.bind, name) == expected
    assert outcome(s.connect, (lab.srv.v6, 80)) == "ENETUNREACH"


# --- offloads -----------------------------------------------------------------

OFFLOADS = {
    "all": "gro on tso on gso on tx on",
    "none": "gro off tso off gso off tx off",
    "gro alone": "gro on tso off gso off tx on",
    "no checksums": "gro on tx off",
}
OVERSIZED = """
    counter oversized { }
    chain look {
        type filter hook prerouting priority raw;
        iifname "lan0" meta length > 1500 counter name oversized
    }
"""


@pytest.fixture(scope="module", params=OFFLOADS)
def offloads(request, lab) -> Iterator[str]:
    """The same on all links of the path; back to `all` at the end."""
    set_offloads(lab, OFFLOADS[request.param])
    yield request.param
    set_offloads(lab, OFFLOADS["all"])


def set_offloads(lab: Lab, words: str) -> None:
    for namespace, ifname in (
        *((lab.cli, "eth0"), (lab.gw, "lan0")),
        *((lab.gw, "wan0"), (lab.srv, "eth0")),
    ):
        namespace.run("ethtool", "-K", ifname, *words.split())


def test_tcp_with_offloads(lab, offloads, family, resources):
    keep = resources.enter_context
    keep(interception(lab.gw))
    keep(table(lab.gw, "seen", OVERSIZED))
    to_server = keep(lab.srv.listen(family, 80))
    intercepting = keep(listener(lab.gw, family))
    client = keep(lab.cli.connect(to_server.getsockname()))
    one = keep(accept(intercepting))
    two = keep(leg(lab.gw, one.getpeername(), one.getsockname()))
    server = keep(accept(to_server))
    for a, b in ((client, one), (two, server), (server, two), (one, client)):
        assert_stream_arrives(a, b, COUNT)
    oversized = packets(lab.gw, "seen", "oversized")
    if offloads in ("all", "none"):
        assert bool(oversized) == (offloads == "all"), "the switches do something"


@pytest.mark.parametrize("size", [1452, 8000])
def test_udp_with_offloads(lab, offloads, family, resources, size):
    keep = resources.enter_context
    keep(interception(lab.gw))
    server = keep(lab.srv.udp(family, SERVER_PORT))
    at_gateway = keep(datagram_listener(lab.gw, family))
    client = keep(lab.cli.udp(family, 20000))
    client.sendto(BLOCK[:size], server.getsockname())
    data, _, _, peer = at_gateway.recvmsg(MTU_MAX, 100)
    assert data == BLOCK[:size]
    two = keep(leg(lab.gw, peer, server.getsockname(), socket.SOCK_DGRAM))
    two.send(data)
    assert server.recv(MTU_MAX) == BLOCK[:size]
