# SPDX-License-Identifier: Apache-2.0
"""What is bounded stays within its bound, and only who is over it feels it."""

import signal
import socket
import time
from collections.abc import Callable

import pytest

import waylay
from endings import assert_alive, assert_stream_arrives, connection_outcome, end_of
from endings import finish
from namespace import endpoint
from observers import LeakObserver
from one_worker import (  # noqa: F401, fixtures
    ANY,
    MEGA,
    ON_FAILURE,
    ask,
    clean_host,
    counters,
    is_empty,
    start,
    start_waylay,
    udp_server,
)
from wait import wait_for
from waylay import EXIT_OK

# --- the client's port is taken -----------------------------------------------

TAKEN = 20010


@pytest.fixture
def port_holder(lab, family, resources) -> Callable[[str], None]:
    """port_holder("tcp"): a program on the gateway that shares with nobody."""

    def hold(protocol: str) -> None:
        kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
        s = resources.enter_context(lab.gw.new_socket(family, kind))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        s.bind((ANY[family], TAKEN))
        if protocol == "tcp":
            s.listen()

    return hold


def assert_another_port(lab, daemon: waylay.Daemon | None, family: str, peer: tuple):
    """Whom the server saw: the client itself, if need be by another port."""
    own = lab.cli.address(family)
    if not daemon:
        assert peer == (own, TAKEN)
        return
    assert peer[0] == own and peer[1] != TAKEN
    (flow,) = daemon.flows()
    assert flow["client"] == endpoint(own, TAKEN)
    assert flow["source"] == endpoint(*peer)
    found = counters(daemon)
    assert (found["spoof_other_port"], found["spoof_failed"]) == (1, 0)


def assert_log_shows(daemon: waylay.Daemon, client: str, source: str) -> None:
    line = daemon.wait_log(rf".*client={re_escaped(client)} .*").group()
    assert f"source={source}" in line


def re_escaped(text: str) -> str:
    return text.replace("[", r"\[").replace("]", r"\]").replace(".", r"\.")


def test_T06_F51_tcp_goes_on_by_another_port(
    lab, family, start, resources, port_holder
):
    port_holder("tcp")
    daemon = start()
    listener = resources.enter_context(lab.srv.listen(family, 80))
    to = listener.getsockname()[:2]
    client = resources.enter_context(lab.cli.connect(to, source_port=TAKEN))
    server, peer = listener.accept()
    resources.enter_context(server)
    assert_alive(client, server)
    assert_another_port(lab, daemon, family, peer[:2])
    client.close()
    server.close()
    if daemon:
        own = endpoint(lab.cli.address(family), TAKEN)
        assert_log_shows(daemon, own, endpoint(*peer[:2]))


def test_T06_F51_udp_goes_on_by_another_port(
    lab, family, start, resources, port_holder, udp_server
):
    port_holder("udp")
    daemon = start("timeouts { udp 1s; }")
    server = udp_server(5000)
    client = resources.enter_context(lab.cli.udp(family, TAKEN))
    peer = ask(client, server)
    assert ask(client, server) == peer
    assert_another_port(lab, daemon, family, peer)
    if daemon:
        own = endpoint(lab.cli.address(family), TAKEN)
        assert_log_shows(daemon, own, endpoint(*peer))


# --- tables of limited size ---------------------------------------------------
# Clients choose their ports: with SO_REUSEADDR the kernel may give one twice,
# and that is one flow.


def test_udp_per_client_binds_one_client_only(
    lab, family, start, resources, udp_server
):
    daemon = start("limits { udp-per-client 4; }")
    servers = [udp_server(6000 + n) for n in range(6)]
    client = resources.enter_context(lab.cli.udp(family))
    other = resources.enter_context(lab.cli2.udp(family))
    for server in servers:
        client.sendto(b"begin", server.getsockname())
    for server in servers[: 4 if daemon else 6]:
        assert server.recv(10) == b"begin"
    if daemon:
        wait_for("two", lambda: counters(daemon)["udp_client_limit"] == 2)
        assert all(map(is_empty, servers))
    for server in servers[:4]:
        assert ask(client, server)[0] == lab.cli.address(family)
        assert ask(other, server)[0] == lab.cli2.address(family)
    if daemon:
        assert counters(daemon)["udp_client_limit"] == 2
        assert daemon.serving_workers()[0]["udp_flows"] == 8


def test_unanswered_udp_flows_make_room(lab, family, start, resources, udp_server):
    daemon = start("limits { udp-flows 8; }")
    server = udp_server(5000)
    answered = resources.enter_context(lab.cli.udp(family, 20020))
    assert ask(answered, server) == (lab.cli.address(family), 20020)
    first = flow_of(daemon, lab.cli.address(family), 20020) if daemon else {}
    for number in range(50):
        with lab.cli.udp(family, 21000 + number) as client:
            client.sendto(b"%d" % number, server.getsockname())
            assert server.recv(10) == b"%d" % number
    assert ask(answered, server) == (lab.cli.address(family), 20020)
    if daemon:
        again = flow_of(daemon, lab.cli.address(family), 20020)
        assert again["id"] == first["id"]
        assert counters(daemon)["udp_evicted"] == 50 - 7
        assert len(daemon.flows()) == 8
        evicted = [f for f in ended_in_time(daemon, 43) if f["end"] == "evicted"]
        assert len(evicted) == 43


def flow_of(daemon: waylay.Daemon, address: str, port: int) -> dict:
    """The one living flow of this client port."""
    client = endpoint(address, port)
    (flow,) = [f for f in daemon.flows() if f["client"] == client]
    return flow


def ended_in_time(daemon: waylay.Daemon, count: int) -> list[dict]:
    wait_for("records", lambda: len(daemon.ended()) >= count)
    return daemon.ended()


def test_answered_udp_flows_never_make_room(lab, family, start, resources, udp_server):
    daemon = start("limits { udp-flows 8; }")
    server = udp_server(5000)
    clients = [
        resources.enter_context(lab.cli.udp(family, 21000 + n)) for n in range(9)
    ]
    for client in clients[:8]:
        ask(client, server)
    clients[8].sendto(b"one more", server.getsockname())
    if daemon:
        wait_for("one", lambda: counters(daemon)["udp_table_full"] == 1)
        assert is_empty(server)
        assert counters(daemon)["udp_evicted"] == 0
    else:
        assert server.recv(10) == b"one more"
    for client in clients[:8]:
        ask(client, server)


def test_tcp_flows_beyond_the_limit_are_reset(lab, family, start, pair):
    daemon = start("limits { tcp-flows 4; }")
    pairs = [pair(family) for _ in range(4)]
    if daemon:
        for ends in pairs:
            assert_alive(ends.client, ends.server)
        with lab.srv.listen(family, 80) as listener:
            to = listener.getsockname()[:2]
            assert connection_outcome(lambda: lab.cli.connect(to)) == "rst"
            assert is_empty(listener)
        assert counters(daemon)["no_memory"] == 1
    for ends in pairs:
        assert_alive(ends.client, ends.server)
    pairs[0].client.close()
    pairs[0].server.close()
    if daemon:
        wait_for("a free place", lambda: len(daemon.flows()) == 3)
    ends = pair(family)
    assert_alive(ends.client, ends.server)


# --- time-outs ----------------------------------------------------------------

UDP_TIMEOUTS = {
    "udp": (5000, "timeouts { udp 1s; dns 5m; }"),
    "dns": (53, "timeouts { udp 5m; dns 1s; }"),
}


@pytest.mark.parametrize("port, more", UDP_TIMEOUTS.values(), ids=UDP_TIMEOUTS)
def test_a_silent_udp_flow_ends_and_begins_again(
    lab, family, start, resources, udp_server, port, more
):
    daemon = start(more)
    server = udp_server(port)
    client = resources.enter_context(lab.cli.udp(family, 20030))
    own = (lab.cli.address(family), 20030)
    assert ask(client, server) == own
    if daemon:
        spoke = time.monotonic()
        first = flow_of(daemon, *own)
        ended = daemon.wait_ended(client=endpoint(*own))
        assert 0.9 < time.monotonic() - spoke < 2
        assert (ended["id"], ended["end"]) == (first["id"], "idle-timeout")
        assert daemon.flows() == []
    assert ask(client, server) == own
    if daemon:
        assert flow_of(daemon, *own)["id"] != first["id"]
        assert counters(daemon)["udp_flows"] == 2


def test_a_udp_flow_that_speaks_lives_on(
    lab, family, start_waylay, resources, udp_server
):
    daemon = start_waylay("timeouts { udp 1s; }")
    server = udp_server(5000)
    client = resources.enter_context(lab.cli.udp(family, 20031))
    own = ask(client, server)
    first = flow_of(daemon, *own)
    while flow_of(daemon, *own)["age_ms"] < 2000:
        wait_for("silence", lambda: flow_of(daemon, *own)["idle_ms"] > 500)
        assert ask(client, server) == own
    assert flow_of(daemon, *own)["id"] == first["id"]


TCP_TIMEOUTS = {
    "idle": (False, "timeouts { idle 1s; half-closed 5m; }"),
    "half_closed": (True, "timeouts { idle 5m; half-closed 1s; }"),
}


@pytest.mark.parametrize("is_half, more", TCP_TIMEOUTS.values(), ids=TCP_TIMEOUTS)
def test_a_silent_tcp_flow_is_reset_on_both_sides(family, start, pair, is_half, more):
    daemon = start(more)
    ends = pair(family)
    assert_alive(ends.client, ends.server)
    if is_half:
        finish(ends.client)
        assert ends.server.recv(1) == b""
    spoke = time.monotonic()
    if not daemon:
        ends.client.settimeout(1.5)
        assert end_of(ends.client) == "timeout"
        return
    assert end_of(ends.client) == "rst"
    assert 0.9 < time.monotonic() - spoke < 2
    with pytest.raises((ConnectionResetError, BrokenPipeError)):  # behind FIN
        wait_for("an error", lambda: ends.server.send(b"?") and False)
    assert daemon.wait_ended()["end"] == "idle-timeout"
    assert counters(daemon)["tcp_timeout"] == 1


# --- the end with a drain time ------------------------------------------------

DRAIN = "timeouts { drain 20s; }"


def begin_drain(lab, daemon: waylay.Daemon) -> None:
    """SIGTERM, until nobody listens any more."""
    daemon.send_signal(signal.SIGTERM)
    daemon.wait_log("ending: running flows have 20000 ms")
    wait_for("no listener", lambda: not lab.gw.run("ss", "-Hltun").stdout)


@ON_FAILURE
def test_a_running_flow_finishes_within_the_drain_time(
    lab, family, start_waylay, pair, on_failure
):
    daemon = start_waylay(DRAIN, on_failure)
    ends = pair(family)
    assert_alive(ends.client, ends.server)
    begin_drain(lab, daemon)
    assert_stream_arrives(ends.client, ends.server, 5 * MEGA)
    assert_stream_arrives(ends.server, ends.client, 5 * MEGA)
    assert daemon.wait_end() == EXIT_OK  # at once: nothing is left


def test_a_udp_flow_goes_on_within_the_drain_time(
    lab, family, start_waylay, resources, pair, udp_server
):
    """Its answers by the old worker, its questions directly."""
    daemon = start_waylay(DRAIN)
    keeper = pair(family)
    server = udp_server(5000)
    client = resources.enter_context(lab.cli.udp(family, 20040))
    own = ask(client, server)
    begin_drain(lab, daemon)
    relayed = LeakObserver(lab.cli)
    for _ in range(10):
        assert ask(client, server) == own
    assert relayed.own() == 10
    assert_alive(keeper.client, keeper.server)


def test_new_flows_are_direct_within_the_drain_time(
    lab, family, start_waylay, pair, leaks
):
    daemon = start_waylay(DRAIN, "open")
    running = pair(family)
    begin_drain(lab, daemon)
    leaks.reset()
    new = pair(family)
    assert_alive(new.client, new.server)
    assert leaks.forwarded() > 0 and leaks.own() == 0
    assert_alive(running.client, running.server)
    assert leaks.own() > 0


def test_new_flows_are_dropped_within_the_drain_time(
    lab, family, start_waylay, pair, leaks
):
    daemon = start_waylay(DRAIN, "closed")
    running = pair(family)
    begin_drain(lab, daemon)
    leaks.reset()
    with lab.srv.listen(family, 80) as listener:
        outcome = connection_outcome(lambda: impatient(lab, listener.getsockname()))
    with lab.cli.udp(family) as s:
        s.sendto(b"anybody?", (lab.srv.address(family), 5000))
    assert_alive(running.client, running.server)  # all before it is handled
    assert (outcome, leaks.forwarded()) == ("timeout", 0)


def impatient(lab, to: tuple) -> socket.socket:
    s = lab.cli.new_socket("v6" if ":" in to[0] else "v4", socket.SOCK_STREAM)
    s.settimeout(0.3)
    try:
        s.connect(to[:2])
    except OSError:
        s.close()
        raise
    return s


def test_a_second_SIGTERM_ends_at_once(lab, family, start_waylay, pair):
    daemon = start_waylay(DRAIN)
    ends = pair(family)
    begin_drain(lab, daemon)
    assert_alive(ends.client, ends.server)
    began = time.monotonic()
    assert daemon.end(signal.SIGTERM) == EXIT_OK
    assert time.monotonic() - began < 2
    assert (end_of(ends.client), end_of(ends.server)) == ("rst", "rst")


def test_after_the_drain_time_flows_are_reset(family, start_waylay, pair):
    daemon = start_waylay("timeouts { drain 1s; }")
    ends = pair(family)
    assert_alive(ends.client, ends.server)
    began = time.monotonic()
    assert daemon.end(signal.SIGTERM) == EXIT_OK
    assert 0.9 < time.monotonic() - began < 3
    assert (end_of(ends.client), end_of(ends.server)) == ("rst", "rst")


# --- UDP across reloads -------------------------------------------------------


def test_a_udp_flow_keeps_its_source_across_reloads(
    lab, family, start, resources, udp_server
):
    daemon = start()
    server = udp_server(5000)
    client = resources.enter_context(lab.cli.udp(family, 20050))
    for _ in range(20):
        assert ask(client, server) == (lab.cli.address(family), 20050)
        if daemon:
            assert daemon.reload().returncode == EXIT_OK


def test_an_answer_that_is_under_way_outlives_a_reload(
    lab, family, start, resources, udp_server
):
    """By the old worker: what is forwarded has another TTL."""
    daemon = start()
    relayed = LeakObserver(lab.cli)
    server = udp_server(5000)
    client = resources.enter_context(lab.cli.udp(family, 20051))
    for _ in range(5):
        client.sendto(b"question", server.getsockname())
        _, peer = server.recvfrom(100)
        if daemon:
            assert daemon.reload().returncode == EXIT_OK
        server.sendto(b"answer", peer)
        data, answered_by = client.recvfrom(100)
        assert (data, answered_by[:2]) == (b"answer", server.getsockname()[:2])
    assert relayed.own() == (5 if daemon else 0)
