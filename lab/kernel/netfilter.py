# SPDX-License-Identifier: Apache-2.0
"""A transparent proxy by hand: rules, local routes and listeners, no daemon.

    client ── lan0 ── gw: TPROXY marks MARK/MASK and attaches the listener
                          ip rule fwmark MARK/MASK lookup TABLE
                          table TABLE: local default dev lo

Each proof takes these pieces apart.  A piece is a context manager, so that
its opposite can follow in the same network.  The listener stands on the
loopback address, the safest place; nobody can then meet it by accident.
"""

import contextlib
import json
import select
import shutil
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from namespace import Namespace, family_of
from probe import transparent_socket

MARK = "0x100/0x300"
OWN_MARK = "0x200/0x300"  # the second one, for the host's own output
MARK_NUMBER = 0x100
TABLE = "100"
PRIORITY = 1000  # of the first ip rule
LISTEN_PORT = 15001
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
IP_FAMILY = {"v4": "-4", "v6": "-6"}

# --- routing ------------------------------------------------------------------

PLAIN_RULE = (f"fwmark {MARK} lookup {TABLE}",)


@contextlib.contextmanager
def routed_by(host: Namespace, *rules: str, src: str = "") -> Iterator[None]:
    """These ip rules, in this order, and the local route; `src` is of one family."""
    with contextlib.ExitStack() as stack:
        for family, option in IP_FAMILY.items():
            hint = f"src {src}" if src and family_of(src) == family else ""
            route = f"local default dev lo table {TABLE} {hint}".split()
            host.ip(option, "route", "add", *route)
            stack.callback(host.ip, option, "route", "del", *route)
            for place, text in enumerate(rules):
                rule = ("pref", str(PRIORITY + place), *text.split())
                host.ip(option, "rule", "add", *rule)
                stack.callback(host.ip, option, "rule", "del", *rule)
        yield


# --- nft and iptables ---------------------------------------------------------

ENGINES = ("nft", "iptables-nft", "iptables-legacy")


@contextlib.contextmanager
def ruleset(host: Namespace, name: str, body: str) -> Iterator[None]:
    """An inet table for a while."""
    host.nft(f"table inet {name} {{\n{body}\n}}")
    try:
        yield
    finally:
        host.nft(f"delete table inet {name}")


@contextlib.contextmanager
def iptables(host: Namespace, command: str, *rule: str) -> Iterator[None]:
    """One rule of table mangle; command is iptables-nft, ip6tables-legacy..."""
    start = (command, "-w", "-t", "mangle")
    host.run(*start, "-A", *rule)
    try:
        yield
    finally:
        host.run(*start, "-D", *rule)


@contextlib.contextmanager
def intercepted_by(engine: str, host: Namespace, ifname: str) -> Iterator[None]:
    """TCP from ifname goes to the listener on loopback, both families."""
    with contextlib.ExitStack() as stack:
        if engine == "nft":
            stack.enter_context(ruleset(host, "proxy", nft_tproxy(ifname)))
        else:
            for family, command in (("v4", engine), ("v6", f"ip6{engine[2:]}")):
                rule = xt_tproxy(ifname, family)
                stack.enter_context(iptables(host, command, *rule))
        yield


def nft_tproxy(ifname: str) -> str:
    then = "meta mark set meta mark & 0xfffffcff | 0x100 accept"
    return f"""
        chain prerouting {{
            type filter hook prerouting priority mangle;
            iifname != "{ifname}" accept
            meta l4proto tcp tproxy ip to 127.0.0.1:{LISTEN_PORT} {then}
            meta l4proto tcp tproxy ip6 to [::1]:{LISTEN_PORT} {then}
        }}"""


def xt_tproxy(ifname: str, family: str) -> list[str]:
    return [
        *("PREROUTING", "-i", ifname, "-p", "tcp", "-j", "TPROXY"),
        *("--on-ip", LOOPBACK[family], "--on-port", str(LISTEN_PORT)),
        *("--tproxy-mark", MARK),
    ]


def counters(host: Namespace) -> dict[str, int]:
    """Packets of every named counter of nft."""
    text = host.run("nft", "-j", "list", "counters").stdout
    items = (item.get("counter") for item in json.loads(text)["nftables"])
    return {counter["name"]: counter["packets"] for counter in items if counter}


# --- sockets ------------------------------------------------------------------


def transparent_listener(
    host: Namespace, family: str, address: str = "", port: int = LISTEN_PORT
) -> socket.socket:
    s = transparent_udp(host, family, address, port, socket.SOCK_STREAM)
    s.listen(16)
    return s


def transparent_udp(
    host: Namespace,
    family: str,
    address: str = "",
    port: int = LISTEN_PORT,
    kind: int = socket.SOCK_DGRAM,
) -> socket.socket:
    with host.inside():
        s = transparent_socket((address or LOOPBACK[family], port), kind)
    s.settimeout(5)
    return s


def start_connect(
    client: Namespace, to: tuple[str, int], source_port: int = 0
) -> socket.socket:
    """The SYN is sent when this returns; `is_connected` tells what became of it."""
    s = client.new_socket(family_of(to[0]), socket.SOCK_STREAM, source_port)
    s.setblocking(False)
    s.connect_ex(to)
    return s


def is_connected(s: socket.socket) -> bool:
    """Now; an error of the connection is raised."""
    if not select.select([], [s], [], 0)[1]:
        return False
    number = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, "connect")
    return True


def has_connection(listener: socket.socket) -> bool:
    return bool(select.select([listener], [], [], 0)[0])


def assert_intercepted(
    client: Namespace, listener: socket.socket, to: tuple[str, int]
) -> None:
    """Connected, and the proxy sees both ends' true names."""
    with client.connect(to) as c:
        s, peer = listener.accept()
        with s:
            s.settimeout(5)
            assert s.getsockname()[:2] == to
            assert peer[:2] == c.getsockname()[:2]
            c.sendall(b"?")
            assert s.recv(1) == b"?"
            s.sendall(b"!")
            assert c.recv(1) == b"!"


# --- BPF ----------------------------------------------------------------------


def compiled(source: Path, directory: Path) -> str:
    """The object file of a BPF program that stands beside its test."""
    if not shutil.which("clang"):
        pytest.skip("no clang to compile the program")
    target = directory / f"{source.stem}.o"
    include = f"-I/usr/include/{sysconfig.get_config_var('MULTIARCH')}"
    flags = ("-O2", "-g", "-Wall", "-target", "bpf", include)
    command = ["clang", *flags, "-c", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    return str(target)


@contextlib.contextmanager
def mounted_bpffs(directory: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "bpf", "bpf", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)
