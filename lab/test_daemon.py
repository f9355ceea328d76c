# SPDX-License-Identifier: Apache-2.0
"""waylayd as a program: one a host, nobody in its place, run from flags, its log."""

import json
import os
import re
import shutil

import pytest
import waylay
from endings import assert_alive
from observers import HostState, assert_same_state
from waylay import EXIT_FAILED, WAYLAY, WAYLAYD

LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (error|warning|info|debug): \S"

# --- one daemon, and no stranger in its place ---------------------------------


def test_F14_a_second_daemon_is_refused(lab, daemon, good_file, tmp_path, pair):
    before = HostState(lab.gw)
    for run_dir in (daemon.run_dir, str(tmp_path / "another")):
        done = lab.gw.run(
            WAYLAYD, "--config", str(good_file), "--run-dir", run_dir, check=False
        )
        assert done.returncode == EXIT_FAILED
        assert str(daemon.pid) in done.stderr
    assert_same_state(before, HostState(lab.gw))
    ends = pair("v4")
    assert_alive(ends.client, ends.server)
    assert daemon.status()["pid"] == daemon.pid


def test_T10_the_control_socket_is_private(daemon):
    modes = [os.stat(p).st_mode & 0o777 for p in (daemon.run_dir, control(daemon))]
    assert modes == [0o700, 0o600]


def control(daemon) -> str:
    return f"{daemon.run_dir}/control.sock"


def test_F14_a_symlink_in_place_of_the_socket_is_not_followed(
    other_host, resources, tmp_path
):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    daemon = waylay.Daemon(other_host)
    resources.callback(daemon.close)
    os.mkdir(daemon.run_dir, 0o700)
    os.symlink(victim, control(daemon))
    daemon.launch()
    assert daemon.wait_end() == EXIT_FAILED
    assert "control.sock" in daemon.log
    assert victim.read_text() == "precious"


def test_a_taken_listener_port_is_named(other_host, resources):
    resources.enter_context(other_host.listen("v4", 15000, "127.0.0.1"))
    before = HostState(other_host)
    daemon = waylay.Daemon(other_host, "port 15000\n" + waylay.config())
    resources.callback(daemon.close)
    daemon.launch()
    assert daemon.wait_end() == EXIT_FAILED
    assert "15000" in daemon.log
    assert_same_state(before, HostState(other_host))


# --- waylay run ---------------------------------------------------------------


NFT_WITHOUT = """#!/bin/sh
# An nft on a kernel that does not know one statement.
for word; do case $word in -f) script=$(cat);; esac; done
case ${script:-} in
*"@WORD@"*) echo "Error: Could not process rule: No such file" >&2; exit 1;;
esac
printf '%s\\n' "${script:-}" | exec @REAL@ "$@"
"""


@pytest.mark.parametrize(
    "word, name", [("tproxy", "NFT_TPROXY"), ("socket transparent", "NFT_SOCKET")]
)
def test_F35_what_the_kernel_lacks_is_named(other_host, resources, tmp_path, word, name):
    nft = os.path.realpath("/usr/sbin/nft")
    real = shutil.copy(nft, tmp_path / "nft-real")
    fake = tmp_path / "nft-without"
    text = NFT_WITHOUT.replace("@WORD@", word).replace("@REAL@", str(real))
    fake.write_text(text)
    fake.chmod(0o755)
    before = HostState(other_host)
    script = f'mount --bind {fake} {nft} && exec "$@"'
    daemon = waylay.Daemon(
        other_host,
        waylay.config(engine="nft"),
        wrapper=("unshare", "--mount", "sh", "-c", script, "sh"),
    )
    resources.callback(daemon.close)
    daemon.launch()
    assert daemon.wait_end() == EXIT_FAILED
    assert f"it lacks {name}" in daemon.log
    assert_same_state(before, HostState(other_host))


def test_run_serves_from_flags_alone(fresh_lab, family):
    lab = fresh_lab
    flags = ("run", "--from", "lan0", "--tcp", "any", "--except-dst", "10.0.0.0/8")
    with waylay.Daemon(lab.gw, command=(WAYLAY, *flags)) as daemon:
        with lab.srv.listen(family, 80) as listener:
            with lab.cli.connect(listener.getsockname()[:2]) as client:
                server, peer = listener.accept()
                assert peer[0] == lab.cli.address(family)
                assert_alive(client, server)
                server.close()
        assert daemon.status()["on_failure"] == "open"
        shown = daemon.tool("config", "show").stdout
        assert "10.0.0.0/8" in shown and "lan0" in shown


def test_run_with_source_self_and_closed(fresh_lab):
    lab = fresh_lab
    flags = ("run", "--from", "lan0", "--tcp", "80", "--source", "self")
    command = (WAYLAY, *flags, "--on-failure", "closed")
    with waylay.Daemon(lab.gw, command=command) as daemon:
        with lab.srv.listen("v4", 80) as listener:
            with lab.cli.connect(listener.getsockname()[:2]):
                server, peer = listener.accept()
                server.close()
        assert peer[0] == "198.51.100.1"
        assert daemon.status()["on_failure"] == "closed"


# --- form of the log ----------------------------------------------------------


def test_log_lines_have_a_time_and_a_level(daemon):
    for line in daemon.lines:
        assert re.match(LINE, line), line


def test_log_lines_can_be_json(other_host):
    text = waylay.config(more="log { format json; }")
    with waylay.Daemon(other_host, text) as daemon:
        daemon.wait_log("waiting for interface lan0")
    for line in daemon.lines:
        assert {"time", "level", "message"} <= json.loads(line).keys()
