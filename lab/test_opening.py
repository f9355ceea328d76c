# SPDX-License-Identifier: Apache-2.0
"""TCP flows up to their first relayed byte: time, blame, and whose turn it is.

    cli ── lan0 ─ gw: waylayd ─ wan1 ── srv2: proxies of the test's own

What proxies say wrong is in test_upstream_faults.py, how members are chosen in
test_groups.py.  There is no plain gateway, since all of it is about proxies
that a router does not have.
"""

import contextlib
import socket
from collections.abc import Callable

import pytest

import scripted
import waylay
from endings import connection_outcome, end_of, finish, reset
from hello import client_hello
from scripted import REQUEST_OK, Scripted
from wait import wait_for

PORTS = {"one": 1081, "two": 1082, "three": 1083}
UP = {"v4": "203.0.113.10", "v6": "[2001:db8:3::10]"}
SERVER_PORT = 8000
FALL = 3  # failures in a row make a member down


def config(family: str, rules: str, timeouts: str, sniff: str) -> str:
    upstreams = "\n".join(
        f"upstream {name} {{ via socks5 {UP[family]}:{port} }}"
        for name, port in PORTS.items()
    )
    return f"""
    engine {waylay.ENGINE}; workers 1; on-failure closed
    timeouts {{ {timeouts} }}
    sniff {{ tls; http; wait {sniff} }}
    intercept lan {{ from lan0; tcp any }}
    {upstreams}
    group all {{ members one, two, three; balance first }}
    upstream named {{ via socks5 nobody.invalid:1080 }}
    group some {{ members named, two; balance first }}
    rules {{ {rules} }}
    """


@pytest.fixture
def start(lab, family, resources) -> Callable[..., waylay.Daemon]:
    def started(
        rules: str = "default -> all",
        timeouts: str = "connect 10s",
        sniff: str = "50ms",
        **how,
    ) -> waylay.Daemon:
        text = config(family, rules, timeouts, sniff)
        return resources.enter_context(waylay.Daemon(lab.gw, text, **how))

    return started


Play = Callable[[Scripted, socket.socket], None]


@pytest.fixture
def proxy(lab, family, resources) -> Callable[[str, Play], Scripted]:
    """proxy("one", serve): it is there until the scenario ends."""

    def begun(name: str, play: Play) -> Scripted:
        made = Scripted(lab.srv2, family, PORTS[name], lambda s: play(made, s))
        return resources.enter_context(made)

    return begun


def serve(proxy: Scripted, s: socket.socket) -> None:
    proxy.socks_request(s)
    s.sendall(REQUEST_OK)
    scripted.echo(s)


def refuse(code: int) -> Play:
    def play(proxy: Scripted, s: socket.socket) -> None:
        proxy.socks_request(s)
        s.sendall(bytes([5, code]) + REQUEST_OK[2:])

    return play


def be_silent(_proxy: Scripted, _s: socket.socket) -> None:
    """The connection stays open."""


def dial(lab, family: str) -> socket.socket:
    return lab.cli.connect((lab.srv.address(family), SERVER_PORT))


def talk(lab, family: str) -> None:
    with dial(lab, family) as client:
        client.sendall(b"?")
        assert client.recv(1) == b"?"


def outcome(lab, family: str) -> str:
    return connection_outcome(lambda: dial(lab, family))


def row_of(daemon: waylay.Daemon, name: str) -> dict:
    rows = daemon.ask("upstream")["upstreams"]
    return next(row for row in rows if row["name"] == name)


def attempts(daemon: waylay.Daemon, count: int) -> list[int]:
    """Of the flows so far, one after the other."""
    ended = wait_for("their records", lambda: (e := daemon.ended())[count - 1 :] and e)
    return [flow["attempts"] for flow in ended]


def counter(daemon: waylay.Daemon, name: str) -> int:
    return daemon.status()["counters"][name]


# --- time ----------------------------------------------------------------------


def test_F40_one_proxy_alone_has_all_the_time(lab, family, start, proxy):
    """`timeouts upstream` is for those behind whom somebody else waits."""

    def slow(proxy: Scripted, s: socket.socket) -> None:
        proxy.socks_request(s)
        s.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            s.recv(1)  # the end, if waylay gives it up
        s.settimeout(20)
        s.sendall(REQUEST_OK)
        scripted.echo(s)

    start("default -> one", "connect 10s; upstream 100ms")
    proxy("one", slow)
    talk(lab, family)


def test_F41_when_the_time_is_over_nobody_else_is_tried(lab, family, start, proxy):
    daemon = start(timeouts="connect 1s; upstream 600ms")
    for name in ("one", "two"):
        proxy(name, be_silent)
    three = proxy("three", serve)
    assert outcome(lab, family) == "rst"
    assert attempts(daemon, 1) == [2]
    assert three.connections == 0


def test_a_client_that_resets_while_its_proxy_is_silent(lab, family, start, proxy):
    daemon = start("default -> one", "connect 60s")
    one = proxy("one", be_silent)
    client = dial(lab, family)
    wait_for("the proxy's part", lambda: one.connections)
    reset(client)
    daemon.wait_ended(upstream="one", end="client-reset")


def test_T19_what_is_glued_to_the_answer_and_nothing_more(lab, family, start, proxy):
    """No further event of the socket brings it."""

    def play(proxy: Scripted, s: socket.socket) -> None:
        proxy.socks_request(s)
        s.sendall(REQUEST_OK + b"220 welcome\r\n")

    start("default -> one")
    proxy("one", play)
    with dial(lab, family) as client:
        assert client.recv(100) == b"220 welcome\r\n"


# --- blame -----------------------------------------------------------------------


def test_a_server_that_refuses_is_no_fault_of_the_proxy(lab, family, start, proxy):
    """And nobody else is asked for what the server said itself."""
    daemon = start()
    proxy("one", refuse(5))
    two = proxy("two", serve)
    for _ in range(FALL + 1):
        assert outcome(lab, family) == "rst"
    assert attempts(daemon, FALL + 1) == [1] * (FALL + 1)
    assert two.connections == 0
    assert row_of(daemon, "one")["health"] == "unknown"


def test_F41_who_is_not_there_is_passed_over_in_the_end(lab, family, start, proxy):
    daemon = start()
    proxy("two", serve)
    for number in range(FALL + 1):
        talk(lab, family)
        attempts(daemon, number + 1)
    assert attempts(daemon, FALL + 1) == [2] * FALL + [1]
    assert row_of(daemon, "one")["health"] == "down"
    two = row_of(daemon, "two")
    assert (two["health"], two["opened"]) == ("up", FALL + 1)


def test_the_built_in_direct_is_no_upstream_that_fails(lab, family, start):
    daemon = start("default -> direct log")
    assert outcome(lab, family) in ("rst", "refused")
    daemon.wait_ended(upstream="direct", end="server-refused")
    assert counter(daemon, "upstream_failed") == 0


def test_disabled_while_it_is_tried_the_next_has_its_turn(lab, family, start, proxy):
    daemon = start()
    one, two = proxy("one", be_silent), proxy("two", serve)
    with dial(lab, family) as client:
        client.sendall(b"?")
        wait_for("the first try", lambda: one.connections)
        assert daemon.tool("upstream", "disable", "one").returncode == 0
        assert client.recv(1) == b"?"
    assert two.connections == 1
    assert row_of(daemon, "one")["failed"] == 0


def test_who_has_no_address_yet_is_passed_over(lab, family, start, proxy):
    """Its name is not known: nothing can be sent to it."""
    daemon = start("default -> some")
    proxy("two", serve)
    talk(lab, family)
    assert attempts(daemon, 1) == [2]


# --- descriptors -----------------------------------------------------------------


def test_failed_tries_keep_no_descriptor(lab, family, start, proxy):
    """As many as the worker may have open, one after the other."""
    limit = 128
    start("default -> one", wrapper=("prlimit", f"--nofile={limit}"))
    for _ in range(limit):
        assert outcome(lab, family) == "rst"
    proxy("one", serve)
    talk(lab, family)


# --- looking for a name --------------------------------------------------------------

NAMED = "domain dropped.example -> drop; domain named.example -> two; default -> one"


def test_a_name_whose_rule_says_drop(lab, family, start):
    """The handshake was answered already: silence would be a lie."""
    daemon = start(NAMED, sniff="10s")
    with dial(lab, family) as client:
        client.sendall(client_hello("dropped.example"))
        assert end_of(client) == "rst"
    daemon.wait_ended(name="dropped.example", end="dropped", name_from="tls")
    assert counter(daemon, "name_tls") == 1


def test_T12_bytes_that_trickle_do_not_stretch_the_wait(lab, family, start, proxy):
    daemon = start(NAMED, sniff="300ms")
    one = proxy("one", serve)
    hello = iter(client_hello("named.example", 10000))
    with dial(lab, family) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def is_decided() -> bool:
            client.sendall(bytes([next(hello)]))
            return one.connections > 0

        wait_for("the end of the wait", is_decided)
    assert counter(daemon, "name_late") == 1


def test_who_has_finished_is_not_waited_for(lab, family, start, proxy):
    """Half a request and FIN: no name can come any more."""
    daemon = start(NAMED, sniff="60s")
    proxy("one", serve)
    with dial(lab, family) as client:
        client.sendall(b"GET / HT")
        finish(client)
        assert client.recv(100) == b"GET / HT"
    assert counter(daemon, "name_none") == 1
    assert counter(daemon, "name_late") == 0
