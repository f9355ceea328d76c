# SPDX-License-Identifier: Apache-2.0
"""K9: how long does a tcx link live, and where does it stand?

    ingress of lan0:  tcx, in order of attaching  ──►  clsact, by priority

A link ends with its last descriptor, also when SIGKILL ends the holder; a
second holder (systemd's descriptor store is one) or a pin in bpffs keeps it.
A clsact filter stays whoever made it.  tcx runs before clsact: TC_ACT_OK
there ends the chain and clsact is skipped, TC_ACT_UNSPEC goes on, also to the
next tcx program, and a drop is final.  It is the same for both families.
bpftool 7.1 and tc 6.1 cannot make such links, so bpf(2) makes them here.
"""

import contextlib
import ctypes
import errno
import os
import platform
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernel.netfilter import mounted_bpffs

from namespace import Namespace, libc
from wait import wait_for

PROG_LOAD, OBJ_PIN, LINK_CREATE = 5, 6, 28
PROG_TYPE_SCHED_CLS = 3
TCX_INGRESS = 46
BPF_CALL_NUMBER = {"x86_64": 321, "aarch64": 280}

LOST_AFTER_S = 0.1  # it arrives at once or never

UNSPEC, OK, SHOT = -1, 0, 2  # TC_ACT_*


def bpf(command: int, attributes: bytes) -> int:
    number = BPF_CALL_NUMBER[platform.machine()]
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    value = libc.syscall(number, command, buffer, len(attributes))
    if value < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}")
    return value


def load(verdict: int) -> int:
    """A program that only answers: r0 = verdict; exit."""
    code = struct.pack("=BBhiBBhi", 0xB7, 0, 0, verdict, 0x95, 0, 0, 0)
    code_memory = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"Dual BSD/GPL")
    addresses = ctypes.addressof(code_memory), ctypes.addressof(licence)
    return bpf(PROG_LOAD, struct.pack("=IIQQ", PROG_TYPE_SCHED_CLS, 2, *addresses))


def pin(descriptor: int, path: Path) -> None:
    name = ctypes.create_string_buffer(os.fsencode(path))
    bpf(OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), descriptor, 0))


def link(host: Namespace, ifname: str, verdict: int) -> int:
    """At the end of the tcx chain; the program lives with the link."""
    program = load(verdict)
    try:
        with host.inside():
            index = socket.if_nametoindex(ifname)
            words = (program, index, TCX_INGRESS, 0, 0, 0, 0)
            return bpf(LINK_CREATE, struct.pack("=IIIIIIQ", *words))
    finally:
        os.close(program)


@pytest.fixture
def tcx(lab, resources) -> Callable[[int], int]:
    """tcx(SHOT): attach to lan0 until the end of the test, or os.close()."""

    def attach(verdict: int) -> int:
        try:
            descriptor = link(lab.gw, "lan0", verdict)
        except OSError as problem:
            if problem.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            pytest.skip(f"no tcx here: {problem}")
        resources.callback(close, descriptor)
        return descriptor

    return attach


def close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


@pytest.fixture
def bpffs(tmp_path) -> Iterator[Path]:
    with mounted_bpffs(tmp_path) as directory:
        yield directory


@pytest.fixture
def clsact(lab, bpffs) -> Iterator[Callable[[int], None]]:
    """clsact(SHOT): a filter with this answer; tc, its maker, has ended."""

    def attach(verdict: int) -> None:
        program = load(verdict)
        path = bpffs / f"program{program}"
        pin(program, path)
        os.close(program)
        words = ("direct-action", "object-pinned", str(path))
        lab.gw.run("tc", "filter", "add", "dev", "lan0", "ingress", "bpf", *words)
        path.unlink()

    lab.gw.run("tc", "qdisc", "add", "dev", "lan0", "clsact")
    yield attach
    lab.gw.run("tc", "qdisc", "del", "dev", "lan0", "clsact")


@pytest.fixture
def passes(lab, family) -> Iterator[Callable[[], bool]]:
    """Does a datagram of the client arrive?"""
    with lab.gw.udp(family, 5000) as server, lab.cli.udp(family) as client:
        client.connect(server.getsockname()[:2])

        def passes() -> bool:
            client.send(b"?")
            with contextlib.suppress(TimeoutError):
                return server.recv(10) == b"?"
            return False

        assert passes()  # and now the neighbour is known
        server.settimeout(LOST_AFTER_S)
        yield passes


# --- life ---------------------------------------------------------------------


def hold(descriptor: int) -> subprocess.Popen:
    """Another process has the link as well."""
    return subprocess.Popen(["sleep", "infinity"], pass_fds=[descriptor])


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def test_a_link_ends_with_its_descriptor(passes, tcx):
    descriptor = tcx(SHOT)
    assert not passes()
    os.close(descriptor)
    assert passes()


def test_a_link_ends_with_sigkill_of_its_last_holder(passes, tcx):
    descriptor = tcx(SHOT)
    first, second = hold(descriptor), hold(descriptor)
    os.close(descriptor)
    assert not passes()
    kill(first)
    assert not passes()
    kill(second)
    assert passes()


def test_a_pinned_link_survives_sigkill_of_its_holder(passes, tcx, bpffs):
    descriptor = tcx(SHOT)
    pin(descriptor, bpffs / "link")
    holder = hold(descriptor)
    os.close(descriptor)
    kill(holder)
    assert not passes()
    (bpffs / "link").unlink()
    wait_for("the link's end", passes)


def test_a_clsact_filter_stays_without_any_holder(passes, clsact):
    clsact(SHOT)
    assert not passes()


# --- order --------------------------------------------------------------------


@pytest.mark.parametrize(
    "in_tcx, in_clsact, expected",
    [
        ([], [OK], True),
        ([], [SHOT], False),
        ([OK], [SHOT], True),  # clsact is skipped
        ([UNSPEC], [SHOT], False),  # clsact decides
        ([UNSPEC], [OK], True),
        ([UNSPEC], [], True),
        ([SHOT], [OK], False),  # clsact comes too late
        ([OK, SHOT], [], True),  # the first that decides
        ([UNSPEC, SHOT], [], False),
        ([UNSPEC, OK], [SHOT], True),
        ([UNSPEC, UNSPEC], [SHOT], False),
    ],
)
def test_the_order_of_tcx_and_clsact(
    passes, tcx, clsact, in_tcx, in_clsact, expected
):
    for verdict in in_clsact:  # attached first, runs last
        clsact(verdict)
    for verdict in in_tcx:
        tcx(verdict)
    assert passes() == expected
