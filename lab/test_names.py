# SPDX-License-Identifier: Apache-2.0
"""Rules by name: from TLS and from HTTP.

Network and rules are those of named_rules.py.  The plain gateway lets all pass:
what the server hears is the same.  Names of QUIC: test_names_quic.py.
"""

import contextlib
import os
import socket
import ssl
import threading

import pytest

from certificate import make_certificate
from endings import assert_stream_arrives, end_of, finish, receive
from hello import client_hello, split_records
from named_rules import CONFIG, FORBIDDEN, expected_source  # noqa: F401
from named_rules import second_address  # noqa: F401
from wait import wait_for


@pytest.fixture
def listener(lab, family, resources):
    return resources.enter_context(lab.srv.listen(family, 0))


def connect(lab, listener, resources) -> socket.socket:
    return resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))


def accept(listener, resources):
    server, peer = listener.accept()
    server.settimeout(5)
    resources.enter_context(server)
    return server, peer[0]


def in_pieces(s: socket.socket, text: bytes, size: int) -> None:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(0, len(text), size):
        s.sendall(text[i : i + size])


HTTP = b"GET / HTTP/1.1\r\nUser-Agent: lab\r\nHost: %s\r\n\r\n"

FIRST_BYTES = {
    "tls": lambda name: client_hello(name),
    "tls-in-small-records": lambda name: split_records(client_hello(name), 100),
    "tls-of-post-quantum-size": lambda name: client_hello(name, 3000),
    "http": lambda name: HTTP % name.encode(),
    "http-in-capitals": lambda name: HTTP % name.upper().encode(),
    "http-with-port": lambda name: HTTP % f"{name}:80".encode(),
}
KINDS = pytest.mark.parametrize("kind", FIRST_BYTES)


@KINDS
@pytest.mark.parametrize("name", ["self.example", "www.self.example", "other.example"])
def test_a_name_chooses_the_rule(lab, gateway, family, listener, resources, kind, name):
    text = FIRST_BYTES[kind](name)
    client = connect(lab, listener, resources)
    client.sendall(text)
    server, peer = accept(listener, resources)
    assert peer == expected_source(lab, gateway, family, name)
    assert receive(server, len(text)) == text
    assert_stream_arrives(server, client, 100_000)
    if gateway.is_waylay:
        flow = gateway.daemon.flows()[-1]
        assert flow["name"] == name


@KINDS
def test_a_name_is_refused(lab, gateway, family, listener, resources, kind):
    client = connect(lab, listener, resources)
    client.sendall(FIRST_BYTES[kind]("deep.blocked.example"))
    if not gateway.is_waylay:
        accept(listener, resources)
        return
    assert end_of(client) == "rst"
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()
    ended = gateway.daemon.wait_ended(name="deep.blocked.example")
    assert ended["end"] == "rejected"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_R_TLS_1_a_hello_in_pieces(lab, gateway, family, listener, resources, size):
    text = client_hello("self.example")
    client = connect(lab, listener, resources)
    in_pieces(client, text, size)
    server, peer = accept(listener, resources)
    assert peer == expected_source(lab, gateway, family, "self.example")
    assert receive(server, len(text)) == text


def test_F52_a_server_that_speaks_first(lab, gateway, family, listener, resources):
    """It waits as long as `sniff wait` says, and no longer."""
    client = connect(lab, listener, resources)
    server, peer = accept(listener, resources)
    assert peer == expected_source(lab, gateway, family, "")
    server.sendall(b"220 welcome\r\n")
    assert client.recv(100) == b"220 welcome\r\n"
    client.sendall(b"EHLO\r\n")
    assert server.recv(100) == b"EHLO\r\n"


def test_F52_no_rule_needs_a_name_no_wait(lab, gateway, family, resources):
    """Measured by order, not by time: no first byte is ever sent."""
    before = late_names(gateway)
    with lab.srv.listen(family, 7001) as listener:
        client = connect(lab, listener, resources)
        server, _ = accept(listener, resources)
        server.sendall(b"220 welcome\r\n")
        assert client.recv(100) == b"220 welcome\r\n"
    assert late_names(gateway) == before


def late_names(gateway) -> int:
    if not gateway.is_waylay:
        return 0
    return gateway.daemon.status()["counters"]["name_late"]


def test_what_is_no_name_is_seen_at_once(lab, gateway, family, listener, resources):
    """An SSH client's first words are neither TLS nor HTTP."""
    client = connect(lab, listener, resources)
    client.sendall(b"SSH-2.0-lab\r\n")
    server, peer = accept(listener, resources)
    assert peer == lab.cli.address(family)
    assert receive(server, 13) == b"SSH-2.0-lab\r\n"


def test_a_client_that_finishes_while_it_is_looked_at(
    lab, gateway, family, listener, resources
):
    client = connect(lab, listener, resources)
    client.sendall(b"G")
    finish(client)
    server, _ = accept(listener, resources)
    assert server.recv(10) == b"G"
    assert server.recv(10) == b""
    server.sendall(b"bye")
    finish(server)
    assert client.recv(10) == b"bye"
    assert end_of(client) == "fin"


def test_T12_a_slow_client_is_not_waited_for(
    lab, gateway, family, listener, resources
):
    """Half a hello: at the deadline the flow goes on without a name."""
    text = client_hello("self.example")
    client = connect(lab, listener, resources)
    client.sendall(text[:100])
    server, peer = accept(listener, resources)
    assert peer == lab.cli.address(family)
    client.sendall(text[100:])
    assert receive(server, len(text)) == text


def test_T16_hostile_names_are_none(lab, gateway, family, listener, resources):
    """Control bytes, markup, an address, 300 letters: nothing of it is shown."""
    for name in (b"a\x1b[31mb", b"<b>x</b>", b"192.0.2.1", b"x" * 300, b'a"b', b"a b"):
        client = connect(lab, listener, resources)
        client.sendall(HTTP % name)
        server, peer = accept(listener, resources)
        assert peer == lab.cli.address(family)
        client.close()
        server.close()
    if gateway.is_waylay:
        for flow in gateway.daemon.ended(6):
            assert not flow.get("name")


HOSTS = {
    "two-that-differ": ("/", "self.example", "other.example", ""),
    "two-that-are-the-same": ("/", "self.example", "self.example", ""),
    "the-target-wins": ("http://self.example/", "other.example", None, "self.example"),
    "the-target-wins-with-a-port": (
        *("http://www.self.example:80/", "other.example", None),
        "www.self.example",
    ),
    "the-target-wins-also-if-it-is-harmless": (
        *("http://other.example/", "self.example", None),
        "other.example",
    ),
}


@pytest.mark.parametrize("what", HOSTS)
def test_R_HTTP_1_which_host_counts(
    lab, gateway, family, listener, resources, what
):
    target, first, second, name = HOSTS[what]
    hosts = "".join(f"Host: {host}\r\n" for host in (first, second) if host)
    text = f"GET {target} HTTP/1.1\r\n{hosts}\r\n".encode()
    client = connect(lab, listener, resources)
    client.sendall(text)
    server, peer = accept(listener, resources)
    assert peer == expected_source(lab, gateway, family, name)
    assert receive(server, len(text)) == text
    if gateway.is_waylay:
        assert gateway.daemon.flows()[-1].get("name", "") == name


# --- a whole session ---------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, str]:
    """Of self.example, signed by nobody; its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), "self.example")


def test_R_TLS_5_a_session_is_not_touched(
    lab, gateway, family, listener, resources, certificate
):
    """Both sides agree on every byte of the handshake, or it fails; and the
    client accepts the server's own certificate only."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(*certificate)
    names = []
    server_side.sni_callback = lambda _s, name, _c: names.append(name)
    client = connect(lab, listener, resources)
    text, heard = os.urandom(300_000), []

    def serve() -> None:
        s, _ = accept(listener, resources)
        with server_side.wrap_socket(s, server_side=True) as session:
            heard.append(receive(session, len(text)))
            session.sendall(b"heard all")

    thread = threading.Thread(target=serve)
    thread.start()
    client_side = ssl.create_default_context(cafile=certificate[0])
    with client_side.wrap_socket(client, server_hostname="self.example") as session:
        session.sendall(text)
        assert session.recv(100) == b"heard all"
    thread.join()
    assert heard == [text]
    assert names == ["self.example"]


# --- names and addresses -----------------------------------------------------


@KINDS
def test_R_DNS_6_a_name_opens_no_address(lab, gateway, family, resources, kind):
    """Not even one that a flow to an address that is allowed had before."""
    text = FIRST_BYTES[kind]("self.example")
    for host in (lab.srv.address(family), FORBIDDEN[family]):
        with lab.srv.listen(family, 0, host) as listener:
            if gateway.is_waylay and host == FORBIDDEN[family]:
                with pytest.raises(ConnectionRefusedError):
                    connect(lab, listener, resources)
                return
            client = connect(lab, listener, resources)
            client.sendall(text)
            server, peer = accept(listener, resources)
            assert peer == expected_source(lab, gateway, family, "self.example")
            assert receive(server, len(text)) == text


# --- many at once ----------------------------------------------------------------


def test_T12_many_slow_clients_do_not_hinder_others(lab, gateway, family, resources):
    """300 clients with half a hello each; a whole one is served meanwhile."""
    text = client_hello("self.example")
    with lab.srv.listen(family, 0) as listener, contextlib.ExitStack() as slow:
        for _ in range(300):
            client = slow.enter_context(lab.cli.connect(listener.getsockname()[:2]))
            client.sendall(text[:50])
        client = connect(lab, listener, resources)
        client.sendall(text)
        accepted = []

        def is_served() -> bool:
            server, peer = listener.accept()
            slow.enter_context(server)
            accepted.append(peer[0])
            return peer[1] == client.getsockname()[1] or peer[0] == expected_source(
                lab, gateway, family, "self.example"
            )

        wait_for("the whole one is served", is_served, 10)
