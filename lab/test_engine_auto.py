# SPDX-License-Identifier: Apache-2.0
"""Which engine waylayd takes, what it says about that, and a change of engine.

What an engine does to packets is in the other scenarios.
"""

import itertools
import os
import shutil

import pytest

import waylay
from endings import assert_alive
from namespace import Namespace
from observers import HostState, LeakObserver, assert_same_state

BEST_FIRST = ["ebpf", "nft", "iptables"]

# A fixed port, so that two daemons install the same.
SETTINGS = "port 15000\n"


def config(engine: str, **how) -> str:
    return SETTINGS + waylay.config(engine=engine, **how)


@pytest.fixture(scope="module")
def working(lab) -> list[str]:
    """The engines that serve on this kernel, best first."""
    return [engine for engine in BEST_FIRST if serves(lab.gw, engine)]


def serves(host: Namespace, engine: str) -> bool:
    daemon = waylay.Daemon(host, config(engine))
    try:
        daemon.start()
        return True
    except AssertionError:
        assert f"engine {engine}" in daemon.log, "it does not say why"
        return False
    finally:
        daemon.close()


@pytest.fixture
def clean_host(lab):
    before = HostState(lab.gw)
    yield before
    assert_same_state(before, HostState(lab.gw))


def two_of(working: list[str]) -> list[tuple[str, str]]:
    pairs = list(itertools.permutations(working, 2))
    if not pairs:
        pytest.skip(f"only one engine works here: {working}")
    return pairs


# --- what is chosen -------------------------------------------------------------


def test_auto_takes_the_best_and_says_why(lab, clean_host, working):
    with waylay.Daemon(lab.gw, config("auto")) as daemon:
        status, text = daemon.status(), daemon.tool("status").stdout
    names = [one["name"] for one in status["engines"]]
    findings = [one["finding"] for one in status["engines"]]
    taken = names.index(status["engine"])
    assert status["engine"] == working[0]
    assert names == [name for name in BEST_FIRST if name in names]
    assert findings[taken:] == ["works"] + ["not needed"] * (len(names) - taken - 1)
    for sentence in findings[:taken]:
        assert " " in sentence and sentence != "not needed"
    assert "auto" in status["engine_reason"]
    for name, finding in zip(names, findings):
        assert f"engine auto: {name}: {finding}" in daemon.log
        assert finding in next(
            line for line in text.splitlines() if line.startswith(f"engine {name} ")
        )


def test_a_forced_engine_is_taken(lab, clean_host, working, family):
    for engine in working:
        with waylay.Daemon(lab.gw, config(engine)) as daemon:
            status = daemon.status()
            assert status["engine"] == engine
            assert status["engines"] == [{"name": engine, "finding": "works"}]
            assert status["engine_reason"] == "the configuration asks for it"
            assert_relays(lab, family)


def assert_relays(lab, family: str) -> None:
    leaks = LeakObserver(lab.srv)
    with lab.srv.listen(family, 80) as listener:
        with lab.cli.connect(listener.getsockname()[:2]) as client:
            with listener.accept()[0] as server:
                assert_alive(client, server)
    assert (leaks.forwarded(), leaks.own() > 0) == (0, True)


def test_status_counts_selections(lab, clean_host):
    rules = "\n".join(f"dst 10.{i}.0.0/16 -> reject" for i in range(5))
    text = config("auto").replace("rules {", "rules {\n" + rules)
    counts = []
    for configuration in (config("auto"), text):
        with waylay.Daemon(lab.gw, configuration) as daemon:
            counts.append(daemon.status()["selections"])
    assert counts[1] - counts[0] == 5


def test_a_broken_engine_is_told_by_its_probe(lab, clean_host, resources):
    """A host without a usable nft: the configured engine is not replaced."""
    nft = os.path.realpath("/usr/sbin/nft")
    script = f'mount --bind /bin/false {nft} && exec "$@"'
    daemon = waylay.Daemon(
        lab.gw,
        config("nft"),
        wrapper=("unshare", "--mount", "sh", "-c", script, "sh"),
    )
    resources.callback(daemon.close)
    daemon.launch()
    assert daemon.wait_end() == waylay.EXIT_FAILED
    assert "engine nft" in daemon.log


HIDE_BPFFS = ("unshare", "--mount", "sh", "-c", 'umount -a -t bpf; exec "$@"', "sh")


@pytest.mark.parametrize("on_failure, engine", [("open", "ebpf"), ("closed", "nft")])
def test_without_a_bpffs_nothing_outlives_the_daemon(
    lab, clean_host, working, on_failure, engine
):
    """`closed` could not be kept, so the next engine is taken, and it is told."""
    if "ebpf" not in working:
        pytest.skip("engine ebpf does not work here")
    text = config("auto", on_failure=on_failure)
    with waylay.Daemon(lab.gw, text, wrapper=HIDE_BPFFS) as daemon:
        status = daemon.status()
        findings = {one["name"]: one["finding"] for one in status["engines"]}
        assert status["engine"] == engine
        assert findings[engine] == "works"
        if on_failure == "closed":
            assert "mount -t bpf bpf /sys/fs/bpf" in findings["ebpf"]
        else:
            assert not [line for line in HostState(lab.gw).lines if "pin:" in line]


# --- one after the other ----------------------------------------------------------


def test_what_another_engine_left_is_removed_at_start(lab, clean_host, working):
    for left, started in two_of(working):
        with waylay.Daemon(lab.gw, config(started)) as daemon:
            alone = HostState(lab.gw)
        killed = waylay.Daemon(lab.gw, config(left))
        killed.start()
        killed.kill()
        with waylay.Daemon(lab.gw, config(started)) as daemon:
            assert_same_state(alone, HostState(lab.gw))
            assert daemon.status()["engine"] == started
        assert_same_state(clean_host, HostState(lab.gw))
        killed.close()


def test_cleanup_removes_what_any_engine_left(lab, clean_host, working):
    for left in working:
        killed = waylay.Daemon(lab.gw, config(left))
        killed.start()
        killed.kill()
        assert HostState(lab.gw) != clean_host
        killed.cleanup()
        assert_same_state(clean_host, HostState(lab.gw))
        killed.close()


def test_a_reload_changes_the_engine_without_a_gap(
    lab, clean_host, working, pair, probe
):
    probe(lab.srv, "tcp-server", 80)
    families = itertools.cycle(("v4", "v6"))
    for (before, after), family in zip(two_of(working), families):
        with waylay.Daemon(lab.gw, config(after)) as daemon:
            alone = HostState(lab.gw)
        with waylay.Daemon(lab.gw, config(before, on_failure="closed")) as daemon:
            ends = pair(family)
            load = probe(lab.cli, "load", lab.srv.address(family), 80)
            leaks = LeakObserver(lab.srv)
            daemon.write_config(config(after))
            done = daemon.reload()
            assert done.returncode == waylay.EXIT_OK, done.stderr
            assert daemon.status()["engine"] == after
            assert_alive(ends.client, ends.server)
            report = load.finish()
            assert (report["failed"], leaks.forwarded()) == ([], 0)
            assert_same_state(alone, HostState(lab.gw))


def test_a_reload_to_an_engine_that_fails_changes_nothing(
    lab, clean_host, family, pair, working
):
    others = [engine for engine in working if engine != "iptables"]
    if others == working or not others:
        pytest.skip("it takes iptables and another engine that works")
    broken = os.path.realpath(shutil.which("iptables"))
    script = f'mount --bind /bin/false {broken} && exec "$@"'
    wrapper = ("unshare", "--mount", "sh", "-c", script, "sh")
    with waylay.Daemon(lab.gw, config(others[0]), wrapper=wrapper) as daemon:
        ends = pair(family)
        installed = HostState(lab.gw)
        daemon.write_config(config("iptables"))
        done = daemon.reload()
        assert done.returncode == waylay.EXIT_FAILED
        assert "engine iptables" in done.stderr
        assert_same_state(installed, HostState(lab.gw))
        assert daemon.status()["engine"] == others[0]
        assert_alive(ends.client, ends.server)


# --- what it would do ---------------------------------------------------------------


def test_rules_are_shown_for_any_engine(lab, clean_host, working, good_file):
    with waylay.Daemon(lab.gw, config("auto")) as daemon:
        running = daemon.status()["engine"]
        for engine in working:
            shown = daemon.ask("rules", "show", "--engine", engine)
            assert shown["engine"] == engine
            assert shown["is_running"] == (engine == running)
            assert "lan0" in shown["text"] and "7700" in shown["text"]
            assert engine == running or shown["counters"] == []
            file = daemon.ask("rules", "show", "--engine", engine, str(good_file))
            assert (file["engine"], file["is_running"]) == (engine, False)
        assert daemon.ask("rules", "show")["engine"] == running
