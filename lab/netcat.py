# SPDX-License-Identifier: Apache-2.0
"""`waylay nc`, or OpenBSD's netcat, in a namespace; and fixtures for ours.

A module that imports `netcat` and `listening` imports `same_state` as well.
"""

import contextlib
import re
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

import waylay
from namespace import Namespace, end_process
from observers import HostState, assert_same_state

WAYLAY_NC = (waylay.WAYLAY, "nc")
OPENBSD_NC = ("nc.openbsd",)

DEADLINE_S = 20
PORT = 80  # that is taken


class Netcat:
    """A running one; its standard streams are pipes of bytes."""

    def __init__(self, host: Namespace, *words: object, program=WAYLAY_NC, **how):
        self.host = host
        self.said: list[str] = []  # lines of standard error so far
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._process = host.start(*program, *map(str, words), **(pipes | how))

    @property
    def pid(self) -> int:
        return self._process.pid

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        """It is killed when it keeps somebody waiting: then reads end."""
        timer = threading.Timer(DEADLINE_S, self._process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    # --- what it says ------------------------------------------------------------

    def wait_said(self, pattern: str) -> re.Match[str]:
        """The next line of standard error that has this."""
        assert self._process.stderr
        with self._limited():
            for line in self._process.stderr:
                self.said.append(line.rstrip("\n"))
                match = re.search(pattern, line)
                if match:
                    return match
        raise AssertionError(f"it ended without {pattern!r}: {self.said}")

    def visit(self) -> list[str]:
        """The words of the next line of --orig-dst."""
        return self.wait_said(r"^(tcp|udp) .*").group().split()

    # --- bytes ---------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.buffer.write(data)
        self._process.stdin.buffer.flush()

    def finish(self) -> None:
        """The end of its standard input."""
        assert self._process.stdin
        self._process.stdin.close()

    def read(self, count: int = -1) -> bytes:
        assert self._process.stdout
        with self._limited():
            return self._process.stdout.buffer.read(count)

    # --- its end ---------------------------------------------------------------------

    def is_running(self) -> bool:
        return self._process.poll() is None

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit status; the rest of what it says is in `said`."""
        assert self._process.stderr
        with self._limited():
            self.said += self._process.stderr.read().splitlines()
            return self._process.wait()

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.is_running():
            self.send_signal(number)
        return self.wait()

    def close(self) -> None:
        """In order, if it still runs: it has something to remove."""
        if self.is_running():
            self.send_signal(signal.SIGTERM)
            self._process.wait(timeout=DEADLINE_S)
        end_process(self._process)


# --- ours, on the gateway -------------------------------------------------------


@pytest.fixture(autouse=True)
def same_state(lab):
    """However it ends, nothing of it is left."""
    before = HostState(lab.gw)
    yield before
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture
def netcat(lab, resources):
    """netcat("-l", 80): one on the gateway."""

    def started(*words: object, host=None, **how) -> Netcat:
        one = Netcat(host or lab.gw, *words, **how)
        resources.callback(one.close)
        return one

    return started


@pytest.fixture
def listening(netcat):
    """listening("--tproxy", 50080): one that is ready."""

    def started(*words: object, **how) -> Netcat:
        one = netcat("-l", "-v", *words, **how)
        one.wait_said("Listening on")
        return one

    return started


def take(engine: str, ports: object = PORT) -> tuple:
    return "--from", "lan0", "--take", ports, "--engine", engine
