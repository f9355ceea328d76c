# SPDX-License-Identifier: Apache-2.0
"""A new configuration under load: no connection fails, no flow breaks."""

import re
import signal

import pytest

import waylay
from endings import assert_alive, assert_stream_arrives
from observers import HostState, assert_same_state, is_running
from wait import wait_for

RELOADS = 20

BROKEN = {
    "syntax": "intercept {",
    "unknown_word": waylay.config().replace("on-failure", "on-failur"),
    "unknown_upstream": waylay.config().replace("-> out", "-> nowhere"),
    "unclosed_block": waylay.config() + "\nlog {",
    "not_text": "\x01\x02 engine",
}


@pytest.fixture
def daemon(lab, resources):
    before = HostState(lab.gw)
    with waylay.Daemon(lab.gw) as daemon:
        yield daemon
    assert_same_state(before, HostState(lab.gw))


def test_F11_reload_under_load(lab, daemon, family, pair, probe):
    """P1.  Short flows all the time, an idle flow, one that moves, datagrams."""
    probe(lab.srv, "tcp-server", 80)
    probe(lab.srv, "udp-server", 5000)
    idle, busy = pair(family), pair(family)
    load = probe(lab.cli, "load", lab.srv.address(family), 80)
    for number in range(RELOADS):
        done = daemon.reload()
        assert done.returncode == waylay.EXIT_OK, done.stderr
        assert_alive(busy.client, busy.server)
        datagram = probe(lab.cli, "udp-client", lab.srv.address(family), 5000).line()
        assert datagram.get("is_equal"), (number, datagram)
    assert_alive(idle.client, idle.server)
    report = load.finish()
    assert report["failed"] == []
    assert report["flows"] > RELOADS
    assert_stream_arrives(busy.client, busy.server, 1 << 20)


def test_the_same_load_without_waylay_and_reload(lab, family, pair, probe):
    probe(lab.srv, "tcp-server", 80)
    busy = pair(family)
    load = probe(lab.cli, "load", lab.srv.address(family), 80)
    for _ in range(RELOADS):
        assert_alive(busy.client, busy.server)
    report = load.finish()
    assert report["failed"] == []


def test_F11_an_old_generation_drains_and_ends(daemon, pair):
    ends = pair("v4")
    old = [w["pid"] for w in daemon.serving_workers()]
    generation = daemon.status()["generation"]
    assert daemon.reload().returncode == waylay.EXIT_OK
    assert daemon.status()["generation"] == generation + 1
    draining = [w for w in daemon.status()["workers"] if w["state"] == "draining"]
    assert [w["tcp_flows"] for w in draining] == [1]
    assert_alive(ends.client, ends.server)
    ends.client.close()
    ends.server.close()
    wait_for("the old workers end", lambda: not any(map(is_running, old)))


def test_F11_a_reload_changes_what_is_intercepted(lab, daemon, leaks, pair):
    ends = pair("v4", 8443)
    assert leaks.forwarded() == 0
    daemon.write_config(waylay.config(excepts="except port 8443"))
    assert daemon.reload().returncode == waylay.EXIT_OK
    assert_alive(ends.client, ends.server)
    direct = pair("v4", 8443)
    assert_alive(direct.client, direct.server)
    assert leaks.forwarded() > 0


def test_F11_SIGHUP_reloads_as_well(daemon, pair):
    generation = daemon.status()["generation"]
    ends = pair("v4")
    daemon.send_signal(signal.SIGHUP)
    wait_for(
        "the next generation",
        lambda: daemon.status()["generation"] == generation + 1,
    )
    assert_alive(ends.client, ends.server)


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_F12_a_broken_configuration_changes_nothing(lab, daemon, pair, text):
    ends = pair("v4")
    installed = HostState(lab.gw)
    before = daemon.status()
    daemon.write_config(text)
    done = daemon.reload()
    assert done.returncode == waylay.EXIT_CONFIG
    assert re.search(r"waylay\.conf:\d+:\d+: ", done.stderr), done.stderr
    after = daemon.status()
    assert after["generation"] == before["generation"]
    assert [w["pid"] for w in after["workers"]] == [w["pid"] for w in before["workers"]]
    assert_same_state(installed, HostState(lab.gw))
    assert_alive(ends.client, ends.server)


def test_F12_a_missing_file_changes_nothing(lab, daemon, pair):
    installed = HostState(lab.gw)
    daemon.config_file.unlink()
    done = daemon.reload()
    assert done.returncode in (waylay.EXIT_CONFIG, waylay.EXIT_FAILED)
    assert str(daemon.config_file) in done.stderr
    assert_same_state(installed, HostState(lab.gw))
    ends = pair("v6")
    assert_alive(ends.client, ends.server)


def test_F12_SIGHUP_with_a_broken_configuration_is_logged(daemon, pair):
    daemon.write_config("nonsense")
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_log(r"waylay\.conf:1:1: ")
    ends = pair("v4")
    assert_alive(ends.client, ends.server)


def test_F12_after_a_refused_reload_a_good_one_succeeds(daemon):
    daemon.write_config("nonsense")
    assert daemon.reload().returncode == waylay.EXIT_CONFIG
    daemon.write_config(waylay.config("closed"))
    assert daemon.reload().returncode == waylay.EXIT_OK
    assert daemon.status()["on_failure"] == "closed"
