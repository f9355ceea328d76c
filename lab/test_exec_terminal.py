# SPDX-License-Identifier: Apache-2.0
"""`waylay exec` between a shell and a command: terminal, signals, job control.

Each scenario is an interactive shell on a terminal of its own, [plain] with the
command alone and [exec] with the same below `waylay exec`: what a person sees
and what the shell reports must be the same.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import pytest

from exec_case import skip_without_namespaces, waylay_exec
from namespace import Namespace
from observers import Descendants, children_of
from wait import wait_for

CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
DEADLINE_S = 10


@pytest.fixture(params=["plain", "exec", "ordinary"])
def prefix(request):
    if request.param == "plain":
        return ""
    if request.param == "exec":
        return " ".join(waylay_exec("--quiet"))
    skip_without_namespaces()
    return " ".join(waylay_exec("--quiet", who="ordinary"))


class Terminal:
    """An interactive shell; what it writes is read up to a pattern."""

    def __init__(self, host: Namespace):
        self._fd, side = pty.openpty()
        self._text = ""
        self.shell = subprocess.Popen(
            ["ip", "netns", "exec", host.name, "bash", "--norc", "--noprofile", "-i"],
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(side, termios.TIOCSCTTY, 0),
            env={"PATH": os.environ["PATH"], "PS1": "", "TERM": "dumb"},
        )
        os.close(side)
        self.do("stty -echo; PS1='prompt''> '; bind 'set enable-bracketed-paste off'")
        self.read("prompt> ")

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def do(self, line: str) -> None:
        self.type(line + "\n")

    def read(self, pattern: str) -> re.Match[str]:
        """What matches next; it and all before it is taken."""
        while not (found := re.search(pattern, self._text)):
            ready, _, _ = select.select([self._fd], [], [], DEADLINE_S)
            assert ready, f"no {pattern!r} in {self._text!r}"
            self._text += os.read(self._fd, 4096).decode().replace("\r", "")
        self._text = self._text[found.end() :]
        return found

    def status(self) -> int:
        self.do("echo status=$?")
        return int(self.read(r"status=(\d+)\n")[1])

    def resize(self, rows: int, columns: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, size)

    def foreground(self) -> int:
        """The process group that has the terminal."""
        return os.tcgetpgrp(self._fd)

    def wait_foreground(self, group: int) -> None:
        """What is typed before goes to who had it."""
        wait_for("the job has the terminal", lambda: self.foreground() == group)

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self._fd)


@pytest.fixture
def descendants():
    found = Descendants()
    yield found
    wait_for("no process is left", lambda: not found.new())


@pytest.fixture
def terminal(lab, descendants):
    terminal = Terminal(lab.gw)
    yield terminal
    terminal.close()


def test_the_command_has_the_terminal_itself(terminal, prefix):
    terminal.do(f"{prefix} sh -c 'test -t 0 && test -t 1 && test -t 2 && tty; ps -o tpgid= $$'")
    terminal.read(r"/dev/pts/\d+\n\s*\d+\n")
    assert terminal.status() == 0


def test_ctrl_c_ends_the_command(terminal, prefix):
    terminal.do(f"{prefix} sh -c 'echo running; exec cat'")
    terminal.read("running\n")
    terminal.type(CTRL_C)
    terminal.read("prompt> ")
    assert terminal.status() == 128 + signal.SIGINT


WATCH = """
import os, signal
signal.signal(signal.{name}, lambda *_: os.write(1, b"caught\\n"))
os.write(1, b"running\\n")
os.write(1, b"got " + os.read(0, 99))
"""


def watch(terminal: Terminal, prefix: str, name: str) -> None:
    """A command that tells of each signal, then of one line."""
    script = WATCH.format(name=name).replace('"', '\\"').replace("\\n", "\\\\n")
    terminal.do(f'{prefix} /usr/bin/python3 -c "{script}"')
    terminal.read("running\n")


def finish_watch(terminal: Terminal) -> None:
    """It was once: no other came before the line."""
    terminal.read("caught\n")
    terminal.do("one")
    assert terminal.read(r"(caught\n)*got one\n")[1] is None
    assert terminal.status() == 0


def test_ctrl_c_comes_once_to_a_command_that_catches_it(terminal, prefix):
    watch(terminal, prefix, "SIGINT")
    terminal.type(CTRL_C)
    finish_watch(terminal)


def test_a_new_size_of_the_terminal_is_seen_once(terminal, prefix):
    watch(terminal, prefix, "SIGWINCH")
    terminal.resize(33, 99)
    finish_watch(terminal)


@pytest.mark.parametrize("name", ["SIGWINCH", "SIGUSR1", "SIGTERM"])
def test_a_signal_for_us_alone_comes_to_the_command(terminal, prefix, name):
    watch(terminal, prefix, name)
    (pid,) = children_of(terminal.shell.pid)
    os.kill(pid, getattr(signal, name))
    finish_watch(terminal)


def test_ctrl_z_stops_and_fg_goes_on(terminal, prefix):
    terminal.do(f"{prefix} sh -c 'echo running; exec cat'")
    terminal.read("running\n")
    job = terminal.foreground()
    terminal.type(CTRL_Z)
    terminal.read("Stopped")
    terminal.read("prompt> ")
    terminal.do("fg")
    terminal.wait_foreground(job)
    terminal.do("hello")
    terminal.read("\nhello\n")
    terminal.type(CTRL_D)
    assert terminal.status() == 0


def test_a_shell_that_suspends_itself_gives_the_terminal_back(terminal, prefix):
    """It is in a process group of its own: nobody else stops with it."""
    terminal.do(f"{prefix} bash --norc --noprofile -i")
    terminal.do("PS1='inner''> '")
    terminal.read("inner> ")
    inner = terminal.foreground()
    terminal.do("kill -STOP $$")
    terminal.read("Stopped")
    terminal.read("prompt> ")
    terminal.do("fg")
    terminal.wait_foreground(inner)
    terminal.do("echo in the $((1 + 1))nd")
    terminal.read("in the 2nd\n")
    terminal.do("exit 5")
    terminal.read("prompt> ")
    assert terminal.status() == 5


def test_jobs_of_a_shell_inside(terminal, prefix):
    terminal.do(f"{prefix} bash --norc --noprofile -i")
    terminal.do("PS1='inner''> '")
    terminal.read("inner> ")
    terminal.do("sh -c 'echo running; exec cat'")
    terminal.read("running\n")
    job = terminal.foreground()
    terminal.type(CTRL_Z)
    terminal.read(r"\[1\]\+\s+Stopped")
    terminal.read("inner> ")
    terminal.do("fg")
    terminal.wait_foreground(job)
    terminal.do("hello")
    terminal.read("\nhello\n")
    terminal.type(CTRL_C)
    terminal.read("inner> ")
    terminal.do("exit 6")
    terminal.read("prompt> ")
    assert terminal.status() == 6


def test_a_job_in_the_background_is_ended_by_kill(terminal, prefix):
    terminal.do(f"{prefix} sh -c 'echo running; exec tail -f /dev/null' & sleep 0")
    terminal.read("running\n")
    terminal.do("kill %1; wait %1")
    assert terminal.status() == 128 + signal.SIGTERM


def test_signals_that_are_ignored_stay_ignored(terminal, prefix):
    """As nohup(1) has it: neither we nor the command end."""
    script = 'grep SigIgn /proc/self/status; echo running; read x; echo got $x'
    terminal.do(f"(trap '' HUP; exec {prefix or 'env'} sh -c '{script}')")
    ignored = int(terminal.read(r"SigIgn:\s+([0-9a-f]+)\n")[1], 16)
    assert ignored & 1 << (signal.SIGHUP - 1)
    terminal.read("running\n")
    (pid,) = children_of(terminal.shell.pid)
    os.kill(pid, signal.SIGHUP)
    terminal.do("one")
    terminal.read("got one\n")
    assert terminal.status() == 0
