# SPDX-License-Identifier: Apache-2.0
"""Sockets and rules of a transparent proxy, without the proxy.

    cli ── client leg ── gw ── server leg ── srv

An Interception brings what a gateway's interface receives to listeners on
loopback, and what comes back for a transparent socket to that socket.  The
rest makes the sockets.  A Child is a forked process for what only another
process can show: its death, or its lack of capabilities.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

from namespace import Namespace, family_of, libc
from probe import RECVORIGDSTADDR, TRANSPARENT, ending, original_destination

NFPROTO = {"v4": ("ipv4", "ip"), "v6": ("ipv6", "ip6")}
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
PORT = 15001  # of the intercepting listeners
MARK = 1  # what the rules bring to the local table
TABLE = "100"

LINGER_NONE = struct.pack("ii", 0, 0)


# --- interception -------------------------------------------------------------


def rules(ifname: str, match: str) -> str:
    to_listeners = "\n".join(
        f'iifname "{ifname}" meta nfproto {proto} {match} '
        f"tproxy {family} to {at} meta mark set {MARK} accept"
        for proto, family, at in (
            ("ipv4", "ip", f"127.0.0.1:{PORT}"),
            ("ipv6", "ip6", f"[::1]:{PORT}"),
        )
    )
    return f"""
    chain prerouting {{
        type filter hook prerouting priority mangle;
        socket transparent 1 meta mark set {MARK} accept
        {to_listeners}
    }}
"""


@contextlib.contextmanager
def interception(
    host: Namespace, ifname: str = "lan0", match: str = "meta l4proto { tcp, udp }"
) -> Iterator[None]:
    """For a while, everything that matches on one interface is the listeners'."""
    routing = [
        (version, *words)
        for version in ("-4", "-6")
        for words in (
            ("rule", "{}", "fwmark", f"{MARK}/{MARK}", "lookup", TABLE),
            ("route", "{}", "local", "default", "dev", "lo", "table", TABLE),
        )
    ]
    with table(host, "intercept", rules(ifname, match)):
        for words in routing:
            host.ip(*(word.format("add") for word in words))
        try:
            yield
        finally:
            for words in routing:
                host.ip(*(word.format("del") for word in words))


def packets(host: Namespace, table: str, counter: str) -> int:
    """What a named counter of an inet table has counted."""
    text = host.run("nft", "list", "counter", "inet", table, counter).stdout
    return int(text.split("packets")[1].split()[0])


@contextlib.contextmanager
def table(host: Namespace, name: str, body: str) -> Iterator[None]:
    """An inet table of this name, for a while."""
    host.nft(f"table inet {name} {{\n{body}\n}}")
    try:
        yield
    finally:
        host.nft(f"delete table inet {name}")


# --- sockets ------------------------------------------------------------------


def transparent(
    host: Namespace, family: str, kind: int = socket.SOCK_STREAM
) -> socket.socket:
    """Not bound yet; has SO_REUSEADDR."""
    s = host.new_socket(family, kind)
    s.setsockopt(*TRANSPARENT[family], 1)
    return s


def listener(host: Namespace, family: str) -> socket.socket:
    s = transparent(host, family)
    s.bind((LOOPBACK[family], PORT))
    s.listen(1024)
    return s


def datagram_listener(host: Namespace, family: str) -> socket.socket:
    s = transparent(host, family, socket.SOCK_DGRAM)
    s.setsockopt(*RECVORIGDSTADDR[family], 1)
    s.bind((LOOPBACK[family], PORT))
    return s


def leg(
    host: Namespace, source: tuple, to: tuple, kind: int = socket.SOCK_STREAM
) -> socket.socket:
    """Connected to `to` in the name of `source`."""
    s = transparent(host, family_of(source[0]), kind)
    try:
        s.bind(source[:2])
        s.connect(to)
    except OSError:
        s.close()
        raise
    return s


def accept(from_listener: socket.socket) -> socket.socket:
    s = from_listener.accept()[0]
    s.settimeout(from_listener.gettimeout())
    return s


def outcome(call: Callable[..., object], *args: object) -> str:
    """Empty when it worked, else the name of the errno, rst or timeout."""
    try:
        call(*args)
    except OSError as problem:
        return ending(problem)
    return ""


def assert_datagram_is_relayed(
    host: Namespace,
    client: socket.socket,
    at_gateway: socket.socket,
    server: socket.socket,
) -> None:
    """Both legs by hand, each end sees the other one's true name."""
    client.sendto(b"question", server.getsockname())
    data, ancillary, _, peer = at_gateway.recvmsg(100, 100)
    to = original_destination(ancillary)
    assert to == server.getsockname()[:2]
    assert peer[:2] == client.getsockname()[:2]
    with (
        leg(host, peer, to, socket.SOCK_DGRAM) as two,
        leg(host, to, peer, socket.SOCK_DGRAM) as back,
    ):
        two.send(data)
        data, source = server.recvfrom(100)
        assert (data, source[:2]) == (b"question", peer[:2])
        server.sendto(b"answer", source)
        back.send(two.recv(100))
        data, source = client.recvfrom(100)
        assert (data, source[:2]) == (b"answer", to)


# --- another process ----------------------------------------------------------

CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW = 10, 12, 13
CAPABILITY_VERSION_3 = 0x20080522


class Child:
    """A fork that runs `work`; result() is what that returned, as JSON."""

    def __init__(self, work: Callable[[], object]):
        self._results, write_end = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            run_and_exit(work, write_end)
        os.close(write_end)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def result(self):
        with open(self._results, closefd=False) as results:
            text = results.readline()
        assert text, "the child has failed, see its stderr"
        return json.loads(text)

    def kill(self) -> None:
        """SIGKILL; everything it held is closed on return."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self._results)
            self._pid = 0


def run_and_exit(work: Callable[[], object], write_end: int) -> NoReturn:
    try:
        os.write(write_end, json.dumps(work()).encode() + b"\n")
    except BaseException:  # whatever it is, the child must not go on as pytest
        traceback.print_exc()
    os._exit(0)


def keep_capabilities(*numbers: int) -> None:
    """Give up all others, for good; the uid does not matter to the kernel."""
    mask = sum(1 << number for number in numbers)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    low = struct.pack("3I", mask, mask, 0)  # effective, permitted, inheritable
    if libc.capset(header, low + bytes(12)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
