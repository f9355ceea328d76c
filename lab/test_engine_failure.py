# SPDX-License-Identifier: Apache-2.0
"""Each engine when nobody listens any more, and when its parts are taken away.

    open    the next connection goes direct
    closed  nothing leaves, whatever others do to us

The leak observer at srv tells forwarded packets from waylay's own; a ping,
which is never intercepted, proves that all packets before it are handled.
Next: test_engine_start.py, where the daemon is killed while it sets up.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

import bpf_state
import waylay
from each_engine import (
    ENGINE,
    FAMILIES,
    clean_host,  # noqa: F401
    start_waylay,  # noqa: F401
)
from endings import assert_alive, connection_outcome
from observers import HostState, LeakObserver
from topology import Lab
from wait import wait_for

# How long `open` may take: iptables cannot ask who listens, waylay says it
# every second and is believed for five.
DIRECT_WITHIN_S = {"ebpf": 1, "nft": 1, "iptables": 6}


def try_to_connect(lab, family: str) -> str:
    """What became of it: refused, rst, timeout..., or "" with a connection."""

    def impatient() -> socket.socket:
        s = lab.cli.new_socket(family, socket.SOCK_STREAM)
        s.settimeout(0.2)
        try:
            s.connect((lab.srv.address(family), 80))
        except OSError:
            s.close()
            raise
        return s

    return connection_outcome(impatient)


def send_something(lab, family: str) -> str:
    with lab.cli.udp(family) as s:
        for size in (1, 1000, 8000):  # the last one in fragments
            s.sendto(bytes(size), (lab.srv.address(family), 5000))
    return try_to_connect(lab, family)


def ping(lab) -> None:
    for family in FAMILIES:
        lab.cli.run("ping", "-c", "1", "-W", "5", lab.srv.address(family))


def is_direct(lab, leaks: LeakObserver, family: str) -> bool:
    with contextlib.suppress(OSError), lab.cli.new_socket(family, 1) as s:
        s.settimeout(0.2)
        s.connect((lab.srv.address(family), 80))
        return leaks.forwarded() > 0
    return False


# --- nobody listens -------------------------------------------------------------


@ENGINE
def test_F03_open_is_direct_after_a_crash(lab, engine, start_waylay, leaks, probe):
    daemon = start_waylay(engine, "open")
    probe(lab.srv, "tcp-server", 80)
    daemon.kill()
    for family in FAMILIES:
        leaks.reset()
        what = f"a direct connection, {family}"
        wait_for(what, lambda: is_direct(lab, leaks, family), DIRECT_WITHIN_S[engine])


@ENGINE
def test_F02_closed_lets_nothing_out_after_a_crash(
    lab, engine, start_waylay, leaks, pair
):
    daemon = start_waylay(engine, "closed")
    old = [pair(family) for family in FAMILIES]
    daemon.kill()
    leaks.reset()
    for ends in old:
        with contextlib.suppress(OSError):
            ends.client.sendall(b"still there?")
    outcomes = {send_something(lab, family) for family in FAMILIES}
    ping(lab)
    assert leaks.forwarded() == 0
    assert outcomes <= {"timeout", "rst", "ECONNREFUSED"}


@ENGINE
def test_F04_a_restart_after_a_crash_has_no_gap(
    lab, engine, start_waylay, leaks, pair, probe
):
    """A client that goes on and on: only waylay ever speaks with the server."""
    daemon = start_waylay(engine, "closed")
    probe(lab.srv, "tcp-server", 80)
    load = {f: probe(lab.cli, "load", lab.srv.address(f), 80) for f in FAMILIES}
    for _ in range(3):
        daemon.kill()
        for family in FAMILIES:
            with lab.cli.udp(family) as s:
                s.sendto(b"datagram", (lab.srv.address(family), 5000))
        daemon.start()
    for family in FAMILIES:
        ends = pair(family, 8000)
        assert_alive(ends.client, ends.server)
        load[family].close()
    ping(lab)
    assert leaks.forwarded() == 0 and leaks.own() > 0


# --- others take our parts away -------------------------------------------------


def drop_rules(lab: Lab) -> None:
    for version in ("-4", "-6"):
        for priority in ("7700", "7701", "7702"):
            lab.gw.ip(version, "rule", "del", "priority", priority)


def drop_routes(lab: Lab) -> None:
    for version in ("-4", "-6"):
        lab.gw.ip(version, "route", "flush", "table", "7700")


def drop_ruleset(lab: Lab) -> None:
    lab.gw.run("nft", "flush", "ruleset")


def drop_mangle(lab: Lab) -> None:
    for command in ("iptables", "ip6tables"):
        lab.gw.run(command, "-t", "mangle", "-F")


def drop_qdisc(lab: Lab) -> None:
    """With the filters of everybody."""
    lab.gw.run("tc", "qdisc", "replace", "dev", "lan0", "clsact")
    lab.gw.run("tc", "qdisc", "del", "dev", "lan0", "clsact")


def drop_pins(lab: Lab) -> None:
    for pin in bpf_state.pins(lab.gw):
        os.unlink(pin)


Removal = Callable[[Lab], None]
REMOVALS: dict[str, tuple[str, Removal]] = {
    f"{engine}-{removal.__name__}": (engine, removal)
    for engine, removals in {
        "ebpf": (drop_rules, drop_routes, drop_ruleset, drop_qdisc, drop_pins),
        "nft": (drop_rules, drop_routes, drop_ruleset),
        "iptables": (drop_rules, drop_routes, drop_ruleset, drop_mangle),
    }.items()
    for removal in removals
}
# Where netfilter decides, everything passes until its rules are back.
LEAKS_MEANWHILE = ("nft-drop_ruleset", "iptables-drop_ruleset")
HAS_NO_PART = ("ebpf-drop_ruleset", "ebpf-drop_qdisc")  # nothing of ours is there


@contextlib.contextmanager
def stopped(daemon: waylay.Daemon) -> Iterator[None]:
    """Its supervisor sees nothing meanwhile; the workers go on."""
    daemon.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.send_signal(signal.SIGCONT)


def state_lines(lab: Lab) -> list[str]:
    """Tables may come back in another order."""
    return sorted(HostState(lab.gw).lines)


@pytest.mark.parametrize("which", REMOVALS)
def test_F30_what_others_remove_is_restored_and_closed_stays_closed(
    lab, which, start_waylay, leaks, pair, probe
):
    engine, remove = REMOVALS[which]
    daemon = start_waylay(engine, "closed")
    probe(lab.srv, "tcp-server", 80)
    load = {f: probe(lab.cli, "load", lab.srv.address(f), 80) for f in FAMILIES}
    installed, mark = state_lines(lab), len(daemon.lines)
    with stopped(daemon):
        remove(lab)
        for family in FAMILIES:
            send_something(lab, family)
        ping(lab)
    assert bool(leaks.forwarded()) == (which in LEAKS_MEANWHILE)
    wait_for("the same state", lambda: state_lines(lab) == installed, deadline_s=2)
    if which not in HAS_NO_PART:
        daemon.wait_log("warning: .*restored", since=mark)
    for family in FAMILIES:
        ends = pair(family, 8000)
        assert_alive(ends.client, ends.server)
        load[family].close()
    assert leaks.own() > 0
