# SPDX-License-Identifier: Apache-2.0
"""Programs: run one to its end, or keep one running and know when it is ready.

Nothing here sleeps for a guess: wait_until() asks a condition again and again
and gives up with a sentence.  Every child is stopped by its own pid.  Its output
goes to files, so that no pipe can fill up and block what is being measured.
"""

import json
import os
import pathlib
import signal
import subprocess
import time

READY_S = 20  # for a daemon or helper to say that it is ready
GRACE_S = 10  # between SIGTERM and SIGKILL
EXTRA_S = 30  # what a measuring program may take beyond its own duration
POLL_S = 0.01


class BenchError(Exception):
    """A sentence about what could not be measured."""


def wait_until(condition, what, limit_s=READY_S):
    """Returns the first true value of condition()."""
    end = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {limit_s} s")
        time.sleep(POLL_S)
    return value


def run(command, limit_s=EXTRA_S):
    """Runs to the end; returns stdout."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise BenchError(f"{' '.join(command)}: not done in {limit_s} s") from late
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise BenchError(f"{' '.join(command)}: exit {done.returncode}: {said}")
    return done.stdout


class Child:
    """A running program; use it in a `with`."""

    def __init__(self, command, directory, env=None):
        self.command = [str(word) for word in command]
        self.name = " ".join(self.command)
        stem = pathlib.Path(directory) / f"child-{time.monotonic_ns()}"
        self.out = stem.with_suffix(".out")
        self.err = stem.with_suffix(".err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            # Apart from the terminal: Ctrl-C is for the bench alone,
            # which then stops its children in order.
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=out, stderr=err,
                env=env, start_new_session=True,
            )
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def text(self):
        return self.out.read_text(errors="replace") + self.err.read_text(
            errors="replace"
        )

    def check_alive(self):
        if self.process.poll() is not None:
            raise BenchError(
                f"{self.name}: ended with {self.process.returncode}: "
                f"{self.text()[-800:]}"
            )

    def wait_for(self, condition, what, limit_s=READY_S):
        def alive_and_true():
            value = condition()
            if not value:
                self.check_alive()
            return value

        return wait_until(alive_and_true, what, limit_s)

    def wait_ready(self, word="ready", limit_s=READY_S):
        self.wait_for(lambda: word in self.text(), f"`{word}` of {self.name}",
                      limit_s)

    def result(self, limit_s=EXTRA_S):
        """Waits for the end; returns the JSON object on its last line."""
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired as late:
            raise BenchError(f"{self.name}: not done in {limit_s} s") from late
        if self.process.returncode != 0:
            self.check_alive()
        return json.loads(self.out.read_text().splitlines()[-1])

    def end_input(self):
        """What ends the helpers that go on until then."""
        self.process.stdin.close()

    def stop(self):
        self.end_input()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.out.unlink(missing_ok=True)
        self.err.unlink(missing_ok=True)


def family(pid):
    """The process and all its descendants."""
    found = [pid]
    for parent in found:  # grows while it is read
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def is_listening(pid, port):
    """Does a TCP socket listen on this port in the namespace of the process?"""
    for name in ("tcp", "tcp6"):
        try:
            table = pathlib.Path(f"/proc/{pid}/net/{name}").read_text("ascii")
        except OSError:
            return False  # has ended, which check_alive() explains
        for line in table.splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if state == "0A" and int(local.rsplit(":", 1)[1], 16) == port:
                return True
    return False


def clean_environment():
    """As a person's shell has it: waylayd then logs to stderr as plain text."""
    return {k: v for k, v in os.environ.items() if k != "JOURNAL_STREAM"}
