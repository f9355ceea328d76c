# SPDX-License-Identifier: Apache-2.0
"""Programs with libwaylay, without waylayd: the examples and those of the manual.

    cli 192.0.2.10 ── lan0 ─ gw: a program ─ wan0 ── srv 198.51.100.10

The examples are those of the source, as the build has made them; the manual's
are taken out of libwaylay(3).  Where a program is invisible, both ends must see
the same without it: `way` is "plain" then.
"""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import each_engine
import waylay
from endings import assert_alive, assert_stream_arrives, connection_outcome
from namespace import Namespace, end_process, endpoint
from observers import HostState, LeakObserver, assert_same_state
from wait import wait_for

BUILD = Path(waylay.WAYLAY).resolve().parents[2]
MANUAL = waylay.ROOT / "man/libwaylay.3.scd"
SERVER = str(waylay.ROOT / "lab/library_server.py")
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
GATEWAY = {"v4": "192.0.2.1", "v6": "2001:db8:1::1"}
MEGA = 1 << 20
PORT, SOURCE_PORT, LISTEN_PORT = 8000, 20000, 9000

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
PRIVATE_PLACES = {"LD_LIBRARY_PATH": str(BUILD / "src/lib")}


class Program:
    """One in a namespace, ready when it says so; close() ends it in order."""

    def __init__(self, host: Namespace, *command: str):
        self._process = host.start(
            *command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | PRIVATE_PLACES,
        )
        self.host = host
        assert self._process.stderr
        self.said = self._process.stderr.readline().strip()

    @property
    def is_ready(self) -> bool:
        return self.said == "ready"

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def wait(self) -> int:
        return self._process.wait(timeout=10)

    def kill(self) -> None:
        end_process(self._process)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            assert self.wait() == 0, "it failed at SIGTERM"
        end_process(self._process)


@pytest.fixture
def start(resources):
    """start(host, command...): a program that is ready."""

    def started(host: Namespace, *command: object) -> Program:
        program = Program(host, *map(str, command))
        resources.callback(program.close)
        assert program.is_ready, program.said
        return program

    return started


@pytest.fixture(autouse=True)
def same_state(lab):
    """Whatever ends, nothing of it is left."""
    before = HostState(lab.gw)
    yield
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture(params=["plain", "library"])
def way(request):
    return request.param


def example(name: str) -> str:
    return str(BUILD / "examples" / name)


def start_server(start, host: Namespace, *words: str) -> Program:
    return start(host, "/usr/bin/python3", "-B", SERVER, *words)


def ask(host: Namespace, to: tuple[str, int], question: bytes = b"") -> str:
    """What is said at `to`, until it is closed."""
    with host.connect(to) as s:
        s.sendall(question)
        return s.makefile("rb").read().decode().strip()


# --- the examples -----------------------------------------------------------------


def test_the_echo_proxy_is_seen_by_nobody(lab, way, family, start, pair, leaks):
    if way == "library":
        start(lab.gw, example("tcp_echo_proxy"), LOOPBACK[family], "lan0", PORT)
    ends = pair(family, PORT)
    assert ends.server.getpeername()[:2] == ends.client.getsockname()[:2]
    assert ends.client.getpeername()[:2] == (lab.srv.address(family), PORT)
    assert_stream_arrives(ends.client, ends.server, 4 * MEGA)
    assert_stream_arrives(ends.server, ends.client, 4 * MEGA)
    assert (leaks.forwarded() == 0) == (way == "library")
    assert bool(leaks.own()) == (way == "library")


def test_the_logger_sends_on_as_it_came(lab, way, family, start, resources):
    to = (lab.srv.address(family), PORT)
    program = None
    if way == "library":
        command = example("udp_logger"), LOOPBACK[family], "lan0", f"{PORT}-8010"
        program = start(lab.gw, *command)
    leaks = LeakObserver(lab.srv)
    server = resources.enter_context(lab.srv.udp(family, PORT))
    client = resources.enter_context(lab.cli.udp(family, SOURCE_PORT))
    for payload in (b"", b"one", bytes(1400), bytes(9000)):
        client.sendto(payload, to)
        data, peer = server.recvfrom(65535)
        assert (data, peer[:2]) == (payload, (lab.cli.address(family), SOURCE_PORT))
        server.sendto(b"answer", peer)
        assert client.recvfrom(100)[1][:2] == to
        if program:
            assert program.line() == (
                f"from {lab.cli.address(family)} {SOURCE_PORT} "
                f"to {to[0]} {to[1]} bytes {len(payload)}"
            )
    assert (leaks.forwarded() == 0) == (way == "library")


def test_the_plug_tells_where_a_client_wanted_to_go(lab, way, family, start):
    to = (lab.srv.address(family), 80)
    if way == "plain":
        assert connection_outcome(lambda: lab.cli.connect(to)) == "ECONNREFUSED"
        return
    start(lab.gw, example("epoll_plug"), LOOPBACK[family], "lan0", "80")
    for _ in range(3):
        assert ask(lab.cli, to) == f"tproxy {to[0]} 80"
    assert connection_outcome(lambda: lab.cli.connect((to[0], 81))) == "ECONNREFUSED"


# --- the manual's -----------------------------------------------------------------


def code_of(beginning: str) -> str:
    """The block of the manual that begins so."""
    blocks = re.findall(r"^```\n(.*?)^```\n", MANUAL.read_text(), re.M | re.S)
    (block,) = [b for b in blocks if b.startswith(beginning)]
    return block.replace("\\\\", "\\")


def start_silent(lab, resources, *command: str) -> subprocess.Popen:
    """What does not say when it is ready."""
    process = lab.gw.start(*command, env=os.environ | PRIVATE_PLACES)
    resources.callback(end_process, process)
    return process


def test_the_manuals_python_runs(lab, resources):
    """As root; for others it ends with an error."""
    code = code_of("import ctypes")
    assert code.count("\n") <= 10
    words = "/usr/bin/python3", "-B", "-c", code
    server = resources.enter_context(lab.srv.udp("v4", 514))
    places = {"env": os.environ | PRIVATE_PLACES, "check": False}
    assert lab.gw.run(*words, **places).returncode == 0
    text, peer = server.recvfrom(100)
    assert (text, peer) == (b"<14>somebody: not who you think", (lab.cli.v4, 5555))
    assert lab.gw.run(*NOBODY, *words, **places).returncode == 1


def answer_or_none(lab, to: str) -> str | None:
    try:
        return ask(lab.cli, (to, 80))
    except OSError:
        return None


def test_the_manuals_program_runs(lab, tmp_path, resources):
    source, binary = tmp_path / "example.c", tmp_path / "example"
    source.write_text(code_of("#include <netinet/in.h>"))
    if not shutil.which("cc"):
        pytest.skip("there is no compiler")
    subprocess.run(
        [
            *("cc", "-Wall", "-Wextra", "-Werror", f"-I{waylay.ROOT}/include"),
            *(str(source), "-o", str(binary)),
            *(f"-L{BUILD}/src/lib", "-lwaylay"),
        ],
        check=True,
    )
    process = start_silent(lab, resources, str(binary))
    wait_for(
        "an answer of the program",
        lambda: answer_or_none(lab, lab.srv.v4) == "you are not where you think",
    )
    assert process.wait(timeout=10) == 0


# --- every way that a connection comes ----------------------------------------------


@each_engine.ENGINE
def test_every_engine_brings_both_families(lab, engine, start):
    each_engine.require(engine)
    start_server(start, lab.gw, "from=lan0", "tcp=any", f"engine={engine}")
    for family in ("v4", "v6"):
        to = lab.srv.address(family)
        assert ask(lab.cli, (to, PORT)) == f"tproxy {to} {PORT}"


@each_engine.ENGINE
def test_every_engine_brings_datagrams_of_both_families(
    lab, engine, start, resources
):
    """To listeners of the library, which answer with the server's address."""
    each_engine.require(engine)
    start_server(start, lab.gw, "--udp", "from=lan0", "udp=any", f"engine={engine}")
    leaks = LeakObserver(lab.srv)
    for family in ("v4", "v6"):
        to = (lab.srv.address(family), PORT)
        client = resources.enter_context(lab.cli.udp(family))
        for _ in range(2):
            client.sendto(b"whose are you?", to)
            data, peer = client.recvfrom(100)
            assert (data.decode(), peer[:2]) == (f"{to[0]} {to[1]}", to)
    assert leaks.forwarded() == leaks.own() == 0


@each_engine.ENGINE
def test_a_socket_on_the_wildcard_is_delivered_to(lab, engine, family, start):
    """One that the library has not made, for both families."""
    each_engine.require(engine)
    words = "--wildcard", "from=lan0", "tcp=any", f"engine={engine}"
    start_server(start, lab.gw, *words)
    to = lab.srv.address(family)
    assert ask(lab.cli, (to, PORT)) == f"tproxy {to} {PORT}"


REDIRECT = """
table inet theirs {{
    chain turn {{
        type nat hook prerouting priority dstnat
        iifname lan0 tcp dport {port} redirect to :{listen_port}
    }}
}}
"""


@pytest.fixture
def redirected(lab):
    lab.gw.nft(REDIRECT.format(port=PORT, listen_port=LISTEN_PORT))
    yield
    lab.gw.nft("delete table inet theirs")


@pytest.mark.parametrize("socket_kind", ["library", "wildcard"])
def test_what_nat_has_changed_is_told_as_it_was(
    lab, family, start, redirected, socket_kind
):
    words = ["--wildcard"] if socket_kind == "wildcard" else []
    start_server(start, lab.gw, *words)
    to = lab.srv.address(family)
    assert ask(lab.cli, (to, PORT)) == f"redirect {to} {PORT}"
    own = GATEWAY[family]
    assert ask(lab.cli, (own, LISTEN_PORT)) == f"plain {own} {LISTEN_PORT}"


def test_what_comes_by_itself_is_plain(lab, family, start):
    start_server(start, lab.gw)
    own = GATEWAY[family]
    assert ask(lab.cli, (own, LISTEN_PORT)) == f"plain {own} {LISTEN_PORT}"


@each_engine.ENGINE
def test_its_own_connections_are_not_taken_again(lab, engine, family, start, probe):
    """What this host sends is intercepted, and what the program itself sends is
    not; otherwise it would call itself for ever."""
    each_engine.require(engine)
    probe(lab.srv, "tcp-server", PORT)
    words = "--onward", "from=host", f"tcp={PORT}", f"engine={engine}"
    program = start_server(start, lab.gw, *words)
    to = lab.srv.address(family)
    assert ask(lab.gw, (to, PORT), b"!") == "!"
    assert program.line() == f'{{"way": "tproxy", "to": ["{to}", {PORT}]}}'


# --- others -----------------------------------------------------------------------


def test_while_waylayd_serves_a_program_is_refused(fresh_lab):
    with waylay.Daemon(fresh_lab.gw) as daemon:
        words = example("epoll_plug"), "127.0.0.1", "lan0", "80"
        program = Program(fresh_lab.gw, *words)
        assert program.wait() == 1
        assert f"waylayd (pid {daemon.pid})" in program.said
        program.close()


def test_while_a_program_intercepts_waylayd_is_refused(lab, start, resources):
    program = start(lab.gw, example("epoll_plug"), "127.0.0.1", "lan0", "80")
    daemon = waylay.Daemon(lab.gw)
    resources.callback(daemon.close)
    daemon.launch()
    assert daemon.wait_end() == waylay.EXIT_FAILED
    assert f"epoll_plug (pid {program._process.pid}) intercepts" in daemon.log
    to = lab.srv.v4
    assert ask(lab.cli, (to, 80)) == f"tproxy {to} 80"


@each_engine.ENGINE
def test_F03_of_a_killed_program_nothing_remains_in_the_way(
    lab, engine, family, start, pair
):
    each_engine.require(engine)
    if engine == "iptables":
        pytest.skip("iptables cannot ask whether another program listens")
    words = "from=lan0", "tcp=any", f"engine={engine}"
    killed = start_server(start, lab.gw, *words)
    killed.kill()
    leaks = LeakObserver(lab.srv)
    ends = pair(family, PORT)
    assert_alive(ends.client, ends.server)
    assert leaks.forwarded() > 0
    start_server(start, lab.gw, "from=lan0", "tcp=80")  # takes over, and ends


def test_F02_closed_holds_after_a_program_was_killed(lab, family, start, resources):
    words = "from=lan0", "tcp=any", "on-failure=closed"
    killed = start_server(start, lab.gw, *words)
    killed.kill()
    leaks = LeakObserver(lab.srv)
    resources.enter_context(lab.srv.listen(family, PORT))
    impatient = resources.enter_context(lab.cli.new_socket(family, socket.SOCK_STREAM))
    impatient.settimeout(0.3)
    with pytest.raises(TimeoutError):
        impatient.connect((lab.srv.address(family), PORT))
    lab.cli.run("ping", "-c", "1", "-W", "5", lab.srv.address(family))
    assert leaks.forwarded() == 0
    start_server(start, lab.gw, *words)


def test_nobody_without_privilege_installs(lab):
    program = Program(lab.gw, *NOBODY, example("epoll_plug"), "127.0.0.1", "lan0", "80")
    assert program.wait() == 1
    assert "CAP_NET_RAW" in program.said
    program.close()
