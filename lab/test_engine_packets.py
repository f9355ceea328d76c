# SPDX-License-Identifier: Apache-2.0
"""Each engine, and packets that are not like most: all are to arrive as sent.

Cookies, fragments, options, extension headers, tags, and errors about packets
of a spoofed leg.  `far` lies behind a path MTU of 1300; see topology.py.
What no kernel should send at all is in test_engine_malformed.py.
"""

import itertools
import re
import socket
from collections.abc import Iterator

import pytest
from kernel.bpf import counter
from kernel.packets import PacketSender, datagram, fragments

from each_engine import gateway  # noqa: F401
from endings import assert_alive, assert_stream_arrives
from probe import BLOCK
from topology import FAR_PATH_MTU, Lab
from wait import wait_for

MEGA = 1 << 20
SIZE = 8192
COOKIES = "TcpExtSyncookiesRecv"  # of IPv6 as well
HEADERS_LEN = {"v4": 20 + 20 + 12, "v6": 40 + 20 + 12}  # with timestamps

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.add_far()
        yield lab


# --- TCP ------------------------------------------------------------------------


def test_K10_a_connection_by_cookie_is_taken(lab, gateway, family, pair):
    with lab.gw.sysctls({"net.ipv4.tcp_syncookies": 2}):
        before = counter(lab.gw, COOKIES)
        ends = pair(family)
        assert counter(lab.gw, COOKIES) - before == int(gateway.is_waylay)
    assert_alive(ends.client, ends.server)
    assert ends.server.getpeername()[:2] == ends.client.getsockname()[:2]


def test_K01_a_client_reopens_what_is_in_time_wait(
    lab, gateway, family, resources, leaks
):
    """The server ends first, so the client leg is in TIME_WAIT at the gateway."""
    listener = resources.enter_context(lab.srv.listen(family, 80))
    to = listener.getsockname()[:2]
    for _ in range(3):
        with lab.cli.connect(to, source_port=20004) as client:
            server, peer = listener.accept()
            with server:
                assert_alive(client, server)
                assert peer[:2] == (lab.cli.address(family), 20004)
            assert client.recv(1) == b""
        if gateway.is_waylay:
            wait_for("TIME_WAIT at the gateway", lambda: waits(lab, 20004))
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def waits(lab, port: int) -> str:
    words = ("-Htan", "state", "time-wait", "dport", "=", f":{port}")
    return lab.gw.run("ss", *words).stdout


def test_K03_the_mss_of_a_spoofed_leg_falls(lab, gateway, family, resources):
    for host, version in itertools.product((lab.gw, lab.cli), ("-4", "-6")):
        host.ip(version, "route", "flush", "cache")
    listener = resources.enter_context(lab.far.listen(family, 80))
    client = resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))
    server, peer = listener.accept()
    resources.enter_context(server)
    server.settimeout(5)
    assert peer[:2] == client.getsockname()[:2]
    sender = lab.gw if gateway.is_waylay else lab.cli
    narrow = FAR_PATH_MTU - HEADERS_LEN[family]
    assert wait_for("a server leg", lambda: mss(sender, lab.far, family)) > narrow
    assert_stream_arrives(client, server, MEGA)
    assert mss(sender, lab.far, family) <= narrow


def mss(sender, to, family: str) -> int:
    """Of the one connection to port 80 there; 0: none."""
    at = to.address(family)
    words = ("dst", f"[{at}]" if family == "v6" else at, "dport", "=", ":80")
    text = sender.run("ss", "-Htin", "state", "established", *words).stdout
    found = re.search(r"\bmss:(\d+)", text)
    return int(found[1]) if found else 0


# --- fragments ------------------------------------------------------------------

ORDERS = {
    "in_order": lambda packets: packets,
    "reversed": lambda packets: packets[::-1],
    "first_lost": lambda packets: packets[1:],
}


@pytest.mark.parametrize("order", ORDERS)
def test_K02_fragments_arrive_in_any_order(
    lab, gateway, family, order, resources, leaks
):
    """The whole datagram of one byte shows that no more comes."""
    server = resources.enter_context(lab.srv.udp(family, 5000))
    whole = resources.enter_context(lab.cli.udp(family, 20010))
    own, to = whole.getsockname()[:2], server.getsockname()[:2]
    data = datagram(own, to, BLOCK[:SIZE])
    packets = fragments(own[0], to[0], next(numbers), data)
    with PacketSender(lab.cli, family) as parts:
        for packet in ORDERS[order](packets):
            parts.send(packet, to[0])
    whole.sendto(b".", to)
    arrived = [*iter(lambda: server.recv(1 << 16), b".")]
    assert arrived == ([] if order == "first_lost" else [BLOCK[:SIZE]])
    assert (leaks.forwarded() == 0) == gateway.is_waylay


# --- options and headers --------------------------------------------------------

NO_OPERATIONS = bytes([1, 1, 1, 0])
PADDING = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # 8 bytes: an option PadN
OPTIONS = {
    "ipv4": ("v4", socket.IPPROTO_IP, socket.IP_OPTIONS, NO_OPERATIONS),
    "hop-by-hop": ("v6", socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, PADDING),
    "destination": ("v6", socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, PADDING),
}


@pytest.mark.parametrize("which", OPTIONS)
def test_K20_options_and_extension_headers_do_not_matter(
    lab, gateway, which, resources, leaks
):
    family, level, name, value = OPTIONS[which]
    listener = resources.enter_context(lab.srv.listen(family, 80))
    client = resources.enter_context(lab.cli.new_socket(family, socket.SOCK_STREAM))
    client.setsockopt(level, name, value)
    client.connect(listener.getsockname()[:2])
    server = resources.enter_context(listener.accept()[0])
    assert_stream_arrives(client, server, 100_000)
    with lab.cli.udp(family) as c, lab.srv.udp(family, 5000) as s:
        c.setsockopt(level, name, value)
        c.sendto(b"question", s.getsockname())
        data, peer = s.recvfrom(100)
        s.sendto(data, peer)
        assert c.recv(100) == b"question"
    assert (leaks.forwarded() == 0) == gateway.is_waylay


# --- tags -----------------------------------------------------------------------


@pytest.mark.parametrize("tag, arrives", [(0, True), (5, False)])
def test_K20_a_tag_0_is_a_priority_any_other_another_network(
    lab, gateway, family, tag, arrives, resources, leaks
):
    server = resources.enter_context(lab.srv.udp(family, 5000))
    own, to = (lab.cli.address(family), 20011), server.getsockname()[:2]
    with tagged_wire(lab) as wire:
        wire.send(tagged(lab, own, to, tag, b"tagged"))
    with lab.cli.udp(family) as whole:
        whole.sendto(b".", to)
        expected = [b"tagged"] if arrives else []
        assert [*iter(lambda: server.recv(100), b".")] == expected
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def tagged_wire(lab) -> socket.socket:
    with lab.cli.inside():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        wire.bind(("eth0", 0))
    return wire


def tagged(lab, own: tuple, to: tuple, tag: int, data: bytes) -> bytes:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Dot1Q, Ether
    from scapy.packet import Raw

    network = IPv6(hlim=77) if ":" in to[0] else IP(ttl=77)
    network.src, network.dst = own[0], to[0]
    frame = Ether(src=mac_of(lab.cli, "eth0"), dst=mac_of(lab.gw, "lan0"))
    udp = UDP(sport=own[1], dport=to[1])
    return bytes(frame / Dot1Q(vlan=tag, prio=5) / network / udp / Raw(data))


def mac_of(host, ifname: str) -> str:
    return host.run("cat", f"/sys/class/net/{ifname}/address").stdout.strip()
