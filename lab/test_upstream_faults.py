# SPDX-License-Identifier: Apache-2.0
"""Proxies that are hostile, broken, slow or gone.

    cli ── lan0 ─ gw: waylayd ─ wan1 ── srv2: a scripted proxy

Whatever the proxy says: that flow ends with RST, its record names the cause,
the next flow works, nothing goes direct.  There is no plain gateway here,
since all of it is about a proxy that a router does not have.
"""

import socket
from collections.abc import Callable

import pytest

import scripted
import waylay
from endings import connection_outcome, end_of
from observers import LeakObserver
from scripted import CONNECT_OK, METHOD_NONE, REQUEST_OK, Scripted
from topology import UP
from wait import wait_for

SOCKS_PORT, CONNECT_PORT = 1080, 3128
SERVER_PORT = {"socks5": 8001, "http-connect": 8002}
PROXY_PORT = {"socks5": SOCKS_PORT, "http-connect": CONNECT_PORT}

UPSTREAMS = "\n".join(
    f"upstream {via}-{f} {{ via {via} {UP[f]}:{port} }}"
    for via, port in PROXY_PORT.items()
    for f in UP
)

CONFIG = f"""
engine {waylay.ENGINE}; workers 1; on-failure closed
timeouts {{ connect 2s }}
intercept lan {{ from lan0; tcp any }}
{UPSTREAMS}
rules {{
    dst 198.51.100.0/24 port 8001 -> socks5-v4
    dst 2001:db8:2::/64 port 8001 -> socks5-v6
    dst 198.51.100.0/24 port 8002 -> http-connect-v4
    dst 2001:db8:2::/64 port 8002 -> http-connect-v6
    default -> reject
}}
"""


@pytest.fixture(scope="module")
def daemon(lab):
    with waylay.Daemon(lab.gw, CONFIG) as daemon:
        yield daemon


def outcome(lab, family: str, via: str) -> str:
    to = (lab.srv.address(family), SERVER_PORT[via])
    return connection_outcome(lambda: lab.cli.connect(to))


def last_end(daemon, family: str, via: str, before: int) -> str:
    """How the newest flow of this upstream ended."""

    def newer() -> list[dict]:
        mine = [f for f in daemon.ended() if f["upstream"] == f"{via}-{family}"]
        return mine[before:]

    return wait_for("its record", newer)[-1]["end"]


def count_ended(daemon, family: str, via: str) -> int:
    return sum(f["upstream"] == f"{via}-{family}" for f in daemon.ended())


# --- what SOCKS5 proxies may say -------------------------------------------------------


def after_greeting(text: bytes) -> Callable[[Scripted, socket.socket], None]:
    def play(proxy: Scripted, s: socket.socket) -> None:
        proxy.hear(s, lambda t: len(t) >= 2 and len(t) >= 2 + t[1])
        s.sendall(text)
        s.recv(1)  # until waylay has had enough

    return play


def after_request(text: bytes) -> Callable[[Scripted, socket.socket], None]:
    def play(proxy: Scripted, s: socket.socket) -> None:
        proxy.socks_request(s)
        s.sendall(text)
        s.recv(1)

    return play


def closing(after: Callable, how: Callable) -> Callable:
    def play(proxy: Scripted, s: socket.socket) -> None:
        after(proxy, s)
        how(s)

    return play


def hear_nothing(_proxy: Scripted, _s: socket.socket) -> None:
    pass


def reply(code: int) -> bytes:
    return bytes([5, code]) + REQUEST_OK[2:]


SOCKS_CASES = {
    "R-SOCKS-1-no-method-is-acceptable": (after_greeting(b"\x05\xff"), "upstream-"),
    "R-SOCKS-1-a-method-not-offered": (after_greeting(b"\x05\x01"), "upstream-protocol"),
    "T19-it-is-SOCKS4": (after_greeting(b"\x04\x00"), "upstream-protocol"),
    "T19-it-is-a-web-server": (
        after_greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "upstream-protocol",
    ),
    "T19-the-reply-has-another-version": (
        after_request(b"\x04" + REQUEST_OK[1:]),
        "upstream-protocol",
    ),
    "T19-the-reply-has-an-unknown-address": (
        after_request(b"\x05\x00\x00\x09" + bytes(20)),
        "upstream-protocol",
    ),
    "refused-by-the-server": (after_request(reply(5)), "server-refused"),
    "host-unreachable": (after_request(reply(4)), "server-unreachable"),
    "not-allowed": (after_request(reply(2)), "upstream-refused"),
    "an-unassigned-code": (after_request(reply(200)), "upstream-refused"),
    "F41-closes-at-once": (closing(hear_nothing, scripted.hang_up), "upstream-"),
    "F41-resets-at-once": (closing(hear_nothing, scripted.hang_up_hard), "upstream-"),
    "F41-closes-behind-the-method": (
        closing(lambda p, s: p.socks_request(s), scripted.hang_up),
        "upstream-",
    ),
}


def http(text: str) -> Callable[[Scripted, socket.socket], None]:
    def play(proxy: Scripted, s: socket.socket) -> None:
        proxy.connect_request(s)
        s.sendall(text.encode())
        s.recv(1)

    return play


def endless(proxy: Scripted, s: socket.socket) -> None:
    proxy.connect_request(s)
    s.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        s.sendall(b"X-More: and more\r\n" * 100)


CONNECT_CASES = {
    "R-CONN-8-a-password-is-wanted": (
        http("HTTP/1.1 407 Who?\r\nContent-Length: 4\r\n\r\nwho?"),
        "upstream-auth",
    ),
    "T18-a-redirection": (
        http("HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n"),
        "upstream-refused",
    ),
    "T18-switching-protocols": (
        http("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        "upstream-protocol",
    ),
    "R-CONN-5-seventeen-times-wait": (
        http("HTTP/1.1 100 Continue\r\n\r\n" * 17),
        "upstream-protocol",
    ),
    "R-CONN-6-a-bare-CR": (
        http("HTTP/1.1 200 OK\rX: y\r\n\r\n"),
        "upstream-protocol",
    ),
    "T18-an-endless-head": (endless, "upstream-protocol"),
    "T18-garbage": (http("\x00\x01\x02 hello\r\n\r\n"), "upstream-protocol"),
    "forbidden": (http("HTTP/1.1 403 No\r\n\r\n"), "upstream-refused"),
    "bad-gateway": (http("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "server-unreachable"),
    "it-is-SOCKS": (http("\x05\x00"), "upstream-"),
    "F41-closes-at-once": (closing(hear_nothing, scripted.hang_up), "upstream-"),
}

CASES = [("socks5", *row) for row in SOCKS_CASES.items()] + [
    ("http-connect", *row) for row in CONNECT_CASES.items()
]


@pytest.mark.parametrize(
    "via,name,case", CASES, ids=[f"{via}-{name}" for via, name, _ in CASES]
)
def test_a_bad_answer_ends_that_flow_only(lab, daemon, family, via, name, case):
    play, end = case
    leaks = LeakObserver(lab.srv)
    before = count_ended(daemon, family, via)
    with Scripted(
        lab.srv2, family, PROXY_PORT[via], lambda s: play(proxy, s)
    ) as proxy:
        assert outcome(lab, family, via) == "rst"
    assert last_end(daemon, family, via, before).startswith(end)
    assert proxy.connections == 1
    assert_works(lab, family, via)
    assert leaks.forwarded() == 0


def agree(proxy: Scripted, s: socket.socket, via: str) -> None:
    if via == "socks5":
        proxy.socks_request(s)
        s.sendall(REQUEST_OK)
    else:
        proxy.connect_request(s)
        s.sendall(CONNECT_OK)


def good(proxy: Scripted, s: socket.socket, via: str) -> None:
    agree(proxy, s, via)
    scripted.echo(s)


def assert_works(lab, family: str, via: str) -> None:
    with Scripted(
        lab.srv2, family, PROXY_PORT[via], lambda s: good(proxy, s, via)
    ) as proxy:
        with lab.cli.connect((lab.srv.address(family), SERVER_PORT[via])) as client:
            client.sendall(b"question")
            assert client.recv(100) == b"question"


# --- right answers in strange pieces ----------------------------------------------------


@pytest.mark.parametrize("via", SERVER_PORT)
def test_F50_one_byte_at_a_time_is_as_good(lab, daemon, family, via):
    def play(s: socket.socket) -> None:
        if via == "socks5":
            proxy.hear(s, lambda t: len(t) >= 2 and len(t) >= 2 + t[1])
            scripted.one_by_one(s, METHOD_NONE)
            proxy.hear(s, scripted.is_request)
            scripted.one_by_one(s, REQUEST_OK)
        else:
            proxy.connect_request(s)
            scripted.one_by_one(s, b"HTTP/1.1 100 Wait\r\n\r\n" + CONNECT_OK)
        scripted.echo(s)

    with Scripted(lab.srv2, family, PROXY_PORT[via], play) as proxy:
        with lab.cli.connect((lab.srv.address(family), SERVER_PORT[via])) as client:
            client.sendall(b"question")
            assert client.recv(100) == b"question"


@pytest.mark.parametrize("via", SERVER_PORT)
def test_T18_T19_what_is_glued_to_the_answer_is_the_servers(lab, daemon, family, via):
    def play(s: socket.socket) -> None:
        if via == "socks5":
            proxy.socks_request(s)
            s.sendall(REQUEST_OK + b"220 welcome\r\n")
        else:
            proxy.connect_request(s)
            s.sendall(CONNECT_OK + b"220 welcome\r\n")
        s.shutdown(socket.SHUT_WR)

    with Scripted(lab.srv2, family, PROXY_PORT[via], play) as proxy:
        with lab.cli.connect((lab.srv.address(family), SERVER_PORT[via])) as client:
            assert client.recv(100) == b"220 welcome\r\n"
            assert client.recv(100) == b""


def test_R_SOCKS_4_no_payload_before_the_answer(lab, daemon, family):
    """Not even when the client has sent it long ago."""
    silent: list[bytes] = []

    def play(s: socket.socket) -> None:
        proxy.socks_request(s)
        s.settimeout(0.3)
        try:
            silent.append(s.recv(100))
        except TimeoutError:
            silent.append(b"")
        s.settimeout(20)
        s.sendall(REQUEST_OK)
        scripted.echo(s)

    with Scripted(lab.srv2, family, SOCKS_PORT, play) as proxy:
        with lab.cli.connect((lab.srv.address(family), 8001)) as client:
            client.sendall(b"payload")
            assert client.recv(100) == b"payload"
    assert silent == [b""]


# --- what is said to proxies ---------------------------------------------------------------


def test_R_SOCKS_2_the_words_to_a_socks_proxy(lab, daemon, family):
    with Scripted(
        lab.srv2, family, SOCKS_PORT, lambda s: good(proxy, s, "socks5")
    ) as proxy:
        with lab.cli.connect((lab.srv.address(family), 8001)) as client:
            client.sendall(b"?")
            assert client.recv(1) == b"?"
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    address = socket.inet_pton(number, lab.srv.address(family))
    kind = {"v4": b"\x01", "v6": b"\x04"}[family]
    assert b"".join(proxy.heard) == (
        b"\x05\x01\x00" + b"\x05\x01\x00" + kind + address + (8001).to_bytes(2, "big")
    )


def test_R_CONN_1_R_CONN_2_the_words_to_a_web_proxy(lab, daemon, family):
    with Scripted(
        lab.srv2, family, CONNECT_PORT, lambda s: good(proxy, s, "http-connect")
    ) as proxy:
        with lab.cli.connect((lab.srv.address(family), 8002)) as client:
            client.sendall(b"?")
            assert client.recv(1) == b"?"
    lines = proxy.heard[0].decode().split("\r\n")
    host = lab.srv.address(family)
    target = f"[{host}]:8002" if family == "v6" else f"{host}:8002"
    assert lines[0] == f"CONNECT {target} HTTP/1.1"
    assert [line for line in lines if line.startswith("Host:")] == [f"Host: {target}"]
    assert lines[-2:] == ["", ""]


# --- silence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("via", SERVER_PORT)
def test_T12_a_proxy_that_never_answers_is_given_up(lab, daemon, family, via):
    before = count_ended(daemon, family, via)
    with Scripted(lab.srv2, family, PROXY_PORT[via], lambda s: s.recv(1)):
        assert outcome(lab, family, via) == "rst"
    assert last_end(daemon, family, via, before) in (
        "upstream-timeout",
        "connect-timeout",
    )


def test_F43_half_close_goes_through_a_proxy(lab, daemon, family):
    """The client finishes, the answer still comes, and both end in peace."""

    def play(s: socket.socket) -> None:
        proxy.socks_request(s)
        s.sendall(REQUEST_OK)
        text = b""
        while piece := s.recv(4096):
            text += piece
        s.sendall(b"heard " + text)
        s.close()

    with Scripted(lab.srv2, family, SOCKS_PORT, play) as proxy:
        with lab.cli.connect((lab.srv.address(family), 8001)) as client:
            client.sendall(b"all")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b"heard all"
            assert end_of(client) == "fin"


@pytest.mark.parametrize("via", SERVER_PORT)
@pytest.mark.parametrize("count", [0, 1, 300_000])
def test_R_CONN_9_the_client_finishes_first(lab, daemon, family, via, count):
    """All that it said arrives, then FIN; the answer comes behind that."""
    heard: list[bytes] = []

    def play(s: socket.socket) -> None:
        agree(proxy, s, via)
        text = b""
        while piece := s.recv(65536):
            text += piece
        heard.append(text)
        s.sendall(b"heard all")
        s.close()

    text = bytes(i % 251 for i in range(count))
    with Scripted(lab.srv2, family, PROXY_PORT[via], play) as proxy:
        with lab.cli.connect((lab.srv.address(family), SERVER_PORT[via])) as client:
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b"heard all"
            assert end_of(client) == "fin"
    assert heard == [text]


@pytest.mark.parametrize("via", SERVER_PORT)
@pytest.mark.parametrize("count", [0, 1, 300_000])
def test_R_CONN_9_the_server_finishes_first(lab, daemon, family, via, count):
    """The client sees FIN behind the last byte, and may go on to speak."""
    heard: list[bytes] = []
    text = bytes(i % 251 for i in range(count))

    def play(s: socket.socket) -> None:
        agree(proxy, s, via)
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
        rest = b""
        while piece := s.recv(65536):
            rest += piece
        heard.append(rest)

    with Scripted(lab.srv2, family, PROXY_PORT[via], play) as proxy:
        with lab.cli.connect((lab.srv.address(family), SERVER_PORT[via])) as client:
            told = b""
            while piece := client.recv(65536):
                told += piece
            assert told == text
            client.sendall(b"and ")
            client.sendall(b"more")
            client.shutdown(socket.SHUT_WR)
            wait_for("the server has all", lambda: heard)
    assert heard == [b"and more"]


@pytest.mark.parametrize("via", SERVER_PORT)
def test_R_CONN_9_what_a_closed_side_still_said_is_delivered(lab, daemon, family, via):
    """The server closes at once behind a long answer."""
    text = bytes(i % 251 for i in range(500_000))

    def play(s: socket.socket) -> None:
        agree(proxy, s, via)
        assert s.recv(1) == b"?"
        s.sendall(text)
        s.close()

    with Scripted(lab.srv2, family, PROXY_PORT[via], play) as proxy:
        with lab.cli.connect((lab.srv.address(family), SERVER_PORT[via])) as client:
            client.sendall(b"?")
            told = b""
            while piece := client.recv(65536):
                told += piece
            assert told == text
