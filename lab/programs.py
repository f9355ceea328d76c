# SPDX-License-Identifier: Apache-2.0
"""Programs inside a namespace that are ready when their start returns."""

import json
import subprocess
from pathlib import Path

from namespace import Namespace
from wait import wait_for

PROBE = str(Path(__file__).with_name("probe.py"))
NAME = "name.lab"  # what the name server knows

HAPROXY_DEFAULTS = """
defaults
 mode tcp
 timeout connect 5s
 timeout client 10s
 timeout server 10s
"""


class Probe:
    """A running probe.py: its JSON lines, one by one."""

    def __init__(self, namespace: Namespace, command: str, *words: object):
        self.process = namespace.start(
            *("/usr/bin/python3", "-B", PROBE, command, *map(str, words)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if command.endswith("-server") or command == "load":
            assert self.line()["event"] == "ready"

    def line(self) -> dict:
        assert self.process.stdout
        text = self.process.stdout.readline()
        assert text, "the probe ended without a word"
        return json.loads(text)

    def finish(self) -> dict:
        """Tell it to come to an end; its last words."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.line()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class HAProxy:
    """A transparent one: to where the client wanted, from the client's address."""

    def __init__(self, namespace: Namespace, file: Path, binds: dict[str, str]):
        """`binds`: where it listens, and what `source` it has there."""
        sections = (
            f"listen l{number}\n bind {at} transparent\n"
            f" source {source} usesrc clientip\n server original *\n"
            for number, (at, source) in enumerate(binds.items())
        )
        file.write_text(HAPROXY_DEFAULTS + "".join(sections))
        self.process = namespace.start("haproxy", "-db", "-q", "-f", str(file))
        wait_for("haproxy listens", lambda: self._listens(namespace, binds))

    def _listens(self, namespace: Namespace, binds: dict[str, str]) -> bool:
        assert self.process.poll() is None, "haproxy ended"
        text = namespace.run("ss", "-Hltn").stdout
        return all(f" {at} " in text for at in binds)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class NameServer:
    """A dnsmasq that knows one name and logs who asks."""

    def __init__(self, namespace: Namespace, v4: str, v6: str, *options: str):
        self.process = namespace.start(
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null"),
            *("--no-resolv", "--no-hosts", "--pid-file=", "--user=root"),
            *("--log-facility=-", "--log-queries=extra"),
            *(f"--host-record={NAME},{v4},{v6}", *options),
            stderr=subprocess.PIPE,
        )
        self.wait_line("started")

    def wait_line(self, word: str) -> str:
        """The next line of its log with this word."""
        assert self.process.stderr
        for line in self.process.stderr:
            if word in line:
                return line.strip()
        raise AssertionError(f"dnsmasq ended without a line with {word!r}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
