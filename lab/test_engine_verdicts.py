# SPDX-License-Identifier: Apache-2.0
"""Each engine, and verdicts that it gives alone: direct, reject, drop.

Rules that need no more than addresses are decided before the relay sees the
flow.  The plain gateway has no rules: there the server is always reached.
"""

import select
import socket
import struct


import waylay
from each_engine import engine_of, gateway, talk_tcp, talk_udp  # noqa: F401
from endings import connection_outcome

DIRECT, REJECTED, DROPPED = 7201, 7202, 7203
GATEWAY_LAN = {"v4": "192.0.2.1", "v6": "2001:db8:1::1"}


def config(engine: str) -> str:
    rules = f"""rules {{
    port {DIRECT}   -> direct
    port {REJECTED} -> reject
    port {DROPPED}  -> drop
"""
    return waylay.config(engine=engine).replace("rules {", rules)


def flow_ports(daemon: waylay.Daemon) -> set[str]:
    """Of servers."""
    return {flow["server"].rpartition(":")[2] for flow in daemon.flows() + daemon.ended()}


def counted(gateway, name: str) -> int:
    """By the engine."""
    shown = gateway.daemon.ask("rules", "show")["counters"]
    return sum(one["value"] for one in shown if one["name"] == name)


def outcome(lab, family: str, port: int) -> str:
    def connect() -> socket.socket:
        s = lab.cli.new_socket(family, socket.SOCK_STREAM)
        s.settimeout(0.3)
        s.connect((lab.srv.address(family), port))
        return s

    return connection_outcome(connect)


# --- direct ---------------------------------------------------------------------


def test_direct_is_forwarded_and_in_no_book(lab, gateway, family, leaks):
    talk_tcp(lab.cli, lab.srv, family, DIRECT)
    assert leaks.forwarded() > 0 and leaks.own() == 0
    leaks.reset()
    talk_udp(lab.cli, lab.srv, family, DIRECT)
    assert (leaks.forwarded(), leaks.own()) == (1, 0)
    talk_tcp(lab.cli, lab.srv, family, 80)
    talk_udp(lab.cli, lab.srv, family, 80)
    if gateway.is_waylay:
        gateway.daemon.wait_ended(upstream="out")
        assert flow_ports(gateway.daemon) == {"80"}
        assert counted(gateway, "passed_direct") > 0


# --- reject ---------------------------------------------------------------------


def test_reject_refuses_a_connection(lab, gateway, family, leaks, resources):
    """A reset is taken only from the server's own address and port."""
    resources.enter_context(lab.srv.listen(family, REJECTED))
    if not gateway.is_waylay:
        assert outcome(lab, family, REJECTED) == "timeout"  # accepted, silent
        return
    assert outcome(lab, family, REJECTED) == "ECONNREFUSED"
    assert (leaks.forwarded(), leaks.own()) == (0, 0)
    assert counted(gateway, "rejected_tcp") > 0
    assert str(REJECTED) not in flow_ports(gateway.daemon)


RECVERR = {"v4": (socket.IPPROTO_IP, 11), "v6": (socket.IPPROTO_IPV6, 25)}
SOCKADDR_AT = 16  # behind struct sock_extended_err, the offender
ADDRESS_AT = {"v4": (SOCKADDR_AT + 4, 4), "v6": (SOCKADDR_AT + 8, 16)}
PORT_UNREACHABLE = {"v4": (3, 3), "v6": (1, 4)}


def test_reject_of_a_datagram_names_whom_it_should(
    lab, gateway, family, leaks, resources
):
    """netfilter answers with the gateway's address, as a router would; without
    it, and on the plain gateway, the answer is the server's."""
    if gateway.is_waylay:
        resources.enter_context(lab.srv.udp(family, REJECTED))
    client = resources.enter_context(lab.cli.udp(family))
    client.setsockopt(*RECVERR[family], 1)
    client.connect((lab.srv.address(family), REJECTED))
    client.send(b"question")
    offender, kind = next_error(client, family)
    by_gateway = engine_of(gateway) in ("nft", "iptables")
    expected = GATEWAY_LAN[family] if by_gateway else lab.srv.address(family)
    assert (offender, kind) == (expected, PORT_UNREACHABLE[family])
    if gateway.is_waylay:
        assert (leaks.forwarded(), leaks.own()) == (0, 0)
        assert counted(gateway, "rejected_udp") > 0


def next_error(s: socket.socket, family: str) -> tuple[str, tuple[int, int]]:
    """Who sent the ICMP error about a datagram of s, its type and code."""
    poll = select.poll()
    poll.register(s, 0)
    assert poll.poll(5000), "no error came"
    _, ancillary, _, _ = s.recvmsg(100, 512, socket.MSG_ERRQUEUE)
    (data,) = (d for level, name, d in ancillary if (level, name) == RECVERR[family])
    at, length = ADDRESS_AT[family]
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    offender = socket.inet_ntop(number, data[at : at + length])
    return offender, struct.unpack_from("BB", data, 5)


# --- drop -----------------------------------------------------------------------


def test_drop_is_silence_and_counted(lab, gateway, family, leaks, resources):
    server = resources.enter_context(lab.srv.udp(family, DROPPED))
    resources.enter_context(lab.srv.listen(family, DROPPED))
    before = gateway.is_waylay and counted(gateway, "dropped_rule")
    with lab.cli.udp(family) as client:
        client.sendto(b"question", server.getsockname())
    assert outcome(lab, family, DROPPED) == "timeout"
    assert bool(leaks.forwarded()) != gateway.is_waylay
    assert leaks.own() == 0
    if gateway.is_waylay:
        assert counted(gateway, "dropped_rule") >= before + 2
        assert str(DROPPED) not in flow_ports(gateway.daemon)
