# SPDX-License-Identifier: Apache-2.0
"""UDP through proxies that are wrong or gone; PROXY headers; DNS elsewhere.

    cli ── lan0 ─ gw: waylayd ─ wan1 ── srv2: the test's own SOCKS5, PROXY and
                                              DNS servers

The server port chooses the upstream.  There is no plain gateway, since all of
it is about what a router does not have; test_upstream_udp.py has one.
"""

import contextlib
import socket
import struct

import pytest

import waylay
from datagrams import client, server
from endings import receive
from namespace import endpoint
from observers import LeakObserver
from programs import NAME, NameServer
from scripted import Scripted
from topology import NETS, UP
from wait import wait_for

OWN, PROXY_V2 = 8003, 8004
NO_UDP, CONNECT = 8005, 8006
OWN_PORT, PROXY_PORT = 1090, 1091


def for_each_family(line: str) -> str:
    """One line a family, with {f}, {up} and {net} filled in."""
    return "\n".join(line.format(f=f, up=UP[f], net=NETS[f]) for f in UP)


CONFIG = f"""
engine {waylay.ENGINE}; workers 1; on-failure closed
timeouts {{ connect 2s; udp 60s }}
intercept lan {{ from lan0; udp any; tcp 53 }}
{for_each_family("upstream own-{f} {{ via socks5 {up}:1090; udp on }}")}
{for_each_family("upstream pp-{f} {{ via proxy-protocol-v2 {up}:1091 }}")}
{for_each_family("upstream noudp-{f} {{ via socks5 {up}:1090 }}")}
{for_each_family("upstream web-{f} {{ via http-connect {up}:3128 }}")}
upstream dns4 {{ via direct; to 203.0.113.10:53 }}
upstream dns6 {{ via direct; to [2001:db8:3::10]:53 }}
rules {{
    {for_each_family("dst {net} port 8003 -> own-{f}")}
    {for_each_family("dst {net} port 8004 -> pp-{f}")}
    {for_each_family("dst {net} port 8005 -> noudp-{f}")}
    {for_each_family("dst {net} port 8006 -> web-{f}")}
    dst 198.51.100.0/24 port 53 -> dns4
    dst 2001:db8:2::/64 port 53 -> dns6
    default -> direct
}}
"""


# --- the test's own, which can be wrong -------------------------------------------------


class SocksUdp:
    """UDP ASSOCIATE by hand: what came, and a way to say anything back."""

    def __init__(self, lab, family: str, bound: str = ""):
        self.family = family
        self.udp = lab.srv2.udp(family)
        self.udp.bind((lab.srv2.address(family), 0))
        self.bound = bound or lab.srv2.address(family)
        self.controls: list[socket.socket] = []
        self.tcp = Scripted(lab.srv2, family, OWN_PORT, self._play)

    def __enter__(self) -> "SocksUdp":
        return self

    def __exit__(self, *_: object) -> None:
        self.tcp.__exit__()
        self.udp.close()

    def _play(self, s: socket.socket) -> None:
        request = self.tcp.socks_request(s)
        assert request[1] == 3
        number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[self.family]
        kind = {"v4": b"\x01", "v6": b"\x04"}[self.family]
        port = self.udp.getsockname()[1]
        address = socket.inet_pton(number, self.bound)
        s.sendall(b"\x05\x00\x00" + kind + address + struct.pack("!H", port))
        self.controls.append(s)
        s.recv(1)

    def header(self, server: tuple[str, int], fragment: int = 0) -> bytes:
        number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[self.family]
        kind = {"v4": 1, "v6": 4}[self.family]
        return (
            bytes([0, 0, fragment, kind])
            + socket.inet_pton(number, server[0])
            + struct.pack("!H", server[1])
        )


@pytest.fixture(scope="module")
def daemon(lab):
    with waylay.Daemon(lab.gw, CONFIG) as daemon:
        yield daemon


@pytest.fixture
def to(lab, family):
    return (lab.srv.address(family), OWN)


@pytest.fixture
def own(lab, family):
    with SocksUdp(lab, family) as own:
        yield own


def test_R_SOCKS_8_the_header_is_right(lab, daemon, family, own, to, resources):
    near = client(lab, resources, to)
    near.send(b"question")
    text, peer = own.udp.recvfrom(100)
    assert text == own.header(to) + b"question"
    own.udp.sendto(own.header(to) + b"answer", peer)
    assert near.recv(100) == b"answer"


def test_R_SOCKS_7_an_unspecified_address_is_the_proxys(
    lab, daemon, family, to, resources
):
    unspecified = {"v4": "0.0.0.0", "v6": "::"}[family]
    with SocksUdp(lab, family, unspecified) as own:
        near = client(lab, resources, to)
        near.send(b"?")
        assert own.udp.recv(100) == own.header(to) + b"?"


def test_R_SOCKS_8_R_SOCKS_9_what_is_wrong_is_dropped(
    lab, daemon, family, own, to, resources
):
    near = client(lab, resources, to)
    near.send(b"?")
    _, peer = own.udp.recvfrom(100)
    stranger = resources.enter_context(lab.srv2.udp(family))
    stranger.sendto(own.header(to) + b"from a stranger", peer)
    own.udp.sendto(own.header(to, fragment=1) + b"a fragment", peer)
    own.udp.sendto(b"", peer)
    own.udp.sendto(own.header(to)[:6], peer)
    own.udp.sendto(b"\0\0\0\x09" + bytes(30), peer)
    own.udp.sendto(own.header(("127.0.0.1", 1) if family == "v4" else ("::1", 1)), peer)
    own.udp.sendto(own.header(to) + b"right", peer)
    assert near.recv(100) == b"right"
    assert daemon.status()["counters"]["udp_bad_header"] >= 4


def test_another_server_answers_from_its_own_address(
    lab, daemon, family, own, to, resources
):
    """Full cone (U32): the client's socket sees who it was."""
    near = resources.enter_context(lab.cli.udp(family))
    near.sendto(b"?", to)
    _, peer = own.udp.recvfrom(100)
    other = (to[0], 9999)
    own.udp.sendto(own.header(other) + b"from another", peer)
    answer, source = near.recvfrom(100)
    assert (answer, source[:2]) == (b"from another", other)


def test_R_SOCKS_6_the_control_connection_ends_all(
    lab, daemon, family, own, to, resources
):
    near = client(lab, resources, to)
    near.send(b"?")
    own.udp.recv(100)
    before = daemon.status()["counters"]["udp_association_lost"]
    wait_for("the control connection", lambda: own.controls)
    own.controls.pop().shutdown(socket.SHUT_RDWR)
    wait_for(
        "the association's end",
        lambda: daemon.status()["counters"]["udp_association_lost"] == before + 1,
    )
    assert daemon.wait_ended(upstream=f"own-{family}")["end"] == "upstream-lost"
    near.send(b"again")  # a new one is opened
    assert own.udp.recv(100) == own.header(to) + b"again"


def test_one_association_for_a_client_socket(lab, daemon, family, own, resources):
    near = resources.enter_context(lab.cli.udp(family))
    for host in (lab.srv.address(family), lab.srv.address(family)[:-1] + "1"):
        near.sendto(b"?", (host, OWN))
        own.udp.recv(100)
    assert own.tcp.connections == 1


def test_F41_no_proxy_no_datagram(lab, daemon, family, to, resources):
    """Nobody is there: the client gets ICMP, and nothing goes direct."""
    leaks = LeakObserver(lab.srv)
    near = client(lab, resources, to)
    near.send(b"?")
    with pytest.raises(ConnectionRefusedError):
        near.recv(100)
    assert leaks.forwarded() == 0


@pytest.mark.parametrize("port", [NO_UDP, CONNECT])
def test_what_has_no_udp_is_refused(lab, daemon, family, resources, port):
    before = daemon.status()["counters"]["upstream_no_udp"]
    near = client(lab, resources, (lab.srv.address(family), port))
    near.send(b"?")
    with pytest.raises(ConnectionRefusedError):
        near.recv(100)
    assert daemon.status()["counters"]["upstream_no_udp"] == before + 1


# --- PROXY protocol ----------------------------------------------------------------------


def test_R_PP_7_each_datagram_has_its_header(lab, daemon, family, resources):
    far = server(lab, family, resources, PROXY_PORT, lab.srv2)
    near = client(lab, resources, (lab.srv.address(family), PROXY_V2))
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    own = near.getsockname()
    body = (
        socket.inet_pton(number, own[0])
        + socket.inet_pton(number, lab.srv.address(family))
        + struct.pack("!HH", own[1], PROXY_V2)
    )
    head = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21" + {"v4": b"\x12", "v6": b"\x22"}[family]
    for text in (b"one", b"two", bytes(1200)):
        near.send(text)
        heard, peer = far.recvfrom(2000)
        assert heard == head + struct.pack("!H", len(body)) + body + text
        far.sendto(b"answer", peer)
        assert near.recv(100) == b"answer"


# --- DNS ---------------------------------------------------------------------------------------


@pytest.fixture
def resolver(lab, resources):
    name_server = NameServer(lab.srv2, "192.0.2.123", "2001:db8::123")
    resources.callback(name_server.close)
    return name_server


@pytest.mark.parametrize("how", ["+notcp", "+tcp"])
def test_queries_go_to_the_configured_resolver(lab, daemon, family, resolver, how):
    """srv has no name server at all."""
    done = lab.cli.run(
        *("dig", "+short", "+time=2", "+tries=1", how),
        *(f"@{lab.srv.address(family)}", NAME, "A"),
    )
    assert done.stdout.strip() == "192.0.2.123"


def test_R_DNS_1_an_answer_to_another_question_is_dropped(
    lab, daemon, family, resources
):
    far = server(lab, family, resources, 53, lab.srv2)
    near = client(lab, resources, (lab.srv.address(family), 53))

    def message(number: int, name: bytes, flags: int) -> bytes:
        labels = b"".join(bytes([len(part)]) + part for part in name.split(b"."))
        return struct.pack("!6H", number, flags, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"

    near.send(message(7, b"www.example", 0x0100))
    _, peer = far.recvfrom(600)
    far.sendto(message(8, b"www.example", 0x8180), peer)
    far.sendto(message(7, b"evil.example", 0x8180), peer)
    far.sendto(b"\0\7", peer)
    right = message(7, b"WWW.example", 0x8180)
    far.sendto(right, peer)
    assert near.recv(600) == right
    far.sendto(right, peer)  # R-DNS-1: asked once, answered once
    assert daemon.status()["counters"]["dns_mismatch"] >= 3


def test_R_DNS_5_a_long_answer_passes_unchanged(lab, daemon, family, resources):
    far = server(lab, family, resources, 53, lab.srv2)
    near = client(lab, resources, (lab.srv.address(family), 53))
    question = struct.pack("!6H", 9, 0x0100, 1, 0, 0, 0) + b"\1a\0\0\1\0\1"
    near.send(question)
    _, peer = far.recvfrom(600)
    answer = question[:2] + b"\x81\x80" + question[4:] + bytes(1200)
    far.sendto(answer, peer)
    assert near.recv(4000) == answer


def over_tcp(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def in_segments(s: socket.socket, *pieces: bytes) -> None:
    """The other side may find each of them alone."""
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        s.sendall(piece)


def test_R_DNS_4_an_answer_that_is_cut_leads_to_tcp(lab, daemon, family, resources):
    """TC passes as it is; then two queries on one connection, both lengths of
    two bytes split, in either direction."""
    far = server(lab, family, resources, 53, lab.srv2)
    listener = resources.enter_context(lab.srv2.listen(family, 53))
    to = (lab.srv.address(family), 53)
    near = client(lab, resources, to)
    question = struct.pack("!6H", 11, 0x0100, 1, 0, 0, 0) + b"\1a\0\0\1\0\1"
    near.send(question)
    _, peer = far.recvfrom(600)
    cut = question[:2] + b"\x83\x80" + question[4:]
    far.sendto(cut, peer)
    assert near.recv(600) == cut
    stream = resources.enter_context(lab.cli.connect(to))
    other = b"\0\x0c" + question[2:]
    text = over_tcp(question) + over_tcp(other)
    second = len(over_tcp(question))
    in_segments(stream, text[:1], text[1 : second + 1], text[second + 1 :])
    served = resources.enter_context(listener.accept()[0])
    served.settimeout(5)
    assert receive(served, len(text)) == text
    answers = over_tcp(other + bytes(2000)) + over_tcp(question + bytes(60_000))
    in_segments(served, answers[:1], answers[1:3], answers[3:])
    assert receive(stream, len(answers)) == answers
    own = endpoint(*stream.getsockname()[:2])
    (flow,) = [f for f in daemon.flows() if f["client"] == own]
    assert flow["upstream"] == {"v4": "dns4", "v6": "dns6"}[family]


# --- many ----------------------------------------------------------------------------------------


def test_F48_a_flood_while_the_proxy_is_silent(lab, daemon, family, to, resources):
    """Held datagrams are bounded, and the rest is counted."""
    with Scripted(lab.srv2, family, OWN_PORT, lambda s: s.recv(1) and s.recv(99)):
        near = client(lab, resources, to)
        for _ in range(100):
            with contextlib.suppress(ConnectionRefusedError):
                near.send(bytes(1000))
        wait_for(
            "what does not fit is counted",
            lambda: daemon.status()["counters"]["udp_hold_full"] > 0,
        )
