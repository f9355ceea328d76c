# SPDX-License-Identifier: Apache-2.0
"""waylayd and waylay as a scenario uses them.

A Daemon belongs to one namespace and one run directory; its log is read as
it comes, so that a scenario can wait for a line.  It can be started again
after stop() or kill().  Living daemons are known to conftest.py, which adds
their logs to the report of a failed test.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from namespace import Namespace, end_process
from observers import children_of, is_running
from wait import wait_for

ROOT = Path(__file__).resolve().parent.parent
WAYLAYD = os.environ.get("WAYLAYD", str(ROOT / "build/src/daemon/waylayd"))
WAYLAY = os.environ.get("WAYLAY", str(ROOT / "build/src/cli/waylay"))

READY_DEADLINE_S = 10
STOP_DEADLINE_S = 10

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NO_DAEMON = 0, 1, 2, 3
EXIT_NOT_PRIVILEGED, EXIT_CONFIG = 4, 5

# What most scenarios run with: everything from the clients, as themselves, by
# sockets; test_cut*.py have flows that are cut through.
# Port 8081 shows what the server sees when waylay speaks for itself.
CONFIG = """
engine      {engine}
on-failure  {on_failure}
workers     {workers}
cut-through {cut}

intercept lan {{
    from    lan0
    tcp     any
    udp     any
    {excepts}
}}

upstream out    {{ via direct; source client }}
upstream myself {{ via direct; source self }}

rules {{
    port 8081 -> myself
    default   -> out
}}
{more}
"""

ENGINE = os.environ.get("WAYLAY_LAB_ENGINE", "auto")

living: list["Daemon"] = []


def config(
    on_failure: str = "open",
    excepts: str = "",
    more: str = "",
    workers: int = 2,
    engine: str = ENGINE,
    cut: str = "off",
) -> str:
    return CONFIG.format(
        engine=engine,
        cut=cut,
        on_failure=on_failure,
        excepts=excepts,
        more=more,
        workers=workers,
    )


class Daemon:
    """One waylayd in the foreground.  Use as a context manager."""

    def __init__(
        self,
        host: Namespace,
        text: str | None = None,
        *,
        wrapper: tuple[str, ...] = (),
        command: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
    ):
        self.host = host
        self.lines: list[str] = []
        self._directory = tempfile.TemporaryDirectory(prefix="waylay-lab-")
        os.chmod(self._directory.name, 0o755)  # as /etc: readable for everybody
        self.run_dir = f"{self._directory.name}/run"
        self.config_file = Path(self._directory.name, "waylay.conf")
        self.write_config(text or config())
        self._wrapper = wrapper
        self._command = command or (
            *(WAYLAYD, "--config", str(self.config_file)),
            *("--run-dir", self.run_dir, *options),
        )
        self.was_started = False
        self._process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """An orderly end is part of every scenario."""
        try:
            if self.is_running():
                assert self.stop() == EXIT_OK, "waylayd failed at SIGTERM"
        finally:
            self.kill()
            self.cleanup()
            self._directory.cleanup()
            if self in living:
                living.remove(self)

    # --- life --------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process, "not started"
        return self._process.pid

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def write_config(self, text: str) -> None:
        self.config_file.write_text(text)

    def start(self) -> None:
        """Until it says that it serves."""
        mark = len(self.lines)
        self.launch()
        try:
            self.wait_log(r"\bready:", READY_DEADLINE_S, since=mark)
        except AssertionError:
            self.kill()
            raise
        self.was_started = True

    def launch(self) -> None:
        """Start without waiting."""
        if self not in living:
            living.append(self)
        self._process = self.host.start(
            *self._wrapper,
            *self._command,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=self._environment(),
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _environment(self) -> dict[str, str]:
        """Ours, without what would change the form of log lines."""
        ours = {k: v for k, v in os.environ.items() if k != "JOURNAL_STREAM"}
        return ours | {"WAYLAY_RUN_DIR": self.run_dir}

    def _read_log(self) -> None:
        assert self._process and self._process.stderr
        for line in self._process.stderr:
            self.lines.append(line.rstrip("\n"))

    def send_signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal that ends it; its exit code."""
        self.send_signal(number)
        return self.wait_end()

    def wait_end(self) -> int:
        assert self._process and self._reader
        code = self._process.wait(timeout=STOP_DEADLINE_S)
        self._reader.join(timeout=STOP_DEADLINE_S)
        return code

    def stop(self) -> int:
        """SIGTERM, and no process of it remains."""
        family = self.processes()
        code = self.end(signal.SIGTERM)
        wait_for(
            "workers end with the daemon",
            lambda: not any(map(is_running, family)),
            STOP_DEADLINE_S,
        )
        return code

    def processes(self) -> list[int]:
        """The supervisor first, then everything below it."""
        found = [self.pid]
        for pid in found:
            found += children_of(pid)
        return found

    def kill(self) -> None:
        """SIGKILL for everything of it, by stored pid."""
        if not self.is_running():
            return
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        assert self._process
        end_process(self._process)

    def cleanup(self) -> None:
        """`waylayd --cleanup`, which removes what a killed daemon left."""
        self.host.run(
            WAYLAYD, "--cleanup", "--run-dir", self.run_dir, check=self.was_started
        )

    # --- log -----------------------------------------------------------------

    def wait_log(
        self, pattern: str, deadline_s: float = 5, since: int = 0
    ) -> re.Match[str]:
        expression = re.compile(pattern)

        def first() -> re.Match[str] | None:
            is_over = not self.is_running() and not self._reader.is_alive()
            found = map(expression.search, self.lines[since:])
            match = next(filter(None, found), None)
            assert match or not is_over, f"it ended without a line {pattern!r}"
            return match

        try:
            return wait_for(f"log line {pattern!r}", first, deadline_s)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; the log:\n{self.log}") from None

    # --- the tool --------------------------------------------------------------

    def tool(self, *words: str, **how) -> subprocess.CompletedProcess:
        """`waylay words`, whatever the exit code."""
        return self.host.run(
            WAYLAY, "--run-dir", self.run_dir, *words, check=False, **how
        )

    def ask(self, *words: str) -> dict:
        done = self.tool("--json", *words)
        assert done.returncode == EXIT_OK, f"{words}: {done.stderr}"
        return json.loads(done.stdout)

    def status(self) -> dict:
        return self.ask("status")

    def serving_workers(self) -> list[dict]:
        return [w for w in self.status()["workers"] if w["state"] == "serving"]

    def flows(self) -> list[dict]:
        return self.ask("flows")["flows"]

    def ended(self, count: int = 1000) -> list[dict]:
        return self.ask("flows", "--ended", str(count))["ended"]

    def wait_ended(self, **fields: object) -> dict:
        """A flow record with these fields; the newest."""

        def matching() -> list[dict]:
            return [
                f for f in self.ended() if all(f.get(k) == v for k, v in fields.items())
            ]

        return wait_for(f"a flow that ended with {fields}", matching)[-1]

    def reload(self) -> subprocess.CompletedProcess:
        return self.tool("reload")


@dataclass
class Gateway:
    """The lab's gateway; `daemon` is None on the plain one."""

    host: Namespace
    daemon: Daemon | None

    @property
    def is_waylay(self) -> bool:
        return self.daemon is not None
