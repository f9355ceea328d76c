# SPDX-License-Identifier: Apache-2.0
"""K18: what do tcp_fwmark_accept=1 and fwmark_reflect=1 do to interception?

    cli ── SYN, marked M ──► gw: listener
        ◄── SYN-ACK, RST, last ACK, port unreachable: to lan0, or to lo?

With the rule PLAIN (fwmark M lookup T) both are fatal.  tcp_fwmark_accept=1
gives the answers the SYN's mark: the SYN-ACK is routed to lo, nobody connects.
fwmark_reflect=1 does so to what the kernel answers without a socket: clients
never see an RST, wait in LAST_ACK, and get no port unreachable.  The rules of
K4, IIF and DETOUR, are immune to both, as answers have iif lo; and so is a
listener with a mark of its own, which then is the accepted socket's mark.

Found by the way: from a foreign address IPv4 sends no port unreachable at all,
whatever is set, and IPv6 does.
"""

import socket
from collections.abc import Iterator

import pytest
from kernel.netfilter import (
    MARK,
    MARK_NUMBER,
    PLAIN_RULE,
    TABLE,
    assert_intercepted,
    counters,
    has_connection,
    intercepted_by,
    is_connected,
    routed_by,
    ruleset,
    start_connect,
    transparent_listener,
)

from endings import end_of
from namespace import SOCKET_TIMEOUT_S, Namespace
from wait import wait_for

PORT = 80
LISTENER_MARK = 0x400  # outside the rule's mask
RULES = {
    "plain": PLAIN_RULE,
    "iif": (f"iif lan0 fwmark {MARK} lookup {TABLE}",),
    "detour": (f"iif lo fwmark {MARK} goto 32766", *PLAIN_RULE),
}
SYN_ACK = "tcp flags & (syn | ack) == syn | ack"
RST = "tcp flags & rst == rst"
PURE_ACK = "tcp flags & (syn | fin | rst | ack) == ack"
UNREACHABLE = "meta l4proto { icmp, ipv6-icmp }"


def ways_of(match: str) -> str:
    """Where packets of this kind leave to."""
    return f"""
        counter lo {{ }}
        counter lan0 {{ }}
        chain postrouting {{
            type filter hook postrouting priority 0;
            oifname "lo" {match} counter name lo
            oifname "lan0" {match} counter name lan0
        }}"""


MARK_DATAGRAMS = f"""
    chain prerouting {{
        type filter hook prerouting priority mangle;
        iifname "lan0" udp dport {PORT} meta mark set {MARK_NUMBER}
    }}"""


@pytest.fixture(params=RULES)
def rule(request, lab) -> Iterator[str]:
    with routed_by(lab.gw, *RULES[request.param]):
        yield request.param


@pytest.fixture(params=[0, 1], ids=["off", "on"])
def accept_mark(request, lab) -> Iterator[bool]:
    with lab.gw.sysctls({"net.ipv4.tcp_fwmark_accept": request.param}):
        yield bool(request.param)


@pytest.fixture(params=[0, 1], ids=["off", "on"])
def reflect(request, lab) -> Iterator[bool]:
    names = ("net.ipv4.fwmark_reflect", "net.ipv6.fwmark_reflect")
    with lab.gw.sysctls(dict.fromkeys(names, request.param)):
        yield bool(request.param)


@pytest.fixture
def listener(lab, family) -> Iterator[socket.socket]:
    with intercepted_by("nft", lab.gw, "lan0"):
        with transparent_listener(lab.gw, family) as listener:
            yield listener


@pytest.fixture
def to(lab, family) -> tuple[str, int]:
    return (lab.srv.address(family), PORT)


def way(host: Namespace) -> str:
    """Of the first packet that was counted."""
    seen = wait_for("an answer", lambda: [k for k, n in counters(host).items() if n])
    assert len(seen) == 1
    return seen[0]


def mark_of(s: socket.socket) -> int:
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK)


# --- tcp_fwmark_accept --------------------------------------------------------


def test_the_syn_ack(lab, family, rule, listener, to, accept_mark):
    is_lost = accept_mark and rule == "plain"
    with ruleset(lab.gw, "ways", ways_of(SYN_ACK)), start_connect(lab.cli, to) as c:
        assert way(lab.gw) == ("lo" if is_lost else "lan0")
        if is_lost:
            assert not is_connected(c) and not has_connection(listener)
            return
        wait_for("a connection", lambda: is_connected(c))
        with listener.accept()[0] as server:
            assert mark_of(server) == (MARK_NUMBER if accept_mark else 0)


def test_a_listener_with_a_mark_is_immune(
    lab, family, rule, listener, to, accept_mark
):
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, LISTENER_MARK)
    assert_intercepted(lab.cli, listener, to)
    with lab.cli.connect(to), listener.accept()[0] as server:
        assert mark_of(server) == LISTENER_MARK


# --- fwmark_reflect -----------------------------------------------------------


def test_an_rst(lab, family, rule, listener, to, reflect):
    is_lost = reflect and rule == "plain"
    with lab.cli.connect(to) as client:
        listener.accept()[0].close()
        assert end_of(client) == "fin"
        with ruleset(lab.gw, "ways", ways_of(RST)):
            client.send(b"to nobody")
            assert way(lab.gw) == ("lo" if is_lost else "lan0")
        if is_lost:
            client.send(b"nobody told me")
        else:
            with pytest.raises(BrokenPipeError):
                wait_for("RST", lambda: client.send(b"?") == 0)


def test_the_last_ack(lab, family, rule, listener, to, reflect):
    is_lost = reflect and rule == "plain"
    client = lab.cli.connect(to)
    port = client.getsockname()[1]
    listener.accept()[0].close()
    assert end_of(client) == "fin"
    # From now on the kernel answers for a socket that is gone.
    wait_for("FIN-WAIT-2", lambda: has_tcp(lab.gw, "fin-wait-2", f"dport = :{port}"))
    with ruleset(lab.gw, "ways", ways_of(PURE_ACK)):
        client.close()
        assert way(lab.gw) == ("lo" if is_lost else "lan0")
    def waits() -> bool:
        return has_tcp(lab.cli, "last-ack", f"sport = :{port}")

    if is_lost:
        assert waits()
    else:
        wait_for("the end", lambda: not waits())


def has_tcp(host: Namespace, state: str, words: str) -> bool:
    return bool(host.run("ss", "-Htn", "state", state, *words.split()).stdout)


def test_port_unreachable(lab, family, rule, to, reflect):
    """A marked datagram that no socket wants."""
    is_lost = family == "v4" or (reflect and rule == "plain")
    with (
        ruleset(lab.gw, "marks", MARK_DATAGRAMS),
        ruleset(lab.gw, "ways", ways_of(UNREACHABLE)),
        lab.cli.udp(family) as client,
    ):
        before = no_ports(lab.gw)
        client.connect(to)
        client.send(b"?")
        if family == "v4":
            wait_for("NoPorts", lambda: no_ports(lab.gw) > before)
        else:
            assert way(lab.gw) == ("lo" if is_lost else "lan0")
        client.settimeout(0.1 if is_lost else SOCKET_TIMEOUT_S)
        with pytest.raises(TimeoutError if is_lost else ConnectionRefusedError):
            client.recv(1)
        assert family == "v6" or counters(lab.gw) == {"lo": 0, "lan0": 0}


def no_ports(host: Namespace) -> int:
    """NoPorts of UDP over IPv4."""
    with host.inside(), open("/proc/thread-self/net/snmp") as file:
        head, values = [line.split() for line in file if line.startswith("Udp:")]
    return int(values[head.index("NoPorts")])
