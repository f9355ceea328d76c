# SPDX-License-Identifier: Apache-2.0
"""A worker has what it needs and nothing else, and needs no more (H03).

First what a worker may do and holds, read from /proc: of the workers of a
first start, of a reload, and in place of one that died.  Then everything a
worker does with traffic, under --strict-sandbox, where a system call that is
not listed kills it; [plain] shows that the traffic itself is sound.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import waylay
from endings import assert_alive, assert_stream_arrives, connection_outcome
from endings import end_of, reset
from observers import HostState, assert_same_state
from topology import Lab
from wait import wait_for
from waylay import EXIT_OK

CAP_NET_BIND_SERVICE, CAP_NET_RAW = 10, 13
KEPT = 1 << CAP_NET_RAW | 1 << CAP_NET_BIND_SERVICE
SECCOMP_FILTER = "2"
TCP_LISTEN = "0A"
MEGA = 1 << 20


# --- whose sandbox ------------------------------------------------------------


def after_reload(daemon: waylay.Daemon) -> None:
    assert daemon.reload().returncode == EXIT_OK


def after_death(daemon: waylay.Daemon) -> None:
    victim = daemon.serving_workers()[0]["pid"]
    os.kill(victim, signal.SIGKILL)
    wait_for("a new worker", lambda: is_replaced(daemon, victim))


def is_replaced(daemon: waylay.Daemon, victim: int) -> bool:
    pids = [w["pid"] for w in daemon.serving_workers()]
    return len(pids) == 2 and victim not in pids


ORIGINS: dict[str, Callable[[waylay.Daemon], None]] = {
    "first_start": lambda _: None,
    "after_reload": after_reload,
    "after_death": after_death,
}


@pytest.fixture(scope="module", params=ORIGINS.values(), ids=ORIGINS)
def workers(request, daemon) -> list[int]:
    """Those that serve.  The filter comes last: with it all else is done."""
    request.param(daemon)
    pids = [w["pid"] for w in daemon.serving_workers()]
    assert len(pids) == 2
    for pid in pids:
        wait_for("the filter", lambda: status_of(pid)["Seccomp"] == SECCOMP_FILTER)
    return pids


def status_of(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status; blanks in a value become one."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name: " ".join(value.split()) for name, _, value in pairs}


# --- what it may do -----------------------------------------------------------


def test_a_worker_has_two_capabilities(workers):
    for pid in workers:
        status = status_of(pid)
        sets = {n: int(status[n], 16) for n in status if n.startswith("Cap")}
        assert (sets["CapEff"], sets["CapPrm"]) == (KEPT, KEPT)
        assert sets["CapBnd"] in (0, KEPT)
        assert (sets["CapInh"], sets["CapAmb"]) == (0, 0)


def test_a_worker_is_not_root_and_never_will_be(workers):
    for pid in workers:
        status = status_of(pid)
        assert "0" not in status["Uid"].split() + status["Gid"].split()
        assert status["Groups"] == ""
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == SECCOMP_FILTER


def test_a_worker_leaves_no_core(workers):
    """Neither by its limit nor as dumpable: its /proc files are root's."""
    for pid in workers:
        limits = Path(f"/proc/{pid}/limits").read_text()
        (core,) = [x for x in limits.splitlines() if x.startswith("Max core")]
        assert core.split()[4:6] == ["0", "0"]
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0


def test_a_workers_root_is_elsewhere_and_not_writable(workers):
    for pid in workers:
        for place in (f"/proc/{pid}/root/", f"/proc/{pid}/cwd/"):
            assert not os.path.samefile(place, "/")
            assert not Path(place, "etc").exists()
            with pytest.raises(OSError):
                os.mkdir(f"{place}directory")
            with pytest.raises(OSError):
                os.open(f"{place}file", os.O_WRONLY | os.O_CREAT)


# --- what it holds ------------------------------------------------------------

STDERR = 2
HARMLESS = ("socket:", "pipe:", "anon_inode:[eventpoll]")
WORKERS_UNIX = {"", "@waylay/instance"}  # its channel and the lock


def descriptors(pid: int) -> dict[int, str]:
    """Descriptor and what it is; one may be closed while we look."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(link.name)] = os.readlink(link)
    return found


def inodes(pid: int) -> set[str]:
    """Of its sockets."""
    links = descriptors(pid).values()
    return {x[8:-1] for x in links if x.startswith("socket:[")}


def net_table(pid: int, name: str) -> list[list[str]]:
    """The rows of /proc/net/NAME as its namespace has them."""
    text = Path(f"/proc/{pid}/net/{name}").read_text()
    return [line.split() for line in text.splitlines()[1:]]


def test_a_worker_holds_sockets_pipes_and_its_loop_only(lab, workers, pair):
    """Pipes exist once it has moved bulk."""
    ends = pair("v4")
    assert_stream_arrives(ends.client, ends.server, 8 * MEGA)
    for pid in workers:
        others = {
            fd: what
            for fd, what in descriptors(pid).items()
            if fd != STDERR and what != "/dev/null" and not what.startswith(HARMLESS)
        }
        assert others == {}


def test_a_worker_has_no_way_to_control_or_netlink(workers):
    for pid in workers:
        own = inodes(pid)
        assert own
        assert not [r for r in net_table(pid, "netlink") if r[-1] in own]
        assert not [r for r in net_table(pid, "packet") if r[-1] in own]
        unix = [r[7:] for r in net_table(pid, "unix") if r[6] in own]
        assert {path for paths in unix for path in paths or [""]} <= WORKERS_UNIX


def flow_sockets(pid: int) -> list[list[str]]:
    """TCP sockets that do not listen, and UDP sockets that are connected."""
    own = inodes(pid)
    tcp = net_table(pid, "tcp") + net_table(pid, "tcp6")
    udp = net_table(pid, "udp") + net_table(pid, "udp6")
    return [
        *(r for r in tcp if r[9] in own and r[3] != TCP_LISTEN),
        *(r for r in udp if r[9] in own and r[2].rpartition(":")[0].strip("0")),
    ]


def test_the_supervisor_holds_no_flow(lab, daemon, workers, family, pair, resources):
    ends = pair(family)
    assert_alive(ends.client, ends.server)
    server = resources.enter_context(lab.srv.udp(family, 5000))
    client = resources.enter_context(lab.cli.udp(family))
    client.sendto(b"?", server.getsockname())
    assert server.recv(1) == b"?"
    held = [len(flow_sockets(pid)) for pid in workers]
    assert sum(held) >= 3  # two legs of TCP, one of UDP
    assert flow_sockets(daemon.pid) == []


# --- what it does, under --strict-sandbox -------------------------------------


# A time-out, an upstream with a header, and refusals by the relay.
STRICT_CONFIG = waylay.config(more="timeouts { udp 1s; half-closed 1s; }").replace(
    "default   -> out", "port 8082 -> header; default -> out"
) + "upstream header { via proxy-protocol-v2 198.51.100.10:8083 }\n"


@pytest.fixture(scope="module", params=["plain", "waylay"])
def strict(request, strict_lab) -> Iterator[waylay.Daemon | None]:
    """None on the plain gateway."""
    if request.param == "plain":
        yield None
        return
    before = HostState(strict_lab.gw)
    options = ("--strict-sandbox",)
    with waylay.Daemon(strict_lab.gw, STRICT_CONFIG, options=options) as daemon:
        yield daemon
        assert_unharmed(daemon.lines)
    assert_same_state(before, HostState(strict_lab.gw))


@pytest.fixture
def survivors(strict) -> Iterator[waylay.Daemon | None]:
    """The same, and what this scenario does kills no worker."""
    mark = len(strict.lines) if strict else 0
    yield strict
    if strict:
        assert strict.status()["workers"]  # it has seen what happened
        assert_unharmed(strict.lines[mark:])


@pytest.fixture(scope="module")
def strict_lab() -> Iterator[Lab]:
    """One of its own: the module's other one has a daemon already."""
    with Lab() as lab:
        yield lab


def assert_unharmed(lines: list[str]) -> None:
    """No worker was killed; what ended did so in order."""
    assert [x for x in lines if "signal" in x or "with status" in x] == []


def connected(lab, family: str, port: int, resources, client_port: int = 0):
    listener = resources.enter_context(lab.srv.listen(family, port))
    to = listener.getsockname()[:2]
    client = resources.enter_context(lab.cli.connect(to, client_port))
    server = resources.enter_context(listener.accept()[0])
    server.settimeout(client.gettimeout())
    return client, server


def bulk(lab, family, resources):
    client, server = connected(lab, family, 80, resources)
    assert_stream_arrives(client, server, 16 * MEGA)
    assert_stream_arrives(server, client, 16 * MEGA)


def stalled_and_reset(lab, family, resources):
    """The pipe holds bytes when its flow ends."""
    client, server = connected(lab, family, 80, resources)
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(bytes(65536))
    client.setblocking(True)
    reset(client)
    server.settimeout(5)
    assert end_of(server) == "rst"


def server_resets(lab, family, resources):
    client, server = connected(lab, family, 80, resources)
    assert_alive(client, server)
    reset(server)
    assert end_of(client) == "rst"


def refused(lab, family, resources):
    to = (lab.srv.address(family), 7001)
    assert connection_outcome(lambda: lab.cli.connect(to)) in ("rst", "ECONNREFUSED")


def source_self(lab, family, resources):
    assert_alive(*connected(lab, family, 8081, resources))


def another_port(lab, family, resources):
    """The client's port is taken on the gateway."""
    any_address = {"v4": "0.0.0.0", "v6": "::"}[family]
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        holder = resources.enter_context(lab.gw.new_socket(family, kind))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        holder.bind((any_address, 20060))
    assert_alive(*connected(lab, family, 80, resources, 20060))
    ask(lab, family, resources, b"?", 20060)


def low_port(lab, family, resources):
    assert_alive(*connected(lab, family, 80, resources, 600))
    ask(lab, family, resources, b"?", 601)


def ask(lab, family, resources, data: bytes, client_port: int = 0):
    server = resources.enter_context(lab.srv.udp(family, 5000))
    client = resources.enter_context(lab.cli.udp(family, client_port))
    client.sendto(data, server.getsockname())
    received, peer = server.recvfrom(1 << 16)
    server.sendto(received, peer)
    assert client.recv(1 << 16) == data


def datagrams(lab, family, resources):
    ask(lab, family, resources, b"question")


def fragments(lab, family, resources):
    ask(lab, family, resources, os.urandom(20000))


def icmp_error(lab, family, resources):
    client = resources.enter_context(lab.cli.udp(family))
    client.connect((lab.srv.address(family), 9007))
    with pytest.raises(ConnectionRefusedError):
        client.send(b"anybody?")
        client.recv(10)


MIX = {
    f.__name__: f
    for f in (
        *(bulk, stalled_and_reset, server_resets, refused, source_self),
        *(another_port, low_port, datagrams, fragments, icmp_error),
    )
}
# What must have counted when all of the mix is done.
COUNTED = (
    *("tcp_spliced", "tcp_finished", "tcp_reset", "tcp_connect_failed"),
    *("spoof_other_port", "udp_flows", "udp_fragmented", "udp_icmp"),
)


@pytest.mark.parametrize("traffic", MIX.values(), ids=MIX)
def test_strict_workers_survive(strict_lab, survivors, family, resources, traffic):
    traffic(strict_lab, family, resources)


def test_strict_workers_survive_a_PROXY_header(strict_lab, survivors, resources):
    if not survivors:
        return  # the header is waylay's
    listener = resources.enter_context(strict_lab.srv.listen("v4", 8083))
    to = (strict_lab.srv.v4, 8082)
    client = resources.enter_context(strict_lab.cli.connect(to))
    server = resources.enter_context(listener.accept()[0])
    server.settimeout(5)
    client.sendall(b"first")
    assert server.recv(100).startswith(b"\r\n\r\n\0\r\nQUIT\n")


def test_strict_workers_survive_time_outs(strict_lab, survivors, family, resources):
    client, server = connected(strict_lab, family, 80, resources)
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    datagrams(strict_lab, family, resources)
    if survivors:
        assert end_of(client) == "rst"
        wait_for("silence", lambda: survivors.flows() == [])


def test_strict_workers_survive_reloads(strict_lab, survivors, family, resources):
    """A flow of before goes on, and everything again in the new generation."""
    old = connected(strict_lab, family, 8090, resources)
    if survivors:
        assert survivors.reload().returncode == EXIT_OK
    for traffic in MIX.values():
        with contextlib.ExitStack() as own:
            traffic(strict_lab, family, own)
    assert_stream_arrives(*old, 8 * MEGA)
    if survivors:
        counted = survivors.status()["counters"]
        assert [name for name in COUNTED if not counted[name]] == []
