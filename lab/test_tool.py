# SPDX-License-Identifier: Apache-2.0
"""What a person meets: the commands of `waylay`, their output and exit codes."""

import os
import re

import pytest

from endings import assert_alive, assert_stream_arrives
from namespace import endpoint
from observers import HostState, assert_same_state
from wait import wait_for
from waylay import (
    EXIT_CONFIG,
    EXIT_NO_DAEMON,
    EXIT_NOT_PRIVILEGED,
    EXIT_OK,
    EXIT_USAGE,
    WAYLAY,
    WAYLAYD,
)

AS_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def broken_file(tmp_path):
    file = tmp_path / "broken.conf"
    file.write_text("engine auto\nintercept lan { from lan0; tcp 80-22 }\n")
    return file


# --- status and flows ---------------------------------------------------------


def test_status_says_who_serves(daemon):
    status = daemon.status()
    assert status["pid"] == daemon.pid
    assert status["generation"] >= 1
    assert status["on_failure"] == "open"
    assert status["config_file"] == str(daemon.config_file)
    assert status["engine"] in ("nft", "ebpf", "iptables")
    assert [w["state"] for w in status["workers"]] == ["serving"] * 2
    assert status["intercepts"][0]["name"] == "lan"
    assert status["intercepts"][0]["interfaces"] == [
        {"name": "lan0", "is_present": True}
    ]
    assert status["problems"] == []
    relay, cut = status["movers"]
    assert (relay["name"], cut["name"]) == ("relay", "cut-through")
    assert (cut["flows"], cut["bytes"]) == (0, 0)


def test_status_as_text_names_the_intercept(daemon):
    done = daemon.tool("status")
    assert done.returncode == EXIT_OK
    for word in ("lan0", "serving", str(daemon.pid)):
        assert word in done.stdout, done.stdout


def test_flows_show_both_addresses(lab, daemon, family, pair):
    ends = pair(family)
    assert_alive(ends.client, ends.server)
    client = endpoint(*ends.client.getsockname()[:2])
    server = endpoint(*ends.server.getsockname()[:2])
    flow = wait_for(
        "the flow",
        lambda: next((f for f in daemon.flows() if f["client"] == client), None),
    )
    assert flow["proto"] == "tcp"
    assert flow["server"] == server
    assert flow["source"] == client
    assert (flow["intercept"], flow["upstream"], flow["rule"]) == ("lan", "out", 2)
    assert client in daemon.tool("flows").stdout


def test_ended_flows_are_kept_and_logged(daemon, family, pair):
    ends = pair(family)
    client = endpoint(*ends.client.getsockname()[:2])
    assert_stream_arrives(ends.client, ends.server, 78)
    assert_stream_arrives(ends.server, ends.client, 1200)
    record = daemon.wait_ended(client=client)
    assert (record["bytes_up"], record["bytes_down"]) == (78, 1200)
    assert record["end"] == "finished"
    assert re.fullmatch(STAMP, record["started"])
    daemon.wait_log(
        rf"flow tcp client={re.escape(client)} server=\S+ source=\S+ intercept=lan "
        r"rule=2 upstream=out up=78 down=1200 ms=\d+ end=finished"
    )


def test_rules_show_what_is_installed(lab, daemon):
    done = daemon.tool("rules", "show")
    assert done.returncode == EXIT_OK
    assert "lan0" in done.stdout
    assert "7700" in done.stdout


def test_the_running_configuration_parses_again(daemon, tmp_path):
    shown = daemon.tool("config", "show")
    assert shown.returncode == EXIT_OK
    again = tmp_path / "again.conf"
    again.write_text(shown.stdout)
    assert daemon.tool("config", "check", str(again)).returncode == EXIT_OK
    assert daemon.tool("config", "show", str(again)).stdout == shown.stdout


def test_every_command_speaks_json(daemon, good_file):
    for words in (
        ("status",),
        ("flows",),
        ("flows", "--ended", "5"),
        ("config", "show"),
        ("config", "check", str(good_file)),
        ("rules", "show"),
        ("version",),
        ("reload",),
    ):
        assert isinstance(daemon.ask(*words), dict), words


# --- files --------------------------------------------------------------------


def test_config_check_shows_the_place(lab, broken_file):
    done = lab.gw.run(WAYLAY, "config", "check", str(broken_file), check=False)
    assert done.returncode == EXIT_CONFIG
    text = done.stdout + done.stderr
    assert "broken.conf:2:32: " in text, text
    assert "^" in text


def test_waylayd_check_does_the_same(lab, broken_file, good_file):
    for file, code in ((good_file, EXIT_OK), (broken_file, EXIT_CONFIG)):
        done = lab.gw.run(WAYLAYD, "--check", "--config", str(file), check=False)
        assert done.returncode == code, done.stderr


def test_an_invalid_configuration_is_not_started(lab, broken_file, tmp_path):
    before = HostState(lab.gw)
    done = lab.gw.run(
        *(WAYLAYD, "--config", str(broken_file), "--run-dir", str(tmp_path / "run")),
        check=False,
    )
    assert done.returncode == EXIT_CONFIG
    assert "broken.conf:2:" in done.stderr
    assert_same_state(before, HostState(lab.gw))


def test_config_format_is_stable(lab, good_file):
    for _ in range(2):
        lab.gw.run(WAYLAY, "config", "format", "--in-place", str(good_file))
    once = good_file.read_text()
    printed = lab.gw.run(WAYLAY, "config", "format", str(good_file)).stdout
    assert printed == once
    assert "source client" in once


# --- exit codes ---------------------------------------------------------------

WRONG_USAGE = [
    (WAYLAY, "dance"),
    (WAYLAY, "status", "now"),
    (WAYLAY, "flows", "--ended"),
    (WAYLAY, "flows", "--ended", "many"),
    (WAYLAY, "config"),
    (WAYLAY, "config", "dance"),
    (WAYLAY, "--dance", "status"),
    (WAYLAY, "run"),
    (WAYLAY, "exec"),
    (WAYLAYD, "--dance"),
    (WAYLAYD, "superfluous"),
    (WAYLAYD, "--config"),
]


@pytest.mark.parametrize(
    "command", WRONG_USAGE, ids=lambda c: " ".join([os.path.basename(c[0]), *c[1:]])
)
def test_wrong_usage_is_told_and_exits_2(lab, command):
    done = lab.gw.run(*command, check=False)
    assert done.returncode == EXIT_USAGE, done
    assert done.stderr


@pytest.mark.parametrize("words", [("status",), ("flows",), ("reload",)])
def test_without_a_daemon_the_exit_code_is_3(lab, tmp_path, words):
    done = lab.gw.run(WAYLAY, "--run-dir", str(tmp_path), *words, check=False)
    assert done.returncode == EXIT_NO_DAEMON
    assert_one_sentence(done.stderr)


def test_nobody_may_not_start_the_daemon(lab, daemon, tmp_path):
    done = lab.gw.run(
        *AS_NOBODY,
        *(WAYLAYD, "--config", str(daemon.config_file)),
        *("--run-dir", "/tmp/not-mine/run"),
        check=False,
    )
    assert done.returncode == EXIT_NOT_PRIVILEGED
    assert_one_sentence(done.stderr)


@pytest.mark.parametrize("words", [("status",), ("reload",)])
def test_T10_nobody_may_not_ask_the_daemon(lab, daemon, words):
    done = lab.gw.run(
        *AS_NOBODY, WAYLAY, "--run-dir", daemon.run_dir, *words, check=False
    )
    assert done.returncode == EXIT_NOT_PRIVILEGED
    assert_one_sentence(done.stderr)


def test_nobody_may_check_a_file(lab, daemon):
    lab.gw.run(*AS_NOBODY, WAYLAY, "config", "check", str(daemon.config_file))


def assert_one_sentence(text: str) -> None:
    assert len(text.splitlines()) == 1, text


def test_version_and_help_succeed(lab):
    for command in (
        (WAYLAY, "version"),
        (WAYLAY, "help"),
        (WAYLAY, "help", "flows"),
        (WAYLAYD, "--version"),
        (WAYLAYD, "--help"),
    ):
        assert lab.gw.run(*command).stdout
