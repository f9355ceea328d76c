# SPDX-License-Identifier: Apache-2.0
"""K11: which source address has the host's own intercepted traffic?

    cli: connect(srv) ── mark ── rule ── local default dev lo ── lo ── TPROXY

IPv4, marked before connect() (SO_MARK, or a cgroup sock_create program), the
local route without `src`: the kernel first picks source = destination, then
finds that this is no address of the host, and connect() fails: ENETUNREACH.
A datagram without connect(), and a transparent socket, do go out as source =
destination; an answer then leaves towards the real server.  With `src` on the
route, or bound before, or marked only in `type route hook output`, the source
is the host's own and all works.  IPv6 chooses an address of the host always.
"""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel.netfilter import (
    MARK_NUMBER,
    PLAIN_RULE,
    compiled,
    counters,
    has_connection,
    intercepted_by,
    is_connected,
    mounted_bpffs,
    routed_by,
    ruleset,
    transparent_listener,
)

from namespace import Namespace, family_of
from probe import TRANSPARENT
from wait import wait_for

PROGRAM = Path(__file__).with_name("test_K11_mark.bpf.c")
PORT = 80

MARK_IN_OUTPUT = f"""
    chain output {{
        type route hook output priority mangle;
        th dport {PORT} meta mark set meta mark & 0xfffffcff | 0x100
    }}"""

ANSWERS = f"""
    counter leaving {{ }}
    chain postrouting {{
        type filter hook postrouting priority 0;
        oifname "eth0" tcp sport {PORT} counter name leaving
    }}"""


def arriving(source: str) -> str:
    protocol = "ip6" if ":" in source else "ip"
    return f"""
        counter arriving {{ }}
        chain prerouting {{
            type filter hook prerouting priority 0;
            iifname "lo" {protocol} saddr {source} udp dport {PORT} \\
                counter name arriving
        }}"""


@pytest.fixture(scope="module")
def host(lab) -> Iterator[Namespace]:
    with intercepted_by("nft", lab.cli, "lo"):
        yield lab.cli


@pytest.fixture(params=["without_src", "with_src"])
def has_src(request, host, family) -> Iterator[bool]:
    has_src = request.param == "with_src"
    src = host.address(family) if has_src else ""
    with routed_by(host, *PLAIN_RULE, src=src):
        yield has_src


@pytest.fixture
def listener(host, family) -> Iterator[socket.socket]:
    with transparent_listener(host, family) as listener:
        yield listener


# --- who marks ----------------------------------------------------------------


@pytest.fixture(scope="module")
def marking_cgroup(tmp_path_factory) -> Iterator[Path]:
    if not shutil.which("bpftool"):
        pytest.skip("no bpftool to attach the program")
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    roots = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
    if not roots:
        pytest.skip("no cgroup2 mounted")
    cgroup = Path(roots[0], f"lab{os.getpid()}-K11")
    program = compiled(PROGRAM, tmp_path_factory.mktemp("object"))
    with mounted_bpffs(tmp_path_factory.mktemp("bpffs")) as bpffs:
        pinned = str(bpffs / "mark_socket")
        bpftool("prog", "load", program, pinned)
        cgroup.mkdir()
        try:
            attach_type = "cgroup_inet_sock_create"
            bpftool("cgroup", "attach", str(cgroup), attach_type, "pinned", pinned)
            yield cgroup
        finally:
            cgroup.rmdir()


def bpftool(*words: str) -> None:
    subprocess.run(["bpftool", *words], check=True, capture_output=True)


@contextlib.contextmanager
def inside(cgroup: Path) -> Iterator[None]:
    """This process, for a moment."""
    own = Path("/proc/self/cgroup").read_text().split("0::")[1].split()[0]
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        outside = cgroup.parent / own.lstrip("/") / "cgroup.procs"
        outside.write_text(str(os.getpid()))


@pytest.fixture(params=["SO_MARK", "sock_create"])
def marked_socket(request, host, family):
    """marked_socket(SOCK_STREAM): has the mark before it is connected."""

    def new(kind: int) -> socket.socket:
        if request.param == "SO_MARK":
            s = host.new_socket(family, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK_NUMBER)
        else:
            with inside(request.getfixturevalue("marking_cgroup")):
                s = host.new_socket(family, kind)
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == MARK_NUMBER
        return s

    return new


# --- the answers ----------------------------------------------------------------


def start(s: socket.socket, to: tuple[str, int]) -> None:
    s.setblocking(False)
    s.connect_ex(to)


def assert_works(host, s: socket.socket, listener: socket.socket, to) -> None:
    wait_for("a connection", lambda: is_connected(s))
    with listener.accept()[0] as accepted:
        assert accepted.getsockname()[:2] == to
        assert accepted.getpeername()[0] == host.address(family_of(to[0]))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_connect_with_a_mark(
    lab, host, family, has_src, listener, marked_socket, kind
):
    to = (lab.srv.address(family), PORT)
    with marked_socket(kind) as s:
        if family == "v4" and not has_src:
            with pytest.raises(OSError) as refusal:
                s.connect(to)
            assert refusal.value.errno == errno.ENETUNREACH
            return
        start(s, to)
        assert s.getsockname()[0] == host.address(family)
        if kind == socket.SOCK_STREAM:
            assert_works(host, s, listener, to)


def test_a_datagram_with_a_mark(lab, host, family, has_src, marked_socket):
    to = (lab.srv.address(family), PORT)
    is_odd = family == "v4" and not has_src
    source = to[0] if is_odd else host.address(family)
    with marked_socket(socket.SOCK_DGRAM) as s, ruleset(host, "lo", arriving(source)):
        s.sendto(b"?", to)
        wait_for("the datagram on lo", lambda: counters(host)["arriving"])


def test_a_transparent_socket_with_a_mark(
    lab, host, family, has_src, listener, marked_socket
):
    """It may have any source; the answer then leaves the host, nobody connects."""
    to = (lab.srv.address(family), PORT)
    with marked_socket(socket.SOCK_STREAM) as s, ruleset(host, "answers", ANSWERS):
        s.setsockopt(*TRANSPARENT[family], 1)
        start(s, to)
        if family == "v6" or has_src:
            assert s.getsockname()[0] == host.address(family)
            assert_works(host, s, listener, to)
            assert counters(host)["leaving"] == 0
            return
        assert s.getsockname()[0] == to[0]
        wait_for("a SYN-ACK on eth0", lambda: counters(host)["leaving"])
        assert not is_connected(s) and not has_connection(listener)


def test_bound_and_marked(lab, host, family, has_src, listener, marked_socket):
    to = (lab.srv.address(family), PORT)
    with marked_socket(socket.SOCK_STREAM) as s:
        s.bind((host.address(family), 0))
        start(s, to)
        assert_works(host, s, listener, to)


def test_marked_in_the_output_hook(lab, host, family, has_src, listener):
    to = (lab.srv.address(family), PORT)
    with ruleset(host, "own", MARK_IN_OUTPUT):
        with host.new_socket(family, socket.SOCK_STREAM) as s:
            start(s, to)
            assert_works(host, s, listener, to)


def test_without_a_mark_it_goes_to_the_server(lab, host, family, has_src, listener):
    with lab.srv.listen(family, PORT) as server:
        with host.connect(server.getsockname()[:2]):
            server.accept()[0].close()
        assert not has_connection(listener)
