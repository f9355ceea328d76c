# SPDX-License-Identifier: Apache-2.0
"""What a PROXY header leads to: names behind it, its limits, where it may aim.

    srv2: sends headers by hand; a SOCKS5 proxy
      └─ wan1 ─ gw: waylayd, two listeners ─ wan0 ── srv

Which headers are right is in test_listen.py.  There is no plain gateway, since
all of it is about listeners that a router does not have.
"""

import socket

import pytest

import scripted
import waylay
from endings import end_of, finish
from hello import client_hello
from scripted import REQUEST_OK, Scripted
from topology import Lab

FIRST, SECOND = 9000, 9001
SOCKS_PORT, SERVER_PORT, PROXIED_PORT = 1080, 8000, 8001
GATEWAY = {"v4": "203.0.113.1", "v6": "2001:db8:3::1"}
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
CLIENT = {"v4": "192.0.2.77", "v6": "2001:db8:1::77"}


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def config(family: str) -> str:
    at = bracketed(GATEWAY[family])
    up = bracketed({"v4": "203.0.113.10", "v6": "2001:db8:3::10"}[family])
    senders = "203.0.113.0/24, 192.0.2.0/24, 2001:db8:3::/64, 2001:db8:1::/64"
    return f"""
    engine {waylay.ENGINE}; workers 1
    sniff {{ tls; wait 300ms }}
    intercept first  {{ listen {at}:{FIRST}; proxy-protocol from {senders} }}
    intercept second {{ listen {at}:{SECOND}; proxy-protocol from {senders} }}
    upstream out    {{ via direct; source client }}
    upstream myself {{ via direct; source self }}
    upstream socks  {{ via socks5 {up}:{SOCKS_PORT} }}
    rules {{
        port {PROXIED_PORT}  -> socks
        domain self.example  -> myself
        default              -> out
    }}
    """


@pytest.fixture
def daemon(lab: Lab, family: str, resources) -> waylay.Daemon:
    return resources.enter_context(waylay.Daemon(lab.gw, config(family)))


def header(family: str, to: tuple[str, int], client: str = "") -> bytes:
    kind = {"v4": "TCP4", "v6": "TCP6"}[family]
    client = client or CLIENT[family]
    return f"PROXY {kind} {client} {to[0]} 40000 {to[1]}\r\n".encode()


@pytest.fixture
def client(lab: Lab, family: str, daemon, resources) -> socket.socket:
    """It has said nothing yet."""
    s = resources.enter_context(lab.srv2.connect((GATEWAY[family], FIRST)))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


@pytest.fixture
def listener(lab: Lab, family: str, resources) -> socket.socket:
    return resources.enter_context(lab.srv.listen(family, SERVER_PORT))


def accept(listener: socket.socket, resources) -> tuple[socket.socket, str]:
    server, peer = listener.accept()
    server.settimeout(5)
    return resources.enter_context(server), peer[0]


# --- names behind a header -----------------------------------------------------


@pytest.mark.parametrize("name", ["self.example", "other.example"])
def test_a_name_behind_a_header(lab, family, client, listener, resources, name):
    hello = client_hello(name)
    client.sendall(header(family, listener.getsockname()) + hello)
    server, peer = accept(listener, resources)
    own = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}[family]
    assert peer == (own if name == "self.example" else CLIENT[family])
    assert server.recv(len(hello), socket.MSG_WAITALL) == hello


def test_the_wait_for_a_name_is_not_the_one_for_the_header(
    family, client, listener, resources
):
    """Of 300 ms and not of 5 s, whatever was waited for before."""
    text = header(family, listener.getsockname())
    client.sendall(text[:10])
    listener.settimeout(0.1)  # for the header's timer to be set
    with pytest.raises(TimeoutError):
        listener.accept()
    client.sendall(text[10:] + client_hello("self.example")[:20])
    listener.settimeout(3)
    _, peer = accept(listener, resources)
    assert peer == CLIENT[family]


# --- its limits ------------------------------------------------------------------


def test_R_PP_9_half_a_header_and_FIN(family, daemon, client):
    """No more can come: it is not waited for."""
    client.sendall(b"PROXY ")
    finish(client)
    client.settimeout(3)
    assert end_of(client) == "rst"
    assert daemon.status()["counters"]["header_bad"] == 1


# --- where it may aim ----------------------------------------------------------------


@pytest.mark.parametrize("port", [FIRST, SECOND])
def test_T03_a_header_that_aims_at_our_listeners(family, daemon, client, port):
    client.sendall(header(family, (GATEWAY[family], port)) + b"x")
    assert end_of(client) == "rst"
    daemon.wait_ended(upstream="out", end="loop")
    assert len(daemon.ended()) == 1  # nobody came a second time


def test_T07_a_proxy_is_not_asked_for_what_only_it_can_reach(
    lab, family, daemon, client, resources
):
    with Scripted(lab.srv2, family, SOCKS_PORT, lambda s: s.recv(1)) as proxy:
        client.sendall(header(family, (LOOPBACK[family], PROXIED_PORT)) + b"x")
        assert end_of(client) == "rst"
        assert proxy.connections == 0
    daemon.wait_ended(upstream="socks", end="bad-header")


def test_the_client_may_be_the_host_of_the_proxy(
    lab, family, daemon, client, resources
):
    """What a header says of it does not mean that it goes round in circles."""

    def be_a_proxy(s: socket.socket) -> None:
        proxy.socks_request(s)
        s.sendall(REQUEST_OK)
        scripted.echo(s)

    with Scripted(lab.srv2, family, SOCKS_PORT, be_a_proxy) as proxy:
        to = (lab.srv.address(family), PROXIED_PORT)
        client.sendall(header(family, to, lab.srv2.address(family)) + b"?")
        assert client.recv(1) == b"?"
