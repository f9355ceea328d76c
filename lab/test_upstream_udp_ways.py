# SPDX-License-Identifier: Apache-2.0
"""Which way UDP flows take: groups, names, what ends a way and what is too long.

    cli ── lan0 ─ gw: waylayd ─┬─ wan1 ── srv2: SOCKS5 proxies of the test's own
                               └─ wan2 ─ rtr2 ─ far: one behind a small path MTU

The server port chooses the upstream.  There is no plain gateway, since all of
it is about proxies that a router does not have; what they say wrong is in
test_upstream_udp_faults.py.
"""

import errno
import socket
import struct

import pytest

import waylay
from hello import initials
from namespace import Namespace
from observers import LeakObserver
from topology import NETS, UP
from udp_proxy import ATYP, NUMBER, Proxy
from wait import wait_for

FAR = {"v4": "198.18.4.10", "v6": "[2001:db8:4::10]"}
ONE, TWO, RESOLVING = 1081, 1082, 1083
PROXIES = {"one": ONE, "two": TWO}
GROUPS = {8001: "both", 8002: "last", 8003: "some", 8004: "straight"}
PORTS = {8005: "names", 8006: "one", 8007: "distant"}
FAR_PATH_MTU = 1300
SOCKS_HEADER = {"v4": 10, "v6": 22}


def upstreams(f: str) -> str:
    return f"""
    upstream one-{f}     {{ via socks5 {UP[f]}:{ONE}; udp on }}
    upstream two-{f}     {{ via socks5 {UP[f]}:{TWO}; udp on }}
    upstream deaf-{f}    {{ via socks5 {UP[f]}:{ONE} }}
    upstream names-{f}   {{ via socks5 {UP[f]}:{RESOLVING}; udp on; resolve on }}
    upstream distant-{f} {{ via socks5 {FAR[f]}:{ONE}; udp on }}
    group both-{f}       {{ members one-{f}, two-{f}; balance first }}
    group last-{f}       {{ members one-{f}; fallback two-{f} }}
    group some-{f}       {{ members deaf-{f}, two-{f}; balance first }}
    group straight-{f}   {{ members one-{f}; fallback direct }}
    """


def rules(f: str) -> str:
    ways = {**GROUPS, **PORTS}
    return "\n".join(f"dst {NETS[f]} port {p} -> {n}-{f}" for p, n in ways.items())


CONFIG = f"""
engine {waylay.ENGINE}; workers 1; on-failure closed
timeouts {{ connect 2s; upstream 2s; udp 60s }}
sniff {{ quic; wait 500ms }}
intercept lan {{ from lan0; udp any }}
{upstreams("v4")}
{upstreams("v6")}
rules {{
    domain nobody.example -> reject  # a rule that needs a name
    {rules("v4")}
    {rules("v6")}
    default -> direct
}}
"""


@pytest.fixture
def start(lab, resources):
    """start(): a daemon to which nobody is down yet."""

    def started(text: str = CONFIG) -> waylay.Daemon:
        return resources.enter_context(waylay.Daemon(lab.gw, text))

    return started


@pytest.fixture
def daemon(start):
    return start()


@pytest.fixture(scope="module", autouse=True)
def far(lab):
    lab.add_far()


# --- a proxy ---------------------------------------------------------------------


@pytest.fixture
def proxy(lab, family, resources):
    """proxy("one", rep=1): it is there until the scenario ends."""

    def start(name: str, host: Namespace | None = None, **how) -> Proxy:
        port = PROXIES.get(name, RESOLVING)
        made = Proxy(host or lab.srv2, family, port, **how)
        return resources.enter_context(made)

    return start


@pytest.fixture
def client(lab, family, resources):
    """client(8001): a socket that is connected to that port of srv."""

    def connected(port: int) -> socket.socket:
        s = resources.enter_context(lab.cli.udp(family))
        s.connect((lab.srv.address(family), port))
        return s

    return connected


def counters(daemon: waylay.Daemon) -> dict[str, int]:
    return daemon.status()["counters"]


def assert_refused(s: socket.socket) -> None:
    with pytest.raises(ConnectionRefusedError):
        s.recv(100)


# --- groups ----------------------------------------------------------------------


@pytest.mark.parametrize("port", [8001, 8002], ids=["member", "fallback"])
@pytest.mark.parametrize("how", ["refuses", "is not there", "closes"])
def test_F41_what_was_held_goes_to_the_next(
    lab, daemon, family, proxy, client, port, how
):
    if how == "refuses":
        proxy("one", rep=1)
    if how == "closes":
        proxy("one", rep=5, stays=False)
    two = proxy("two")
    near = client(port)
    to = near.getpeername()[:2]
    for number in range(8):
        near.send(bytes([number]))
    for number in range(8):
        assert two.udp.recv(100) == two.header(to) + bytes([number])
    (flow,) = [f for f in daemon.flows() if f["upstream"] == f"two-{family}"]
    assert flow["attempts"] == 2


def test_a_member_without_udp_is_passed_over(lab, daemon, family, proxy, client):
    one, two = proxy("one"), proxy("two")
    near = client(8003)
    near.send(b"?")
    assert two.udp.recv(100)[-1:] == b"?"
    assert one.tcp.connections == 0


def test_fallback_direct_is_as_the_rule_says(lab, daemon, family, resources, client):
    far = resources.enter_context(lab.srv.udp(family, 8004))
    client(8004).send(b"?")
    text, peer = far.recvfrom(100)
    assert (text, peer[0]) == (b"?", lab.cli.address(family))


# --- the end of a way ------------------------------------------------------------


def test_T07_an_address_of_this_host_alone_is_refused(
    lab, daemon, family, proxy, client
):
    """A proxy elsewhere that says "send them to 127.0.0.1"."""
    loopback = {"v4": "127.0.0.1", "v6": "::1"}[family]
    one = proxy("one", bound=loopback)
    port = one.udp.getsockname()[1]
    with lab.gw.new_socket(family, socket.SOCK_DGRAM) as canary:
        canary.bind((loopback, port))
        canary.setblocking(False)
        near = client(8006)
        near.send(b"?")
        assert_refused(near)
        with pytest.raises(BlockingIOError):
            canary.recv(100)
    ended = daemon.wait_ended(upstream=f"one-{family}", end="upstream-protocol")
    assert ended["bytes_up"] == 0


def test_R_SOCKS_6_closed_with_the_answer(lab, daemon, family, proxy, client):
    """The end comes in the same packet as the yes."""
    before = counters(daemon)["udp_association_lost"]
    proxy("one", stays=False)
    client(8006).send(b"?")
    wait_for(
        "the association's end",
        lambda: counters(daemon)["udp_association_lost"] == before + 1,
    )
    daemon.wait_ended(upstream=f"one-{family}", end="upstream-lost")


def test_a_dead_port_of_the_proxy_is_told(lab, daemon, family, proxy, client):
    one = proxy("one")
    near = client(8006)
    near.send(b"?")
    one.udp.recv(100)
    one.udp.close()
    near.send(b"?")
    assert_refused(near)


def test_disabled_ends_flows_and_association(lab, daemon, family, proxy, client):
    one = proxy("one")
    name = f"one-{family}"
    near = client(8006)
    near.send(b"?")
    one.udp.recv(100)
    control = wait_for("the control connection", lambda: one.controls)[0]
    try:
        assert daemon.tool("upstream", "disable", name).returncode == 0
        daemon.wait_ended(upstream=name, end="upstream-disabled")
        wait_for("the control connection's end", lambda: control.fileno() < 0)
        near.send(b"?")
        assert_refused(near)
    finally:
        daemon.tool("upstream", "enable", name)


def test_the_last_flow_ends_the_association(lab, start, family, proxy, resources):
    daemon = start(CONFIG.replace("udp 60s", "udp 1s"))
    one = proxy("one")
    near = resources.enter_context(lab.cli.udp(family))
    for host in (10, 11):
        to = lab.srv.address(family)[:-2] + str(host)
        near.sendto(b"?", (to, 8006))
        one.udp.recv(100)
    assert one.tcp.connections == 1
    control = wait_for("the control connection", lambda: one.controls)[0]
    wait_for("its end", lambda: control.fileno() < 0, 10)
    assert counters(daemon)["udp_association_lost"] == 0
    assert not daemon.flows()


# --- names -----------------------------------------------------------------------


def test_the_proxy_is_told_the_name(lab, daemon, family, proxy, resources):
    """And what it answers, from wherever, comes from the server that was asked;
    a flow without a name has another association."""
    names = proxy("names")
    to = (lab.srv.address(family), 8005)
    near = resources.enter_context(lab.cli.udp(family))
    (datagram,) = initials("www.example.org")
    near.sendto(datagram, to)
    text, named = names.udp.recvfrom(2000)
    assert text == names.header((b"www.example.org", 8005)) + datagram
    other = (lab.srv.address(family)[:-2] + "99", 4433)
    names.udp.sendto(names.header(other) + b"answer", named)
    answer, source = near.recvfrom(100)
    assert (answer, source[:2]) == (b"answer", to)
    second = (lab.srv.address(family)[:-2] + "12", 8005)
    near.sendto(b"no quic", second)
    text, unnamed = names.udp.recvfrom(2000)
    assert text == names.header(second) + b"no quic"
    assert unnamed[1] != named[1]


# --- answers that no server can have sent ------------------------------------------

IMPOSSIBLE = {
    "v4": ("127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1"),
    "v6": ("::1", "::", "ff02::1", "fe80::1", "::ffff:192.0.2.1"),
}
OTHER_FAMILY = {"v4": ("v6", "2001:db8:2::10"), "v6": ("v4", "198.51.100.10")}


def test_T07_answers_from_impossible_addresses_are_dropped(
    lab, daemon, family, proxy, client
):
    one = proxy("one")
    near = client(8006)
    near.send(b"?")
    _, peer = one.udp.recvfrom(100)
    for address in IMPOSSIBLE[family]:
        one.udp.sendto(one.header((address, 8006)) + b"wrong", peer)
    other, address = OTHER_FAMILY[family]
    place = ATYP[other] + socket.inet_pton(NUMBER[other], address)
    one.udp.sendto(b"\0\0\0" + place + b"\x1f\x46wrong", peer)
    one.udp.sendto(one.header((near.getpeername()[0], 0)) + b"no port", peer)
    one.udp.sendto(one.header(near.getpeername()[:2]) + b"right", peer)
    assert near.recv(100) == b"right"
    assert counters(daemon)["udp_bad_header"] == len(IMPOSSIBLE[family]) + 2


# --- size ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 9000, 60000])
def test_any_size_goes_through(lab, daemon, family, proxy, client, size):
    one = proxy("one")
    near = client(8006)
    to = near.getpeername()[:2]
    near.send(b"so that the association is open")
    _, peer = one.udp.recvfrom(100)
    text = bytes(i % 251 for i in range(size))
    near.send(text)
    assert one.udp.recv(65535) == one.header(to) + text
    one.udp.sendto(one.header(to) + text[::-1], peer)
    assert near.recv(65535) == text[::-1]


def test_R_MTU_3_the_header_is_taken_off_the_mtu(
    lab, daemon, family, proxy, client
):
    """IPv6 is never told less than 1280, R-MTU-4: 1300 - 22 is."""
    far = proxy("one", host=lab.far)
    near = client(8007)
    level, discover, mtu = {
        "v4": (socket.IPPROTO_IP, 10, 14),  # IP_MTU_DISCOVER, IP_MTU
        "v6": (socket.IPPROTO_IPV6, 23, 24),
    }[family]
    near.setsockopt(level, discover, 3)  # IP_PMTUDISC_PROBE
    near.send(b"small")
    assert far.udp.recv(2000)[-5:] == b"small"
    near.send(bytes(1350))
    with pytest.raises(OSError) as problem:
        near.recv(100)
    assert problem.value.errno == errno.EMSGSIZE
    expected = max(FAR_PATH_MTU - SOCKS_HEADER[family], 1280 if family == "v6" else 0)
    assert near.getsockopt(level, mtu) == expected
    text = bytes(expected - {"v4": 28, "v6": 48}[family])
    near.setsockopt(level, discover, 2)  # IP_PMTUDISC_DO
    near.send(text)  # R-MTU-4: as long as it may be, and it arrives
    assert far.udp.recv(2000)[-len(text) :] == text


# --- nothing goes direct ---------------------------------------------------------


def test_F41_nobody_left_is_no_leak(lab, daemon, family, client):
    leaks = LeakObserver(lab.srv)
    for port in (8001, 8002, 8003, 8005, 8006):
        near = client(port)
        near.send(b"?")
        assert_refused(near)
    assert leaks.forwarded() == 0
