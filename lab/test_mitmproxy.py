# SPDX-License-Identifier: Apache-2.0
"""`waylay config example mitmproxy`: both halves as they are printed.

    client ── eth1 ─ gw: waylayd, mitmdump on 127.0.0.1:1080 ─ wan0 ── srv
    192.168.1.10                                        198.51.100.10:80, :443
    fd00:1::10                                          2001:db8:2::10

What came by mitmdump is seen by the address that the server has to answer, by
the certificate that the client gets, and by mitmdump's own log.  On the plain
gateway all goes to the server by itself.  The lab's certificate stands for
those that mitmdump trusts; which engine is the one word of ours that differs.
"""

import http.client
import shutil
import socket
import ssl
import threading

import pytest

import printed
import waylay
from certificate import make_certificate
from each_engine import gateway  # noqa: F401
from endings import connection_outcome
from exec_case import client_seen
from namespace import endpoint
from observers import LeakObserver
from test_squid import add_client
from wait import wait_for

NAME = "www.lab.example"
TOWARDS_SRV = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}

pytestmark = pytest.mark.skipif(
    not shutil.which("mitmdump"), reason="mitmproxy is not installed"
)


def config(engine: str) -> str:
    text = printed.example("mitmproxy")[0]
    assert text.count("auto") == 1
    return text.replace("auto", engine)


@pytest.fixture(scope="module", autouse=True)
def client(lab):
    return add_client(lab)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, str]:
    return make_certificate(tmp_path_factory.mktemp("certificate"), NAME)


@pytest.fixture(scope="module")
def mitmdump(lab, gateway, certificate):
    if not gateway.is_waylay:
        yield None
        return
    mitmdump = printed.Mitmdump(lab.gw, certificate[0])
    yield mitmdump
    mitmdump.close()


# --- requests ------------------------------------------------------------------


def ask(s: socket.socket) -> str:
    """What is answered to one request for NAME."""
    s.sendall(f"GET /x HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    response = http.client.HTTPResponse(s)
    response.begin()
    text = response.read().decode()
    assert response.status == 200, text
    return text


def expected_client(lab, client, gateway, family: str) -> str:
    return TOWARDS_SRV[family] if gateway.is_waylay else client.address(family)


def test_http_is_logged_and_reaches_the_server(
    lab, client, gateway, mitmdump, family, probe, leaks
):
    probe(lab.srv, "tcp-server", 80, "--mode", "http")
    to = (lab.srv.address(family), 80)
    with client.connect(to) as s:
        said = ask(s)
    assert client_seen(said) == expected_client(lab, client, gateway, family)
    assert said.split()[3] == endpoint(*to)
    assert (leaks.forwarded() == 0) == gateway.is_waylay
    if gateway.is_waylay:
        line = f"GET http://{NAME}/x"
        wait_for("the line", lambda: line in mitmdump.log)
        assert endpoint(*to) in mitmdump.log


class TlsServer(threading.Thread):
    """One session: the request it gets, and whom it sees."""

    def __init__(self, listener: socket.socket, certificate: tuple[str, str]):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.names: list[str] = []
        self.context.sni_callback = lambda _s, name, _c: self.names.append(name)
        self.listener = listener
        self.start()

    def run(self) -> None:
        s, self.peer = self.listener.accept()
        s.settimeout(5)
        with self.context.wrap_socket(s, server_side=True) as session:
            self.request = session.recv(1000)
            session.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\norigin")


def test_tls_is_looked_into(
    lab, client, gateway, mitmdump, family, certificate, resources, leaks
):
    """By a client that trusts mitmdump, and nobody else."""
    listener = resources.enter_context(lab.srv.listen(family, 443))
    server = TlsServer(listener, certificate)
    trusted = mitmdump.certificate if gateway.is_waylay else certificate[0]
    context = ssl.create_default_context(cafile=trusted)
    with client.connect(listener.getsockname()[:2]) as s:
        with context.wrap_socket(s, server_hostname=NAME) as session:
            assert ask(session) == "origin"
    server.join(timeout=5)
    assert server.peer[0] == expected_client(lab, client, gateway, family)
    assert server.names == [NAME]
    assert f"host: {NAME}" in server.request.decode().lower()
    assert (leaks.forwarded() == 0) == gateway.is_waylay
    if gateway.is_waylay:
        line = f"GET https://{NAME}/x"
        wait_for("the line", lambda: line in mitmdump.log)


def test_quic_is_refused_so_that_browsers_do_without(
    lab, client, gateway, mitmdump, family, resources, leaks
):
    server = resources.enter_context(lab.srv.udp(family, 443))
    one = resources.enter_context(client.udp(family))
    one.connect(server.getsockname()[:2])
    one.send(b"hello")
    if gateway.is_waylay:
        with pytest.raises(ConnectionRefusedError):
            one.recv(100)
    else:
        assert server.recv(100) == b"hello"
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def test_other_ports_pass(lab, client, gateway, mitmdump, family, leaks):
    with lab.srv.listen(family, 8000) as listener:
        with client.connect(listener.getsockname()[:2]) as one:
            with listener.accept()[0] as other:
                assert other.getpeername()[:2] == one.getsockname()[:2]
    assert leaks.forwarded() > 0


# --- it dies ---------------------------------------------------------------------


def test_F02_nothing_passes_while_mitmdump_is_gone(
    fresh_lab, family, certificate, probe
):
    lab = fresh_lab
    client = add_client(lab)
    to = (lab.srv.address(family), 80)
    probe(lab.srv, "tcp-server", 80, "--mode", "http")
    leaks = LeakObserver(lab.srv)
    with waylay.Daemon(lab.gw, config(waylay.ENGINE)):
        for _ in range(2):
            mitmdump = printed.Mitmdump(lab.gw, certificate[0])
            with client.connect(to) as s:
                assert ask(s)
            relayed = leaks.own()
            mitmdump.close()
            assert connection_outcome(lambda: client.connect(to)) == "rst"
            assert leaks.own() == relayed
    assert leaks.forwarded() == 0
