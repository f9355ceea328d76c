# SPDX-License-Identifier: Apache-2.0
"""Processes die, rules vanish: what leaves the gateway, and what is restored.

Every scenario has a daemon of its own.  The leak observer at srv tells a
forwarded packet from one of waylay's own; a ping, which is never intercepted,
proves that all packets sent before it have been handled.
"""

import contextlib
import os
import re
import select
import signal
import socket
import struct

import pytest

import waylay
from endings import assert_alive, connection_outcome, end_of
from observers import HostState, assert_same_state, is_running
from probe import ending
from wait import wait_for

ON_FAILURE = pytest.mark.parametrize("on_failure", ["open", "closed"])


@pytest.fixture
def clean_host(lab):
    """Whatever happens, the gateway is the same before and after."""
    before = HostState(lab.gw)
    yield before
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture
def start(lab, clean_host, resources):
    """start("closed"): a serving daemon."""

    def started(on_failure: str = "open", **how) -> waylay.Daemon:
        text = waylay.config(on_failure, **how)
        return resources.enter_context(waylay.Daemon(lab.gw, text))

    return started


def try_everything(lab, family: str, client: socket.socket | None = None) -> list[str]:
    """New flows, datagrams, packets of an old flow; what became of the new."""
    if client:
        try_to_send(client)
    with lab.cli.udp(family) as s:
        for _ in range(5):
            s.sendto(b"datagram", (lab.srv.address(family), 5000))
    return [connection_outcome(lambda: impatient(lab, family)) for _ in range(3)]


def impatient(lab, family: str) -> socket.socket:
    s = lab.cli.new_socket(family, socket.SOCK_STREAM)
    s.settimeout(0.2)
    try:
        s.connect((lab.srv.address(family), 80))
    except OSError:
        s.close()
        raise
    return s


def ping(lab, family: str) -> None:
    """An echo request and its answer: a barrier behind earlier packets."""
    kind = {"v4": socket.IPPROTO_ICMP, "v6": socket.IPPROTO_ICMPV6}[family]
    request = struct.pack("!BBHHH", 8 if family == "v4" else 128, 0, 0, 0, 1)
    lab.cli.sysctl("net.ipv4.ping_group_range", "0 0")
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    with lab.cli.inside():
        s = socket.socket(number, socket.SOCK_DGRAM, kind)
    with s:
        s.settimeout(5)
        s.connect((lab.srv.address(family), 0))
        s.send(request)
        s.recv(100)


# --- everything is killed -----------------------------------------------------


def test_F02_closed_lets_nothing_out(lab, family, leaks, start, pair, probe):
    daemon = start("closed")
    probe(lab.srv, "tcp-server", 80)
    old = pair(family)
    assert_alive(old.client, old.server)
    daemon.kill()
    leaks.reset()
    outcomes = try_everything(lab, family, old.client)
    ping(lab, family)
    assert leaks.forwarded() == 0
    assert set(outcomes) <= {"timeout", "rst", "ECONNREFUSED"}


def test_F03_open_is_direct_at_once(lab, family, leaks, start, pair, probe):
    daemon = start("open")
    probe(lab.srv, "tcp-server", 80)
    old = pair(family)
    daemon.kill()
    leaks.reset()
    deadline_s = 6 if waylay.ENGINE == "iptables" else 1  # test_engine_failure.py
    wait_for("a direct connection", lambda: can_connect(lab, family), deadline_s)
    assert leaks.forwarded() > 0
    assert end_of(old.client) in ("rst", "timeout")  # never a clean end


def can_connect(lab, family: str) -> bool:
    with contextlib.suppress(OSError), impatient(lab, family):
        return True
    return False


def test_the_same_without_waylay_is_direct(lab, family, leaks, probe):
    probe(lab.srv, "tcp-server", 80)
    assert can_connect(lab, family)
    try_everything(lab, family)
    ping(lab, family)
    assert leaks.forwarded() > 0 and leaks.own() == 0


@ON_FAILURE
def test_F04_a_start_after_a_crash_equals_a_first_start(
    lab, family, leaks, start, pair, on_failure
):
    daemon = start(on_failure)
    first = comparable_state(lab)
    old = pair(family)
    daemon.kill()
    ends = [try_to_send(old.client)]
    daemon.start()
    assert_same_lines(first, comparable_state(lab))
    leaks.reset()
    ends.append(try_to_send(old.client))
    new = pair(family)
    assert_alive(new.client, new.server)
    assert leaks.forwarded() == 0
    ends.append(end_of(old.client))
    assert next(filter(None, ends)) == "rst"  # an error is told only once


def try_to_send(s: socket.socket) -> str:
    try:
        s.sendall(b"still there?")
    except OSError as problem:
        return ending(problem)
    return ""


def comparable_state(lab) -> list[str]:
    """Rules and routes; listener ports may be others after a restart."""
    return [re.sub(r":\d{4,5}\b", ":PORT", line) for line in HostState(lab.gw).lines]


def assert_same_lines(first: list[str], second: list[str]) -> None:
    assert set(first) == set(second), set(first) ^ set(second)
    assert len(first) == len(second)


@ON_FAILURE
def test_P7_cleanup_after_a_crash_leaves_the_host_as_before(
    lab, clean_host, start, on_failure
):
    daemon = start(on_failure)
    assert HostState(lab.gw) != clean_host
    daemon.kill()
    daemon.cleanup()
    assert_same_state(clean_host, HostState(lab.gw))


@ON_FAILURE
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_P7_an_orderly_end_leaves_the_host_as_before(
    lab, clean_host, start, pair, on_failure, how
):
    daemon = start(on_failure)
    ends = pair("v4")
    assert_alive(ends.client, ends.server)
    assert daemon.end(how) == waylay.EXIT_OK
    assert_same_state(clean_host, HostState(lab.gw))
    assert end_of(ends.client) == "rst"
    assert end_of(ends.server) == "rst"


def test_P7_after_an_orderly_end_a_client_port_is_used_again_at_once(
    lab, start, family, resources
):
    """A TIME_WAIT socket left on the gateway would swallow the second SYN."""
    daemon = start()
    listener = resources.enter_context(lab.srv.listen(family, 80))
    to = (lab.srv.address(family), 80)
    for is_relayed in (True, False):
        with lab.cli.connect(to, source_port=20005) as client:
            server = listener.accept()[0]
            server.close()
            assert client.recv(1) == b""
        if is_relayed:
            daemon.wait_ended()
            assert daemon.end(signal.SIGTERM) == waylay.EXIT_OK


def test_P7_cleanup_without_anything_to_clean_succeeds(lab, clean_host, tmp_path):
    done = lab.gw.run(waylay.WAYLAYD, "--cleanup", "--run-dir", str(tmp_path))
    assert done.returncode == waylay.EXIT_OK


# --- others remove our parts --------------------------------------------------

# What engine nft has; test_engine_failure.py has the parts of all engines.
NFT_REMOVALS = {
    "nft_flush_ruleset": ("nft flush ruleset", "engine nft: restored"),
    "nft_delete_table": ("nft delete table inet waylay", "engine nft: restored"),
    "nft_flush_chain": ("nft flush table inet waylay", "engine nft: restored"),
}
REMOVALS = NFT_REMOVALS | {
    "ip_rule_del": ("ip -4 rule del priority 7701", "rule"),
    "ip_rule_del_v6": ("ip -6 rule del priority 7701", "rule"),
    "ip_rule_del_detour": ("ip -4 rule del priority 7700", "rule"),
    "ip_rule_del_target": ("ip -4 rule del priority 7702", "rule"),
    "ip_route_flush": ("ip -4 route flush table 7700", "route"),
    "ip_route_flush_v6": ("ip -6 route flush table 7700", "route"),
}


@pytest.mark.parametrize("which", REMOVALS)
def test_F30_what_others_remove_is_restored_within_a_second(lab, start, pair, which):
    command, part = REMOVALS[which]
    daemon = start(engine="nft" if which in NFT_REMOVALS else waylay.ENGINE)
    installed = HostState(lab.gw)
    running = pair("v4")
    mark = len(daemon.lines)
    lab.gw.run(*command.split())
    wait_for("the same state", lambda: HostState(lab.gw) == installed, deadline_s=1)
    daemon.wait_log(rf"warning: .*{part}", since=mark)
    assert_alive(running.client, running.server)
    for family in ("v4", "v6"):
        new = pair(family)
        assert_alive(new.client, new.server)
    assert daemon.flows()


OTHER_TABLE = """
table ip other {
    chain input { type filter hook input priority 0; }
}
"""


def test_F30_the_rules_of_others_survive_start_and_stop(lab, start, pair):
    lab.gw.nft(OTHER_TABLE)
    lab.gw.ip("rule", "add", "priority", "7800", "lookup", "main")
    try:
        before = HostState(lab.gw)
        daemon = start()
        assert daemon.stop() == waylay.EXIT_OK
        assert_same_state(before, HostState(lab.gw))
    finally:
        lab.gw.run("nft", "delete", "table", "ip", "other")
        lab.gw.ip("rule", "del", "priority", "7800")


# --- a worker is killed -------------------------------------------------------


def test_F01_a_killed_worker_takes_only_its_own_flows(lab, family, start, pair):
    daemon = start()
    pairs = [pair(family) for _ in range(16)]
    for ends in pairs:
        assert_alive(ends.client, ends.server)
    victim = max(daemon.serving_workers(), key=lambda w: w["tcp_flows"])
    assert 0 < victim["tcp_flows"] <= 16
    os.kill(victim["pid"], signal.SIGKILL)
    wait_for("a new worker", lambda: is_replaced(daemon, victim), deadline_s=1)
    ended = [ends for ends in pairs if has_ended(ends.client)]
    assert len(ended) == victim["tcp_flows"]
    for ends in ended:
        assert (end_of(ends.client), end_of(ends.server)) == ("rst", "rst")
    for ends in pairs:
        if ends not in ended:
            assert_alive(ends.client, ends.server)
    new = pair(family)
    assert_alive(new.client, new.server)


def is_replaced(daemon: waylay.Daemon, victim: dict) -> bool:
    pids = [w["pid"] for w in daemon.serving_workers()]
    return len(pids) == 2 and victim["pid"] not in pids


def has_ended(s: socket.socket) -> bool:
    """Without reading: an error is told only once."""
    poll = select.poll()
    poll.register(s, select.POLLRDHUP)
    return bool(poll.poll(0))


def test_F01_no_connection_is_refused_while_a_worker_is_replaced(
    lab, family, start, probe
):
    """Its queue waits: whoever knocks is served, if late."""
    daemon = start()
    probe(lab.srv, "tcp-server", 80)
    for worker in daemon.serving_workers():
        os.kill(worker["pid"], signal.SIGKILL)
    clients = [
        probe(lab.cli, "tcp-client", lab.srv.address(family), 80, "--send", 1000)
        for _ in range(8)
    ]
    for client in clients:
        report = client.line()
        assert (report["end"], report["received"]) == ("fin", 1000), report


def test_F01_the_dead_worker_is_named_in_the_log(start):
    daemon = start()
    victim = daemon.serving_workers()[0]["pid"]
    os.kill(victim, signal.SIGKILL)
    daemon.wait_log(rf"(warning|error): .*{victim}", deadline_s=1)
    assert not is_running(victim)
