# SPDX-License-Identifier: Apache-2.0
"""`waylay exec -- COMMAND`: one command, as if it ran on the host itself.

The gateway's namespace plays the host.  Each scenario runs in three variants:
[plain] the command alone, [exec] the same below `waylay exec`, [ordinary] the
same by a user who has no right but to make namespaces of his own.  Options
are in test_exec_options.py, the terminal in test_exec_terminal.py.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest

import waylay
from exec_case import HOST, UID, client_seen, curl, skip_without_namespaces
from exec_case import udp_client, url_of, waylay_exec, web, who
from namespace import endpoint
from observers import Descendants, HostState, assert_same_state, is_running
from programs import NAME, NameServer
from wait import wait_for

__all__ = ["web", "who"]  # fixtures
EXEC = waylay_exec("--quiet")


@pytest.fixture(params=["plain", "exec", "ordinary"])
def prefix(request):
    if request.param == "plain":
        return ()
    if request.param == "exec":
        return EXEC
    skip_without_namespaces()
    return waylay_exec("--quiet", who="ordinary")


@pytest.fixture(autouse=True)
def nothing_is_left(lab):
    """Neither a process, nor a link, a rule, a route or a sysctl."""
    before, descendants = HostState(lab.gw), Descendants()
    yield descendants
    wait_for("no process is left", lambda: not descendants.new())
    assert_same_state(before, HostState(lab.gw))


def test_curl_reaches_a_server_from_the_hosts_address(lab, prefix, family, probe):
    probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    to = endpoint(lab.srv.address(family), 8080)
    said = lab.gw.run(*prefix, *curl(f"http://{to}/")).stdout
    assert client_seen(said) == HOST[family]
    assert said.split()[3] == to


def test_udp_works_as_well(lab, prefix, family, probe):
    probe(lab.srv, "udp-server", 5000)
    to = lab.srv.address(family)
    said = lab.gw.run(*prefix, *udp_client(to, 5000)).stdout
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


# --- as whom ------------------------------------------------------------------


def test_a_command_keeps_its_user_and_has_no_capabilities(lab, prefix):
    """Of an ordinary user: none of those that making namespaces took."""
    script = "id -u; id -g; grep -h ^Cap[IPEA] /proc/self/status; cat /proc/self/setgroups"
    said = lab.gw.run(*prefix, "sh", "-c", script).stdout.split()
    if "setpriv" not in prefix:
        assert said[:2] == ["0", "0"]
        return
    assert said[:2] == [str(UID)] * 2
    assert {int(word, 16) for word in said[3:10:2]} == {0}


def test_exec_inside_exec_inside_exec(lab, who, family, probe):
    probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    inner = waylay_exec("--quiet")
    said = lab.gw.run(
        *waylay_exec("--quiet", who=who), *inner, *inner, *curl(url_of(lab.srv, family))
    ).stdout
    assert client_seen(said) == HOST[family]


def test_an_ordinary_user_without_namespaces_is_told_so(lab):
    """One sentence, and nothing else happens."""
    script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    done = lab.gw.run(
        *("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"),
        *("setpriv", "--bounding-set=-all", "--inh-caps=-all", *EXEC, "echo", "no"),
        check=False,
    )
    assert done.returncode == waylay.EXIT_NOT_PRIVILEGED
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "user.max_user_namespaces is reached" in done.stderr


def test_a_user_who_is_who_workers_usually_become(lab, web):
    """In a namespace of its own even that one cannot give groups up."""
    skip_without_namespaces()
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    words = (*nobody, "--inh-caps=-all", *EXEC, *curl(url_of(lab.srv, "v4")))
    assert client_seen(lab.gw.run(*words).stdout) == HOST["v4"]


def test_a_worker_that_died_is_replaced_on_the_host(lab, who, nothing_is_left, probe):
    """The supervisor cannot go back there; one thread of it has stayed."""
    probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    words = curl(url_of(lab.srv, "v4"))
    process = lab.gw.start(
        *waylay_exec("--quiet", who=who),
        *("sh", "-c", '"$@"; read go; "$@"', "sh", *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert client_seen(process.stdout.readline()) == HOST["v4"]
    first = worker_of(nothing_is_left)
    assert os.readlink(f"/proc/{first}/ns/net") == f"net:[{lab.gw.inode}]"
    os.kill(first, signal.SIGKILL)
    wait_for("it is gone", lambda: not is_running(first))
    wait_for("a new one", lambda: worker_of(nothing_is_left) not in (0, first))
    out, _ = process.communicate("go\n", timeout=20)
    assert client_seen(out) == HOST["v4"]


def worker_of(descendants: Descendants) -> int:
    for pid in descendants.new():
        if Path(f"/proc/{pid}/comm").read_text() == "waylay-worker\n":
            return pid
    return 0
