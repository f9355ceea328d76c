# SPDX-License-Identifier: Apache-2.0
"""UDP flows until their way is open, and associations: time, room, addresses.

    cli ── lan0 ─ gw: waylayd ─┬─ wan1 ── srv2: a SOCKS5 proxy of the test's own
                               └─ wan0 ── srv

Which way is taken is in test_upstream_udp_ways.py.  There is no plain gateway,
since all of it is about proxies that a router does not have.
"""

import itertools
import os
import signal
import socket
import time
from collections.abc import Callable

import pytest

import waylay
from hello import initials
from topology import UP
from udp_proxy import Proxy
from wait import wait_for

SECOND = {"v4": "203.0.113.2", "v6": "2001:db8:3::2"}  # of the gateway
FIRST_OWN_PORT = 20000
PROXY_PORT, PLAIN, PROXIED, SECONDED, DROPPED = 1081, 8000, 8001, 8002, 8003
GROUPED = 8004
UPSTREAM_S, WAIT_S = 0.4, 0.3
FALL = 3  # failures in a row make a member down
QUICS_MAX = 256  # flows at once whose name is looked for
DESCRIPTORS = 128


def config(family: str, wait: str, udp: str) -> str:
    up = f"{UP[family]}:{PROXY_PORT}"
    return f"""
    engine {waylay.ENGINE}; workers 1; on-failure closed
    timeouts {{ connect 5s; upstream {int(UPSTREAM_S * 1000)}ms; udp {udp} }}
    sniff {{ quic; wait {wait} }}
    intercept lan {{ from lan0; udp any }}
    upstream one    {{ via socks5 {up}; udp on }}
    upstream second {{ via socks5 {up}; udp on; source {SECOND[family]} }}
    upstream out    {{ via direct; source client }}
    upstream named  {{ via socks5 nobody.invalid:1080; udp on }}
    group some      {{ members named, one; balance first }}
    rules {{
        domain refused.example -> reject
        port {PROXIED}  -> one
        port {SECONDED} -> second
        port {DROPPED}  -> drop
        port {GROUPED}  -> some
        default         -> out
    }}
    """


Start = Callable[..., waylay.Daemon]


@pytest.fixture
def start(lab, family, resources) -> Start:
    def started(
        wait: str = f"{int(WAIT_S * 1000)}ms", udp: str = "60s", **how
    ) -> waylay.Daemon:
        text = config(family, wait, udp)
        return resources.enter_context(waylay.Daemon(lab.gw, text, **how))

    return started


@pytest.fixture
def proxy(lab, family, resources) -> Callable[..., Proxy]:
    def begun(**how) -> Proxy:
        return resources.enter_context(Proxy(lab.srv2, family, PROXY_PORT, **how))

    return begun


@pytest.fixture
def client(lab, family, resources) -> Callable[[int], socket.socket]:
    """client(8001): a socket that is connected to that port of srv, with a port
    that no other one of the scenario has."""
    ports = itertools.count(FIRST_OWN_PORT)

    def connected(port: int) -> socket.socket:
        s = resources.enter_context(lab.cli.udp(family, next(ports)))
        s.connect((lab.srv.address(family), port))
        return s

    return connected


@pytest.fixture
def server(lab, family, resources) -> socket.socket:
    return resources.enter_context(lab.srv.udp(family, PLAIN))


def counter(daemon: waylay.Daemon, name: str) -> int:
    return daemon.status()["counters"][name]


def assert_refused(s: socket.socket) -> None:
    with pytest.raises(ConnectionRefusedError):
        s.recv(100)


def exchange(own: Proxy, near: socket.socket) -> tuple[str, int]:
    """A byte to the proxy and back; where waylay sent it from."""
    to = near.getpeername()[:2]
    near.send(b"?")
    text, peer = own.udp.recvfrom(100)
    assert text == own.header(to) + b"?"
    own.udp.sendto(own.header(to) + b"!", peer)
    assert near.recv(100) == b"!"
    return peer


# --- looking for a name ----------------------------------------------------------


def test_each_of_many_names_is_found(family, start, client, server):
    """One after the other, more than can be looked for at once."""
    daemon = start()
    (datagram,) = initials("other.example")
    for _ in range(QUICS_MAX + 1):
        client(PLAIN).send(datagram)
        assert server.recv(2000) == datagram
    assert counter(daemon, "name_quic") == QUICS_MAX + 1


def test_T12_when_too_many_are_looked_at_the_next_has_no_name(
    family, start, client, server
):
    """It goes where a flow without a name goes, and does not wait."""
    daemon = start(wait="60s")
    half = initials("refused.example", pieces=2)[0]
    for _ in range(QUICS_MAX):
        client(PLAIN).send(half)
    wait_for("all are looked at", lambda: len(daemon.flows()) == QUICS_MAX)
    last = client(PLAIN)
    last.send(half)
    text, peer = server.recvfrom(2000)
    assert (text, peer) == (half, last.getsockname())
    assert counter(daemon, "name_none") == 1


def test_a_named_flow_waits_for_its_proxy(family, start, proxy, client):
    """`sniff wait` is over then, and no affair of the proxy's."""
    daemon = start()
    own = proxy(silence_s=UPSTREAM_S * 0.9)
    near = client(PROXIED)
    (datagram,) = initials("other.example")
    near.send(datagram)
    assert own.udp.recv(2000) == own.header(near.getpeername()[:2]) + datagram
    (flow,) = daemon.flows()
    assert (flow["name"], flow["state"]) == ("other.example", "relaying")
    assert flow["open_ms"] > WAIT_S * 1000


def test_what_is_no_quic_is_dropped_as_the_rule_says(family, start, client):
    """Not by the engine: the rules before that one ask for a name."""
    daemon = start()
    client(DROPPED).send(b"no quic at all")
    wait_for("it is dropped", lambda: counter(daemon, "dropped") == 1)
    assert not daemon.flows()


def test_open_is_never_said_to_take_no_time_at_all(family, start, client, server):
    """0 would mean that it never opened."""
    daemon = start()
    client(PLAIN).send(b"?")
    assert server.recv(100) == b"?"
    (flow,) = daemon.flows()
    assert flow["open_ms"] >= 1


# --- proxies and time ------------------------------------------------------------


def test_T12_a_silent_proxy_is_given_up(family, start, proxy, client):
    daemon = start()
    own = proxy(silence_s=20)
    near = client(PROXIED)
    near.send(b"?")
    assert_refused(near)
    daemon.wait_ended(upstream="one", end="upstream-timeout")
    assert own.tcp.connections == 1


def test_an_association_outlives_the_time_it_had_to_open(
    family, start, proxy, client
):
    daemon = start()
    own, near = proxy(), client(PROXIED)
    end = time.monotonic() + 2 * UPSTREAM_S

    def is_longer() -> bool:
        exchange(own, near)
        return time.monotonic() > end

    wait_for("twice that time", is_longer)
    assert own.tcp.connections == 1
    assert counter(daemon, "upstream_failed") == 0


def test_F41_a_proxy_that_is_not_there_is_noted(family, start, client):
    daemon = start()
    for number in range(1, FALL + 1):
        with client(PROXIED) as near:
            near.send(b"?")
            assert_refused(near)
        assert counter(daemon, "upstream_failed") == number
    (row,) = [r for r in daemon.ask("upstream")["upstreams"] if r["name"] == "one"]
    assert (row["health"], row["failed"]) == ("down", FALL)


def test_who_has_no_address_yet_is_passed_over(family, start, proxy, client):
    """Its name is not known: nothing can be sent to it."""
    daemon = start()
    exchange(proxy(), client(GROUPED))
    (flow,) = daemon.flows()
    assert (flow["upstream"], flow["attempts"]) == ("one", 2)


# --- associations --------------------------------------------------------------


@pytest.fixture
def second_address(lab, family) -> None:
    bits = {"v4": 24, "v6": 64}[family]
    word = [] if family == "v4" else ["nodad"]
    what = (f"{SECOND[family]}/{bits}", "dev", "wan1", *word)
    lab.gw.run("ip", "address", "add", *what)
    yield
    lab.gw.run("ip", "address", "del", *what[:3])


def test_R_SOCKS_6_both_sockets_speak_from_the_same_address(
    family, second_address, start, proxy, client
):
    """The proxy knows us by that of the control connection."""
    start()
    own = proxy()
    peer = exchange(own, client(SECONDED))
    control = wait_for("the control connection", lambda: own.controls)[0]
    assert peer[0] == control.getpeername()[0] == SECOND[family]


def test_last_answers_arrive_before_the_end(family, start, proxy, client):
    """The proxy closes and then answers; both are seen in one turn."""
    daemon = start()
    own, near = proxy(), client(PROXIED)
    peer = exchange(own, near)
    worker = daemon.serving_workers()[0]["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_for("the control connection", lambda: own.controls)
        own.controls[0].shutdown(socket.SHUT_RDWR)
        own.udp.sendto(own.header(near.getpeername()[:2]) + b"last", peer)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert near.recv(100) == b"last"
    daemon.wait_ended(upstream="one", end="upstream-lost")


def test_associations_that_ended_keep_no_descriptor(family, start, proxy, client):
    """As many as the worker may have open, one after the other."""
    start(wrapper=("prlimit", f"--nofile={DESCRIPTORS}"))
    for _ in range(DESCRIPTORS):
        with client(PROXIED) as near:
            near.send(b"?")
            assert_refused(near)
    own = proxy()
    exchange(own, client(PROXIED))


# --- who is told ----------------------------------------------------------------


def hosts(lab, family: str) -> list[tuple[str, int]]:
    """Two servers, so two flows of one client socket."""
    address = lab.srv.address(family)
    return [(address, PROXIED), (address[:-1] + "1", PROXIED)]


ERRORS = {  # level, RECVERR
    "v4": (socket.IPPROTO_IP, 11),
    "v6": (socket.IPPROTO_IPV6, 25),
}


def refused_server(lab, s: socket.socket, family: str) -> str:
    """Whose datagram the ICMP error quotes, from the error queue."""

    def error() -> bytes | None:
        try:
            *_, name = s.recvmsg(100, 1000, socket.MSG_ERRQUEUE)
            return name[0]
        except BlockingIOError:
            return None

    return wait_for("an error", error)


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_flows_the_refused_one_is_told(
    lab, family, start, proxy, resources, which
):
    start()
    own = proxy()
    near = resources.enter_context(lab.cli.udp(family))
    near.setsockopt(*ERRORS[family], 1)
    near.setblocking(False)
    for to in hosts(lab, family):
        near.sendto(b"?", to)
        assert own.udp.recv(100) == own.header(to) + b"?"
    own.udp.close()
    to = hosts(lab, family)[which]
    near.sendto(b"?", to)
    assert refused_server(lab, near, family) == to[0]


def test_bytes_of_a_server_that_nobody_asked_are_counted(
    lab, family, start, proxy, client
):
    daemon = start()
    own, near = proxy(), client(PROXIED)
    peer = exchange(own, near)
    before = counter(daemon, "udp_dgrams_down")
    other = (hosts(lab, family)[1][0], 9999)
    own.udp.sendto(own.header(other) + b"from another", peer)
    exchange(own, near)
    assert counter(daemon, "udp_dgrams_down") == before + 2
