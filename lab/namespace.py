# SPDX-License-Identifier: Apache-2.0
"""One network namespace: its commands, processes, sockets and sysctls.

A socket belongs for ever to the namespace it was created in, and setns()
moves one thread only.  So a test holds both ends of a flow in its own hands:
`listener = srv.listen(...)`, `client = cli.connect(...)`.  Programs are
started by `ip netns exec`, which replaces itself: a stored pid is the
program's own.  Next: topology.py, which connects namespaces.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
SOCKET_TIMEOUT_S = 5

# Addresses serve at once, and every error is told, not only some a second.
NO_WAITING = (
    "net.ipv6.conf.all.accept_dad",
    "net.ipv6.conf.default.accept_dad",
    "net.ipv4.icmp_ratelimit",
    "net.ipv6.icmp.ratelimit",
)

libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int) -> None:
    """os.setns() of Python 3.12, for this thread."""
    if libc.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


class Namespace:
    """A named namespace, with the addresses of its first interface."""

    def __init__(self, name: str):
        self.name = name
        self.v4 = ""
        self.v6 = ""
        self._processes: list[subprocess.Popen] = []
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.ip("link", "set", "lo", "up")
        for name in NO_WAITING:
            self.sysctl(name, 0)

    def close(self) -> None:
        if self._fd < 0:
            return
        for process in self._processes:
            end_process(process)
        os.close(self._fd)
        self._fd = -1
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    @property
    def descriptor(self) -> int:
        return self._fd

    @property
    def inode(self) -> int:
        return os.fstat(self._fd).st_ino

    def address(self, family: str) -> str:
        return {"v4": self.v4, "v6": self.v6}[family]

    # --- commands and processes ------------------------------------------

    def run(
        self, *command: str, check: bool = True, **how
    ) -> subprocess.CompletedProcess:
        """Run to the end; output is text.  A failure carries its stderr."""
        done = subprocess.run(
            self._inside(command), capture_output=True, text=True, timeout=60, **how
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{self.name}: {' '.join(command)}: exit {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def ip(self, *words: str) -> str:
        return self.run("ip", *words).stdout

    def nft(self, text: str) -> None:
        self.run("nft", "-f", "-", input=text)

    def start(self, *command: str, **how) -> subprocess.Popen:
        """Start in the background; close() ends what is still there."""
        process = subprocess.Popen(self._inside(command), text=True, **how)
        self._processes.append(process)
        return process

    def _inside(self, command: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    # --- this thread, inside for a moment ----------------------------------

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self._fd)
            try:
                yield
            finally:
                setns(outside)
        finally:
            os.close(outside)

    def sysctl(self, name: str, value: object = None) -> str:
        """Read, or write when a value is given; the value before is returned."""
        path = Path("/proc/sys") / name.replace(".", "/")
        with self.inside():
            before = path.read_text().strip()
            if value is not None:
                path.write_text(f"{value}\n")
        return before

    @contextlib.contextmanager
    def sysctls(self, values: dict[str, object]) -> Iterator[None]:
        """Set for a while, then put back."""
        before = {name: self.sysctl(name, value) for name, value in values.items()}
        try:
            yield
        finally:
            for name, value in before.items():
                self.sysctl(name, value)

    # --- sockets -------------------------------------------------------------

    def new_socket(self, family: str, kind: int, port: int = 0) -> socket.socket:
        number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
        with self.inside():
            s = socket.socket(number, kind)
        s.settimeout(SOCKET_TIMEOUT_S)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port:
            s.bind((self.address(family), port))
        return s

    def listen(self, family: str, port: int, address: str = "") -> socket.socket:
        s = self.new_socket(family, socket.SOCK_STREAM)
        s.bind((address or self.address(family), port))
        s.listen(1024)
        return s

    def connect(self, to: tuple[str, int], source_port: int = 0) -> socket.socket:
        s = self.new_socket(family_of(to[0]), socket.SOCK_STREAM, source_port)
        try:
            s.connect(to)
        except OSError:
            s.close()
            raise
        return s

    def udp(self, family: str, port: int = 0) -> socket.socket:
        return self.new_socket(family, socket.SOCK_DGRAM, port)


def family_of(address: str) -> str:
    return "v6" if ":" in address else "v4"


def endpoint(address: str, port: int) -> str:
    """As flow records write it: 192.0.2.10:80, [2001:db8:1::10]:80."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def end_process(process: subprocess.Popen, signal_number: int = signal.SIGKILL) -> None:
    """Signal by stored pid, then reap."""
    if process.poll() is None:
        process.send_signal(signal_number)
    process.wait(timeout=10)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()
