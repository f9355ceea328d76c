# SPDX-License-Identifier: Apache-2.0
"""What BPF programs are in force in a namespace, and what is pinned for it.

The kernel is asked by bpf(2), since tools of 2023 know nothing of tcx.
Numbers of programs differ from one load to the next and are left out.
"""

import ctypes
import os
import platform
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from namespace import CLONE_NEWNS, Namespace, libc

CALL_NUMBER = {"x86_64": 321, "aarch64": 280}
PROG_QUERY = 16
QUERY_FORMAT = "=IIIIQIIQQQQ"  # union bpf_attr, `query`
SK_LOOKUP = 36
TCX = {"ingress": 46, "egress": 47}


def programs_at(target: int, attach_type: int) -> int:
    """How many; 0 also where the kernel has no such hook."""
    attributes = struct.pack(QUERY_FORMAT, target, attach_type, *[0] * 9)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = CALL_NUMBER[platform.machine()]
    if libc.syscall(number, PROG_QUERY, buffer, len(attributes)) < 0:
        return 0
    return struct.unpack(QUERY_FORMAT, buffer.raw)[5]


def attached(host: Namespace) -> Iterator[str]:
    """A line for each hook with programs."""
    with host.inside():
        hooks = [
            (f"tcx {way} of {name}", programs_at(index, attach_type))
            for index, name in socket.if_nameindex()
            for way, attach_type in TCX.items()
        ]
    hooks.append(("sk_lookup", programs_at(host.descriptor, SK_LOOKUP)))
    return (f"{hook}: {count}" for hook, count in hooks if count)


def filters(host: Namespace) -> Iterator[str]:
    """Of clsact, on interfaces that have it."""
    for line in host.run("tc", "qdisc", "show").stdout.splitlines():
        words = line.split()
        if words[1] != "clsact":
            continue
        for way in TCX:
            text = host.run("tc", "filter", "show", "dev", words[4], way).stdout
            yield from (f"{words[4]} {way}: {named(line)}" for line in text.splitlines())


def named(line: str) -> str:
    """Without what is another number each time."""
    words = line.split()
    for number in ("tag", "id"):
        if number in words:
            place = words.index(number)
            del words[place : place + 2]
    return " ".join(words)


# --- bpffs ------------------------------------------------------------------------


def mounted() -> list[Path]:
    """Where a bpffs is, as this process sees it."""
    lines = map(str.split, Path("/proc/thread-self/mounts").read_text().splitlines())
    return [Path(words[1]) for words in lines if words[2] == "bpf"]


def pins(host: Namespace) -> Iterator[Path]:
    """What waylay has pinned for a namespace; its inode is the directory."""
    for place in mounted():
        yield from sorted((place / "waylay" / str(host.inode)).glob("*"))


def mount_alone(place: Path) -> None:
    """One bpffs for this process and its children, in place of all others.

    waylayd takes the first that is mounted, and another run may take that
    one away.  Network namespaces made or removed by others stay known here;
    those made here end with us.
    """
    if libc.unshare(CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")
    subprocess.run(["mount", "--make-rslave", "/"], check=True)
    for other in mounted():
        subprocess.run(["umount", "--lazy", other], check=True)
    subprocess.run(["mount", "-t", "bpf", "bpf", place], check=False)
