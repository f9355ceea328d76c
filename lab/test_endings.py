# SPDX-License-Identifier: Apache-2.0
"""FIN, RST, refusal and silence arrive as what they are, and not too early.

A pair's ends are called by who acts: `first` ends its direction, `other`
looks on.  Where waylay has accepted the client before it knows the server,
a refusal becomes a reset; it is never an empty, clean close.
"""

import errno
import socket

import pytest

import waylay
from endings import (
    assert_alive,
    assert_stream_arrives,
    connection_outcome,
    end_of,
    finish,
    reset,
)
from namespace import endpoint
from wait import wait_for

# Two seconds: some errors are only told for the second SYN.
CONFIG = waylay.config(more="timeouts { connect 2s; }")

MEGA = 1 << 20
SIZES = pytest.mark.parametrize("size", [0, 1, 5 * MEGA])
WHO = pytest.mark.parametrize("who", ["client", "server"])


def ordered(pair, family: str, who: str) -> tuple[socket.socket, socket.socket]:
    ends = pair(family)
    return (ends.client, ends.server)[:: 1 if who == "client" else -1]


# --- FIN ----------------------------------------------------------------------


@WHO
@SIZES
def test_F43_data_before_fin_arrive_first(pair, gateway, family, who, size):
    first, other = ordered(pair, family, who)
    assert_stream_arrives(first, other, size)
    assert_stream_arrives(other, first, 0)


@WHO
@SIZES
def test_F43_the_other_direction_flows_on_after_fin(pair, gateway, family, who, size):
    first, other = ordered(pair, family, who)
    finish(first)
    assert other.recv(1) == b""
    assert_stream_arrives(other, first, size)


@WHO
def test_F43_a_half_closed_flow_lives_on(pair, gateway, family, who):
    first, other = ordered(pair, family, who)
    finish(first)
    assert other.recv(1) == b""
    for _ in range(10):
        other.sendall(b"more")
        assert first.recv(10) == b"more"
    first.settimeout(0.3)
    assert end_of(first) == "timeout"  # no FIN is invented


def test_F43_a_finished_flow_is_recorded(pair, gateway, family):
    ends = pair(family)
    client = "%s:%d" % ends.client.getsockname()[:2]
    ends.client.sendall(b"12345")
    finish(ends.client)
    assert ends.server.recv(10) == b"12345"
    ends.server.sendall(b"678")
    ends.server.close()
    assert ends.client.recv(10) == b"678"
    assert end_of(ends.client) == "fin"
    if gateway.is_waylay and family == "v4":
        record = gateway.daemon.wait_ended(client=client)
        assert (record["bytes_up"], record["bytes_down"]) == (5, 3)
        assert record["end"] == "finished"


# --- RST ----------------------------------------------------------------------


def idle(first: socket.socket, other: socket.socket) -> None:
    assert_alive(first, other)


def mid_stream(first: socket.socket, other: socket.socket) -> None:
    """Data of the first are on their way, unread."""
    first.setblocking(False)
    for _ in range(100):
        try:
            first.send(bytes(65536))
        except BlockingIOError:
            break
    first.setblocking(True)


def own_fin_sent(first: socket.socket, other: socket.socket) -> None:
    """With nothing on its way that would meet the reset by chance."""
    finish(first)
    assert other.recv(1) == b""
    other.sendall(b"unread")
    wait_for("data at the first", lambda: first.recv(1, socket.MSG_PEEK))


def other_fin_received(first: socket.socket, other: socket.socket) -> None:
    finish(other)
    assert first.recv(1) == b""


def unread_data(first: socket.socket, other: socket.socket) -> None:
    """The first closes without having read: its kernel resets."""
    other.sendall(b"unread")
    wait_for("data at the first", lambda: first.recv(1, socket.MSG_PEEK))


@WHO
@pytest.mark.parametrize(
    "state", [idle, mid_stream, own_fin_sent, other_fin_received, unread_data]
)
def test_F44_a_reset_arrives_as_a_reset(pair, gateway, family, who, state):
    first, other = ordered(pair, family, who)
    state(first, other)
    if state is unread_data:
        first.close()
    else:
        reset(first)
    assert wait_for("an end", lambda: reset_seen(other))


def reset_seen(s: socket.socket) -> bool:
    """A reset shows in reading, or, after the peer's FIN, in the error queue."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        return True
    number = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return number in (errno.EPIPE, errno.ECONNRESET)


# --- servers that do not answer well ------------------------------------------


def server_table(*rules: str) -> str:
    text = "; ".join(rules)
    return f"""
        table inet refusing
        delete table inet refusing
        table inet refusing {{
            chain input {{ type filter hook input priority 0; {text}; }}
        }}
    """


@pytest.fixture
def refusing(lab, resources):
    """refusing(rule...): what srv does with a packet, until the test ends."""

    def install(*rules: str) -> None:
        lab.srv.nft(server_table(*rules))
        resources.callback(lab.srv.run, "nft", "delete", "table", "inet", "refusing")

    return install


def outcome(lab, family: str, port: int, patience_s: float = 5) -> str:
    def connect() -> socket.socket:
        s = lab.cli.new_socket(family, socket.SOCK_STREAM)
        s.settimeout(patience_s)
        s.connect((lab.srv.address(family), port))
        return s

    return connection_outcome(connect)


def test_F40_a_server_refuses(lab, gateway, family):
    assert outcome(lab, family, 7001) in permitted(gateway, "ECONNREFUSED")
    assert_record(gateway, lab, family, 7001, "server-refused")


@pytest.mark.parametrize(
    "code, error",
    [
        ("host-unreachable", "EHOSTUNREACH"),
        ("no-route", "ENETUNREACH"),
        ("admin-prohibited", "EHOSTUNREACH EACCES"),
    ],
)
def test_F40_a_server_is_unreachable(lab, gateway, family, refusing, code, error):
    refusing(f"tcp dport 7002 reject with icmpx type {code}")
    assert outcome(lab, family, 7002) in permitted(gateway, *error.split())
    assert_record(gateway, lab, family, 7002, "server-unreachable")


def test_F40_a_server_is_silent(lab, gateway, family, refusing):
    refusing("tcp dport 7003 drop")
    patience_s = 8 if gateway.is_waylay else 0.5
    assert outcome(lab, family, 7003, patience_s) in permitted(gateway, "timeout")
    assert_record(gateway, lab, family, 7003, "connect-timeout")


def test_F40_a_server_accepts_and_resets(lab, gateway, family, probe):
    probe(lab.srv, "tcp-server", 7004, "--mode", "reset")
    assert outcome(lab, family, 7004) in ("rst", "ECONNREFUSED")


def test_F40_a_server_does_not_accept(lab, gateway, family, resources):
    """The kernel of the server shakes hands, its program never wakes up."""
    listener = resources.enter_context(lab.srv.listen(family, 7005))
    client = resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))
    client.sendall(b"anybody?")
    client.settimeout(0.3)
    assert end_of(client) == "timeout"


def permitted(gateway, *plain: str) -> tuple[str, ...]:
    return (*plain, "rst") if gateway.is_waylay else plain


def assert_record(gateway, lab, family: str, port: int, end: str) -> None:
    if gateway.is_waylay:
        server = endpoint(lab.srv.address(family), port)
        assert gateway.daemon.wait_ended(server=server)["end"] == end


# --- a client that is gone ----------------------------------------------------


def test_F42_a_vanished_client_is_reset_at_the_server(fresh_lab, family, resources):
    cli, srv = fresh_lab.cli, fresh_lab.srv
    text = waylay.config(more="timeouts { idle 1s; }")
    daemon = resources.enter_context(waylay.Daemon(fresh_lab.gw, text))
    listener = resources.enter_context(srv.listen(family, 7006))
    client = cli.connect(listener.getsockname()[:2])
    server = resources.enter_context(listener.accept()[0])
    cli.ip("link", "set", "eth0", "down")
    client.close()
    assert end_of(server) == "rst"
    assert daemon.wait_ended()["end"] == "idle-timeout"
