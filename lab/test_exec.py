# SPDX-License-Identifier: Apache-2.0
"""`waylay exec -- COMMAND`: one command, as if it ran on the host itself.

The gateway's namespace plays the host.  Each scenario runs in two variants:
[plain] the command alone, [exec] the same below `waylay exec`.
"""

import signal
import subprocess

import pytest

import waylay
from namespace import endpoint
from observers import Descendants, HostState, assert_same_state
from programs import NAME, NameServer
from wait import wait_for

EXEC = (waylay.WAYLAY, "exec", "--quiet", "--")
HOST = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}  # the host towards srv


@pytest.fixture(params=["plain", "exec"])
def prefix(request):
    return EXEC if request.param == "exec" else ()


@pytest.fixture(autouse=True)
def nothing_is_left(lab):
    """Neither a process, nor a link, a rule, a route or a sysctl."""
    before, descendants = HostState(lab.gw), Descendants()
    yield descendants
    wait_for("no process is left", lambda: not descendants.new())
    assert_same_state(before, HostState(lab.gw))


def curl(url: str) -> tuple[str, ...]:
    return ("curl", "-sS", "-g", "--max-time", "10", url)


def test_curl_reaches_a_server_from_the_hosts_address(lab, prefix, family, probe):
    probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    to = endpoint(lab.srv.address(family), 8080)
    said = lab.gw.run(*prefix, *curl(f"http://{to}/")).stdout
    client, server = said.split()[1::2]
    assert client.rpartition(":")[0].strip("[]") == HOST[family]
    assert server == to


def test_udp_works_as_well(lab, prefix, family, probe):
    probe(lab.srv, "udp-server", 5000)
    to = lab.srv.address(family)
    client = ("/usr/bin/python3", "-B", waylay.ROOT / "lab/probe.py", "udp-client")
    said = lab.gw.run(*prefix, *map(str, client), to, "5000").stdout
    assert '"is_equal": true' in said
    assert f'"answered_by": "{endpoint(to, 5000)}"' in said


def test_a_refusing_server_is_an_error_of_curl(lab, prefix, family):
    url = f"http://{endpoint(lab.srv.address(family), 7001)}/"
    done = lab.gw.run(*prefix, *curl(url), check=False)
    assert done.returncode in (7, 52, 56)  # refused; reset before an answer


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_is_passed_on(lab, prefix, status):
    done = lab.gw.run(*prefix, "sh", "-c", f"exit {status}", check=False)
    assert done.returncode == status


def test_a_death_by_signal_is_told_as_shells_do(lab, prefix):
    done = lab.gw.run(*prefix, "sh", "-c", "kill -TERM $$", check=False)
    assert done.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_a_command_that_does_not_exist_is_named(lab):
    done = lab.gw.run(*EXEC, "no-such-command", check=False)
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_input_output_and_arguments_pass_unchanged(lab, prefix):
    script = 'cat; printf "%s\\n" "$@" >&2'
    words = ("two words", "", "--quiet", "ä")
    done = lab.gw.run(*prefix, "sh", "-c", script, "sh", *words, input="in\nput")
    assert done.stdout == "in\nput"
    assert done.stderr == "\n".join(words) + "\n"


def test_two_commands_at_once_do_not_meet(lab, prefix, family, probe):
    server = probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    url = f"http://{endpoint(lab.srv.address(family), 8080)}/"
    running = [
        lab.gw.start(*prefix, *curl(url), stdout=subprocess.PIPE) for _ in range(2)
    ]
    for process in running:
        assert process.wait(timeout=10) == 0
    peers = {server.line()["peer"] for _ in running}
    assert len(peers) == 2


def test_exec_works_beside_a_daemon(lab, family, probe):
    probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    to = endpoint(lab.srv.address(family), 8080)
    with waylay.Daemon(lab.gw) as daemon:
        assert to in lab.gw.run(*EXEC, *curl(f"http://{to}/")).stdout
        assert daemon.status()["problems"] == []


# --- names --------------------------------------------------------------------


def test_names_resolve_through_a_resolver_on_loopback(
    lab, prefix, family, probe, resources, tmp_path
):
    """As with systemd-resolved: /etc/resolv.conf says 127.0.0.53."""
    resolver = NameServer(
        *(lab.gw, lab.srv.v4, lab.srv.v6),
        *("--listen-address=127.0.0.53", "--bind-interfaces"),
    )
    resources.callback(resolver.close)
    probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 127.0.0.53\noptions timeout:2\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    said = lab.gw.run(
        *("unshare", "--mount", "sh", "-c", script, str(resolv_conf)),
        *(*prefix, "curl", f"-{family[1]}", "-sS", "--max-time", "10"),
        f"http://{NAME}:8080/",
    ).stdout
    assert endpoint(lab.srv.address(family), 8080) in said


# --- a violent end ------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
)
def test_F24_an_end_by_signal_leaves_nothing(lab, prefix, nothing_is_left, how):
    """`nothing_is_left` looks after the command is gone."""
    process = lab.gw.start(
        *(*prefix, "sh", "-c", "echo running; exec cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == "running\n"
    assert nothing_is_left.new()
    process.send_signal(how)
    process.wait(timeout=10)
