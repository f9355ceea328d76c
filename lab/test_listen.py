# SPDX-License-Identifier: Apache-2.0
"""PROXY headers: accepted from known senders, and sent to real receivers.

    srv2: HAProxy, or a socket that sends a header by hand
      └─ wan1 ─ gw: waylayd, listen :9000 ─ wan0 ── srv

What the header says is who srv believes its client is: an address that no host
here has.  Without waylay the header is what a plain server hears as data: that
is the plain variant of the first scenario.
"""

import socket
import struct

import pytest

import proxies
import waylay
from endings import assert_stream_arrives, connection_outcome, end_of
from observers import HostState, assert_same_state
from topology import Lab
from wait import pass_time

LISTEN_PORT, HOME_PORT = 9000, 9002
CLIENT = {"v4": "192.0.2.77", "v6": "2001:db8:1::77"}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

CONFIG = f"""
engine {waylay.ENGINE}; workers 1
intercept proxied {{
    listen 0.0.0.0:{LISTEN_PORT}
    proxy-protocol from 203.0.113.0/24
}}
intercept proxied6 {{
    listen [::]:{LISTEN_PORT}
    proxy-protocol from 2001:db8:3::/64
}}
intercept home {{ listen 0.0.0.0:{HOME_PORT}; proxy-protocol from 203.0.113.0/24 }}
intercept home6 {{ listen [::]:{HOME_PORT}; proxy-protocol from 2001:db8:3::/64 }}
intercept lan {{ from lan0; tcp 8085, 8086 }}
upstream out  {{ via direct; source client }}
upstream web  {{ via direct; source client; to 127.0.0.1:8087 }}
upstream web6 {{ via direct; source client; to [::1]:8087 }}
upstream haproxy  {{ via proxy-protocol-v2 203.0.113.10:8085 }}
upstream haproxy6 {{ via proxy-protocol-v2 [2001:db8:3::10]:8085 }}
upstream nginx    {{ via proxy-protocol-v1 203.0.113.10:8086 }}
upstream nginx6   {{ via proxy-protocol-v1 [2001:db8:3::10]:8086 }}
rules {{
    intercept home  -> web
    intercept home6 -> web6
    dst 198.51.100.0/24 port 8085  -> haproxy
    dst 2001:db8:2::/64 port 8085  -> haproxy6
    dst 198.51.100.0/24 port 8086  -> nginx
    dst 2001:db8:2::/64 port 8086  -> nginx6
    default -> out
}}
"""


@pytest.fixture(scope="module")
def daemon(lab: Lab):
    before = HostState(lab.gw)
    with waylay.Daemon(lab.gw, CONFIG) as daemon:
        yield daemon
    assert_same_state(before, HostState(lab.gw))


def gateway_address(family: str) -> str:
    return {"v4": "203.0.113.1", "v6": "2001:db8:3::1"}[family]


def v1(source: tuple[str, int], to: tuple[str, int]) -> bytes:
    kind = "TCP6" if ":" in source[0] else "TCP4"
    return f"PROXY {kind} {source[0]} {to[0]} {source[1]} {to[1]}\r\n".encode()


def v2(source: tuple[str, int], to: tuple[str, int], more: bytes = b"") -> bytes:
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    addresses = b"".join(socket.inet_pton(family, a) for a, _ in (source, to))
    body = addresses + struct.pack("!HH", source[1], to[1]) + more
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes([0x21, kind]) + struct.pack("!H", len(body)) + body


HEADERS = {
    "v1": v1,
    "v2": v2,
    "v2-with-a-TLV": lambda s, t: v2(s, t, b"\x04\x00\x03abc"),
}


@pytest.fixture(params=HEADERS)
def header(request):
    return HEADERS[request.param]


def dial(lab, family: str, port: int = LISTEN_PORT, host=None) -> socket.socket:
    return (host or lab.srv2).connect((gateway_address(family), port))


def test_who_the_header_says_is_the_client(lab, daemon, family, header, resources):
    listener = resources.enter_context(lab.srv.listen(family, 8000))
    client = resources.enter_context(dial(lab, family))
    source, to = (CLIENT[family], 40000), (lab.srv.address(family), 8000)
    client.sendall(header(source, to) + b"data behind")
    server, peer = listener.accept()
    resources.enter_context(server)
    server.settimeout(5)
    assert peer[:2] == source
    assert server.recv(100) == b"data behind"
    assert_stream_arrives(server, client, 1 << 20)
    flow = daemon.flows()[-1]
    assert flow["client"].startswith(CLIENT[family]) or CLIENT[family] in flow["client"]


def test_without_waylay_a_header_is_data(lab, family, resources):
    listener = resources.enter_context(lab.srv.listen(family, 8001))
    client = resources.enter_context(lab.srv2.connect(listener.getsockname()[:2]))
    text = v1((CLIENT[family], 40000), (lab.srv.address(family), 8001))
    client.sendall(text)
    server, peer = listener.accept()
    resources.enter_context(server)
    assert peer[0] == lab.srv2.address(family)
    assert server.recv(200) == text


@pytest.mark.parametrize("size", [1, 5])
def test_a_header_in_pieces(lab, daemon, family, header, resources, size):
    listener = resources.enter_context(lab.srv.listen(family, 8000))
    client = resources.enter_context(dial(lab, family))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    source, to = (CLIENT[family], 40000 + size), (lab.srv.address(family), 8000)
    text = header(source, to) + b"x"
    for i in range(0, len(text), size):
        client.sendall(text[i : i + size])
    server, peer = listener.accept()
    resources.enter_context(server)
    assert peer[:2] == source
    assert server.recv(10) == b"x"


BAD = {
    "none": b"GET / HTTP/1.1\r\n\r\n",
    "R-PP-1-leading-zeros": b"PROXY TCP4 192.0.2.077 198.51.100.10 040000 8000\r\n",
    "R-PP-3-no-end": b"PROXY " + b"x" * 200,
    "R-PP-4-version-3": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    "R-PP-5-too-short": SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
}


@pytest.mark.parametrize("what", BAD)
def test_T09_a_bad_header_ends_the_connection(lab, daemon, family, what):
    before = daemon.status()["counters"]["header_bad"]
    with dial(lab, family) as client:
        client.sendall(BAD[what])
        assert end_of(client) == "rst"
    assert daemon.status()["counters"]["header_bad"] == before + 1


LATE_S, GIVEN_UP_S = 3.1, 15  # R-PP-9, and far beyond what is really waited


def test_R_PP_9_how_long_a_header_is_waited_for(lab, daemon, family, resources):
    """Three seconds at least; the last byte may come after that.  A client
    that says nothing, or never the last byte, is given up later."""
    listener = resources.enter_context(lab.srv.listen(family, 8000))
    text = v1((CLIENT[family], 42000), (lab.srv.address(family), 8000))
    silent, slow, late = (resources.enter_context(dial(lab, family)) for _ in range(3))
    slow.sendall(text[:-1])
    late.sendall(text[:-1])
    pass_time(LATE_S)
    late.sendall(text[-1:] + b"at last")
    server, peer = listener.accept()
    resources.enter_context(server)
    assert peer[:2] == (CLIENT[family], 42000)
    assert server.recv(100) == b"at last"
    for client in (silent, slow):
        client.settimeout(GIVEN_UP_S)
        assert end_of(client) == "rst"
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_T09_a_header_from_a_stranger(lab, daemon, family, header):
    """srv is none of those who may say it."""
    before = daemon.status()["counters"]["header_stranger"]
    to = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}[family]

    def connect() -> socket.socket:
        client = lab.srv.connect((to, LISTEN_PORT))
        client.sendall(header((CLIENT[family], 1), (lab.srv2.address(family), 80)))
        return client

    assert connection_outcome(connect) == "rst"
    assert daemon.status()["counters"]["header_stranger"] == before + 1


@pytest.mark.parametrize("to", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.1.1"])
def test_T07_a_header_that_aims_at_the_gateway_itself(lab, daemon, to):
    with dial(lab, "v4") as client:
        client.sendall(v1((CLIENT["v4"], 40000), (to, 22)))
        assert end_of(client) == "rst"


def test_T03_a_header_that_aims_at_another_listener(lab, daemon, family):
    """Both listen on the wildcard: no leg is opened to ourselves."""
    before = daemon.status()["counters"]["tcp_accepted"]
    with dial(lab, family) as client:
        own = (gateway_address(family), HOME_PORT)
        client.sendall(v1((CLIENT[family], 40000), own))
        assert end_of(client) == "rst"
    assert daemon.status()["counters"]["tcp_accepted"] == before + 1
    assert daemon.ended()[-1]["end"] == "loop"


def test_a_server_of_the_gateway_itself(lab, daemon, family, header, resources):
    """What mmproxy does: the answers of 127.0.0.1 find back to our leg."""
    loopback = {"v4": "127.0.0.1", "v6": "::1"}[family]
    listener = resources.enter_context(lab.gw.listen(family, 8087, loopback))
    client = resources.enter_context(dial(lab, family, HOME_PORT))
    source = (CLIENT[family], 41000)
    client.sendall(header(source, (gateway_address(family), HOME_PORT)) + b"hello")
    server, peer = listener.accept()
    resources.enter_context(server)
    server.settimeout(5)
    assert peer[:2] == source
    assert server.recv(10) == b"hello"
    assert_stream_arrives(server, client, 1 << 20)


@pytest.mark.parametrize("kind", proxies.RECEIVERS)
def test_real_receivers_read_what_we_send(lab, daemon, family, kind):
    """R-PP-1: they answer with the addresses that the header said."""
    receiver = kind(lab.srv2)
    try:
        to = (lab.srv.address(family), kind.port)
        with lab.cli.connect(to) as client:
            client.sendall(kind.question)
            text = b""
            while piece := client.recv(1000):
                text += piece
            own = client.getsockname()
    finally:
        receiver.close()
    assert f"client {own[0]}:{own[1]} server {to[0]}:{to[1]}".encode() in text
