# SPDX-License-Identifier: Apache-2.0
"""What `waylay exec` can be told: a proxy, records, another user.

The gateway's namespace plays the host; `srv` is what commands talk to, a proxy
is on `srv2`.  Scenarios that differ for an ordinary user run as one as well.
The firewall is in test_exec_firewall.py.
"""

import json
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import waylay
from exec_case import CURL_REFUSED, CURL_RESET, DATAGRAMS, HOST, client_seen, curl
from exec_case import nothing_is_left, skip_without_namespaces, the_host_is_as_before
from exec_case import udp_client, url_of, waylay_exec, web, who
from programs import NAME, NameServer
from proxies import PASSWORD, USER, Danted, Microsocks, Tinyproxy
from wait import wait_for

__all__ = ["nothing_is_left", "the_host_is_as_before", "web", "who"]  # fixtures


# --- through a proxy ----------------------------------------------------------


@pytest.fixture(scope="module", params=[Microsocks, Tinyproxy])
def proxy(request, lab):
    proxy = request.param(lab.srv2, USER)
    yield proxy
    proxy.close()


def via(proxy, at: str, user: str = f"{USER}:{PASSWORD}") -> str:
    scheme = {"socks5": "socks5", "http-connect": "http"}[proxy.via]
    return f"--via={scheme}://{user}@{at}"


def test_a_proxy_is_who_the_server_sees(lab, who, proxy, family, web):
    words = waylay_exec("--quiet", via(proxy, proxy.at(family)), who=who)
    said = lab.gw.run(*words, *curl(url_of(lab.srv, family))).stdout
    assert client_seen(said) == lab.srv2.address(family)


def with_file(file, place: str, *command: str) -> tuple[str, ...]:
    """Command with another file in that place, for anybody to read."""
    file.chmod(0o644)
    script = 'mount --bind "$0" "$1" && shift && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", script, str(file), place, *command)


def test_a_proxy_by_its_name_in_the_hosts_file(lab, who, proxy, web, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{lab.srv2.v4} proxy.lab\n")
    words = waylay_exec("--quiet", via(proxy, f"proxy.lab:{proxy.port}"), who=who)
    words = (*words, *curl(url_of(lab.srv, "v4")))
    said = lab.gw.run(*with_file(hosts, "/etc/hosts", *words)).stdout
    assert client_seen(said) == lab.srv2.v4


def test_a_proxy_by_its_name_from_a_name_server(
    lab, who, proxy, web, tmp_path, resources
):
    """The command begins when the answer is there, or its first flow fails."""
    options = ("--listen-address=127.0.0.53", "--bind-interfaces")
    server = NameServer(lab.gw, lab.srv2.v4, lab.srv2.v6, *options)
    resources.callback(server.close)
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 127.0.0.53\n")
    words = waylay_exec("--quiet", via(proxy, f"{NAME}:{proxy.port}"), who=who)
    words = (*words, *curl(url_of(lab.srv, "v4")))
    said = lab.gw.run(*with_file(resolv_conf, "/etc/resolv.conf", *words)).stdout
    assert client_seen(said) == lab.srv2.v4


def test_a_proxy_whose_name_is_unknown_is_told_before(lab, tmp_path, resources):
    options = ("--listen-address=127.0.0.53", "--bind-interfaces", "--local=/lab/")
    server = NameServer(lab.gw, lab.srv2.v4, lab.srv2.v6, *options)
    resources.callback(server.close)
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 127.0.0.53\n")
    words = (*waylay_exec("--via=socks5://unknown.lab:1080"), "echo", "begun")
    done = lab.gw.run(*with_file(resolv_conf, "/etc/resolv.conf", *words), check=False)
    assert done.returncode == waylay.EXIT_FAILED
    assert done.stdout == ""
    assert "cannot look unknown.lab up" in done.stderr


def test_T22_the_password_is_shown_to_nobody(lab, who, proxy, web):
    """Neither to the command, nor in a list of processes, nor at the end."""
    script = (
        "for p in /proc/[0-9]*; do cat $p/cmdline $p/environ 2>/dev/null; done"
        ' | tr "\\0" "\\n"; ls -l /proc/self/fd; exec "$@"'
    )
    done = lab.gw.run(
        *waylay_exec(via(proxy, proxy.at("v4")), "--json", "--log=-", who=who),
        *("sh", "-c", script, "sh", *curl(url_of(lab.srv, "v4"))),
    )
    assert f"{USER}:{'*' * len(PASSWORD)}@" in done.stdout  # ours is among them
    assert '"upstream":"proxy"' in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert "memfd" not in done.stdout


def test_a_wrong_password_is_told_and_nothing_goes_around(lab, proxy, leaks, web):
    words = waylay_exec(via(proxy, proxy.at("v4"), f"{USER}:wrong"))
    done = lab.gw.run(*words, *curl(url_of(lab.srv, "v4")), check=False)
    assert done.returncode in (CURL_REFUSED, CURL_RESET)  # as soon as it is known
    assert re.search(r"tcp .* proxy +upstream-auth ", done.stderr)
    assert leaks.own() == 0


def test_udp_through_a_proxy_that_carries_it(lab, who, probe, resources):
    probe(lab.srv, "udp-server", 5000)
    proxy = Danted(lab.srv2, port=1081)
    resources.callback(proxy.close)
    words = waylay_exec(f"--via=socks5://{proxy.at('v4')}", who=who)
    done = lab.gw.run(*words, *udp_client(lab.srv.v4, 5000))
    assert '"is_equal": true' in done.stdout
    assert re.search(r"udp .* proxy ", done.stderr)


def test_udp_through_one_that_does_not_is_an_error(lab, proxy, leaks):
    words = waylay_exec("--quiet", via(proxy, proxy.at("v4")))
    said = lab.gw.run(*words, *DATAGRAMS, lab.srv.v4, "1")
    assert said.stdout == "refused\n"
    assert leaks.own() == 0


def test_direct_is_the_same_as_nothing(lab, web):
    words = waylay_exec("--quiet", "--via", "direct")
    said = lab.gw.run(*words, *curl(url_of(lab.srv, "v4"))).stdout
    assert client_seen(said) == HOST["v4"]


# --- records ---------------------------------------------------------------------


def test_flows_are_printed_at_the_end(lab, web):
    done = lab.gw.run(*waylay_exec(), *curl(url_of(lab.srv, "v4")))
    titles, flow = done.stderr.splitlines()
    assert titles.split()[:4] == ["PROTO", "SERVER", "UPSTREAM", "END"]
    assert flow.split()[:4] == ["tcp", f"{lab.srv.v4}:8080", "out", "finished"]


def test_a_log_has_a_line_for_each_flow(lab, who, web, open_directory):
    file = open_directory / "log"
    script = '"$@"; "$@"; curl -sS http://192.0.2.99/ || true'
    options = ("--log", str(file), "--deny", "192.0.2.99")
    done = lab.gw.run(
        *(*waylay_exec(*options, who=who), "sh", "-c", script, "sh"),
        *curl(url_of(lab.srv, "v4")),
    )
    lines = sorted(line.partition(" ")[2] for line in file.read_text().splitlines())
    assert len(lines) == 3
    assert re.fullmatch(
        r"tcp server=192.0.2.99:80 upstream=reject end=rejected up=0 down=0 ms=0",
        lines[0],
    )
    for line in lines[1:]:
        assert re.fullmatch(
            r"tcp server=198.51.100.10:8080 upstream=out end=finished"
            r" up=\d+ down=\d+ ms=\d+",
            line,
        )
    assert "PROTO" not in done.stderr  # the file has them
    assert "REFUSED" in done.stderr


def test_a_line_is_there_as_soon_as_its_flow_has_ended(lab, web, tmp_path):
    file = tmp_path / "log"
    process = lab.gw.start(
        *(*waylay_exec("--log", str(file)), "sh", "-c", '"$@"; read go', "sh"),
        *curl(url_of(lab.srv, "v4")),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    wait_for("its line", lambda: file.exists() and "end=finished" in file.read_text())
    process.communicate("go\n", timeout=10)


def test_a_log_on_standard_error_leaves_the_output_alone(lab, web):
    words = ("sh", "-c", '"$@" >/dev/null; echo said', "sh")
    options = ("--log", "-", "--json")
    done = lab.gw.run(*waylay_exec(*options), *words, *curl(url_of(lab.srv, "v4")))
    assert done.stdout == "said\n"
    (line,) = done.stderr.splitlines()
    flow = json.loads(line)
    assert (flow["proto"], flow["end"]) == ("tcp", "finished")
    assert flow["server"] == f"{lab.srv.v4}:8080"


def test_json_tells_of_refusals_as_of_flows(lab):
    words = waylay_exec("--json", "--deny", lab.srv.v4)
    done = lab.gw.run(*words, *curl(url_of(lab.srv, "v4")), check=False)
    line = next(line for line in done.stderr.splitlines() if line[0] == "{")
    flow = json.loads(line)
    assert (flow["server"], flow["end"]) == (f"{lab.srv.v4}:8080", "rejected")


# --- packets ---------------------------------------------------------------------


@pytest.fixture
def open_directory():
    """Where anybody may write.  Not below tmp_path: a second pytest on this
    host closes that to all but root when it begins."""
    with tempfile.TemporaryDirectory(prefix="waylay-lab-") as name:
        directory = Path(name)
        directory.chmod(0o777)
        yield directory


def read_pcap(file, *words: str) -> list[str]:
    """By the program that everybody reads them with."""
    done = subprocess.run(
        ["tcpdump", "-n", "-t", "-r", str(file), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "link-type EN10MB" in done.stderr
    assert "truncated" not in done.stderr
    return done.stdout.splitlines()


def test_a_capture_has_both_ends_of_a_connection(
    lab, who, family, web, open_directory
):
    file = open_directory / "out.pcap"
    words = waylay_exec("--quiet", "--pcap", str(file), who=who)
    lab.gw.run(*words, *curl(url_of(lab.srv, family)))
    syn = {"v4": "tcp[tcpflags] == tcp-syn", "v6": "ip6[53] == 2"}[family]
    fin = {"v4": "tcp[tcpflags] & tcp-fin != 0", "v6": "ip6[53] & 1 != 0"}[family]
    server = f"host {lab.srv.address(family)} and port 8080"
    assert len(read_pcap(file, f"{server} and {syn}")) == 1
    assert len(read_pcap(file, f"{server} and {fin}")) == 2


def test_a_capture_has_every_byte(lab, who, probe, open_directory):
    """Of some megabytes, that come as fast as they can."""
    file = open_directory / "out.pcap"
    probe(lab.srv, "tcp-server", 8081, "--mode", "source", "--bytes", str(8 << 20))
    client = ["/usr/bin/python3", "-c", RECEIVE, lab.srv.v4]
    words = waylay_exec("--quiet", "--pcap", str(file), who=who)
    said = lab.gw.run(*words, *client)
    assert said.stdout == f"{8 << 20}\n"
    assert said.stderr == ""  # which would tell of frames that are missing
    ranges = re.findall(
        r" seq (\d+):(\d+),", "\n".join(read_pcap(file, "src port 8081 and tcp"))
    )
    end = 1
    for first, last in sorted((int(a), int(b)) for a, b in ranges):
        assert first <= end, "a gap"  # what was sent twice is none
        end = max(end, last)
    assert end == 1 + (8 << 20)


RECEIVE = """
import socket, sys
s = socket.create_connection((sys.argv[1], 8081))
count = 0
while got := len(s.recv(1 << 20)):
    count += got
print(count)
"""


def test_a_capture_that_cannot_be_written_is_told_before(lab):
    for file, why in (("/dev/full", "No space"), ("/no/where", "No such file")):
        words = waylay_exec("--pcap", file)
        done = lab.gw.run(*words, "echo", "begun", check=False)
        assert done.returncode == waylay.EXIT_FAILED
        assert done.stdout == ""
        assert why in done.stderr and file in done.stderr


# What a file system that is too small leaves is copied.
SMALL_DISK = """
mount -t tmpfs -o size=1m,mode=1777 tmpfs "$1" || exit 99
disk=$1 copy=$2; shift 2
"$@"; status=$?
cp "$disk/out.pcap" "$copy"; exit $status
"""


@pytest.mark.parametrize("limit", ["disk", "rlimit"])
def test_a_capture_ends_where_the_disk_does(lab, who, probe, open_directory, limit):
    """The command goes on to its end; of the file all frames are whole."""
    disk, copy = open_directory / "disk", open_directory / "copy.pcap"
    disk.mkdir(mode=0o777)
    probe(lab.srv, "tcp-server", 8081, "--mode", "source", "--bytes", str(4 << 20))
    words = waylay_exec("--quiet", "--pcap", str(disk / "out.pcap"), who=who)
    if limit == "rlimit":
        words = ("prlimit", f"--fsize={1 << 19}", *words)
    client = ("/usr/bin/python3", "-c", RECEIVE, lab.srv.v4)
    done = lab.gw.run(
        *("sh", "-c", SMALL_DISK, "sh", str(disk), str(copy), *words, *client)
    )
    assert done.stdout == f"{4 << 20}\n"
    assert done.stderr.count("\n") == 1
    why = {"disk": "No space left on device", "rlimit": "File too large"}[limit]
    assert f"out.pcap ends before the command did: cannot write: {why}" in done.stderr
    assert len(read_pcap(copy)) > 3
    assert copy.stat().st_size <= 1 << (20 if limit == "disk" else 19)


def test_a_log_that_cannot_be_written_is_told(lab, web):
    words = waylay_exec("--quiet", "--log", "/dev/full")
    done = lab.gw.run(*words, *curl(url_of(lab.srv, "v4")))
    assert "cannot write the log: No space" in done.stderr


def test_a_log_that_reaches_its_limit_ends_nothing_else(lab, who, web, open_directory):
    """ulimit -f: the kernel's signal for it is not for the command."""
    file = str(open_directory / "log")
    words = waylay_exec("--quiet", "--json", "--log", file, who=who)
    urls = [url_of(lab.srv, "v4")] * 40
    done = lab.gw.run("prlimit", "--fsize=8192", *words, "curl", "-sS", *urls)
    assert done.stdout.count("client ") == len(urls)
    assert "cannot write the log: File too large" in done.stderr


# --- another user -----------------------------------------------------------------

WHO_AM_I = """
id -u; id -G; echo $HOME $USER $LOGNAME; grep -h ^Cap[IPEA] /proc/self/status
"""


def test_a_command_as_another_user(lab, web):
    """With its groups, and without any capability."""
    script = f'{WHO_AM_I}\nexec "$@"'
    words = waylay_exec("--quiet", "--user", "daemon")
    words = (*words, "sh", "-c", script, "sh", *curl(url_of(lab.srv, "v4")))
    said = lab.gw.run(*words).stdout.splitlines()
    groups = subprocess.run(
        ["id", "-G", "daemon"], capture_output=True, text=True
    ).stdout.strip()
    assert said[:3] == ["1", groups, "/usr/sbin daemon daemon"]
    assert {int(line.split()[1], 16) for line in said[3:7]} == {0}
    assert client_seen(said[7]) == HOST["v4"]


def test_a_user_may_be_a_number(lab):
    assert lab.gw.run(*waylay_exec("-q", "--user=1"), "id", "-un").stdout == "daemon\n"


def test_F24_another_users_command_dies_with_us(lab, nothing_is_left):
    """Which a process that has become somebody else does not by itself."""
    process = lab.gw.start(
        *(*waylay_exec("--user", "daemon"), "sh", "-c", "echo running; exec cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)


def test_only_root_runs_commands_as_others(lab):
    skip_without_namespaces()
    words = waylay_exec("--user", "daemon", who="ordinary")
    done = lab.gw.run(*words, "id", check=False)
    assert done.returncode == waylay.EXIT_NOT_PRIVILEGED
    assert "only root can" in done.stderr
    assert done.stdout == ""


# --- wrong words -------------------------------------------------------------------

WRONG = {
    "scheme": (["--via", "socks4://h:1"], "socks5://HOST:PORT"),
    "no_port": (["--via", "http://proxy"], "a host and a port"),
    "no_password": (["--via", "http://al@proxy:1"], "both a user and a password"),
    "no_name": (["--allow", "a b"], "'a b' is neither a name"),
    "no_network": (["--deny", "10.0.0.1/8"], "bits set behind"),
    "one_of_several": (["--deny", "a.example", "--deny", "?"], "'?' is neither"),
    "no_user": (["--user", "no-such-user"], "no user 'no-such-user'"),
    "no_such_option": (["--alow", "x"], "--alow is unknown"),
}


@pytest.mark.parametrize("words, sentence", WRONG.values(), ids=WRONG)
def test_wrong_words_are_one_sentence(lab, words, sentence):
    done = lab.gw.run(*waylay_exec(*words), "echo", "begun", check=False)
    assert done.returncode == waylay.EXIT_USAGE
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert done.stdout == ""
