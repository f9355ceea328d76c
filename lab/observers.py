# SPDX-License-Identifier: Apache-2.0
"""What a scenario may not see by itself: leaks, changed state, leftovers.

LeakObserver    counts at a server, by the TTL, what was merely forwarded
HostState       everything configurable of a namespace, comparable as text
Descendants     processes below this one, also those whose parent died

The counters are nft rules, not a capture: nothing is lost, nothing is late
once a later packet of the same wire has been answered.
"""

import contextlib
import ctypes
import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import bpf_state
from namespace import Namespace
from topology import FORWARDED_TTL

PR_SET_CHILD_SUBREAPER = 36

LEAK_RULES = f"""
table inet observer {{
    counter forwarded {{ }}
    counter own {{ }}
    chain prerouting {{
        type filter hook prerouting priority -450;
        meta l4proto != {{ tcp, udp }} accept
        ip ttl {FORWARDED_TTL} counter name forwarded
        ip6 hoplimit {FORWARDED_TTL} counter name forwarded
        ip ttl 64 counter name own
        ip6 hoplimit 64 counter name own
    }}
}}
"""


class LeakObserver:
    """TCP and UDP packets at a server: forwarded ones, and a proxy's own."""

    def __init__(self, server: Namespace):
        self._server = server
        server.nft(f"table inet observer\ndelete table inet observer\n{LEAK_RULES}")

    def forwarded(self) -> int:
        return self._packets("forwarded")

    def own(self) -> int:
        return self._packets("own")

    def reset(self) -> None:
        self._server.run("nft", "reset", "counters", "table", "inet", "observer")

    def _packets(self, counter: str) -> int:
        text = self._server.run("nft", "-j", "list", "counters").stdout
        for item in json.loads(text)["nftables"]:
            if item.get("counter", {}).get("name") == counter:
                return item["counter"]["packets"]
        raise AssertionError(f"counter {counter} is gone")


# --- state of a host ------------------------------------------------------------

STATE_COMMANDS = {
    "ip rule": ("ip", "-4", "rule"),
    "ip -6 rule": ("ip", "-6", "rule"),
    "ip route": ("ip", "-4", "route", "show", "table", "all"),
    "ip -6 route": ("ip", "-6", "route", "show", "table", "all"),
    "links": ("ip", "-brief", "link"),
    "qdiscs": ("tc", "qdisc"),
}

# They count or are drawn at first use; all else below net/ is a setting.
VOLATILE_SYSCTLS = ("nf_conntrack_count", "nf_conntrack_buckets", "tcp_fastopen_key")


class HostState:
    """A snapshot; `difference` is empty when two are the same."""

    def __init__(self, host: Namespace):
        self.lines: list[str] = []
        for title, command in STATE_COMMANDS.items():
            self._add(title, host.run(*command).stdout.splitlines())
        self._add("nft ruleset", read_ruleset(host))
        self._add("iptables-legacy", read_legacy_rules(host))
        self._add("BPF", bpf_state.attached(host))
        self._add("filter", bpf_state.filters(host))
        self._add("pin", map(str, bpf_state.pins(host)))
        with host.inside():
            self._add("xt_recent", names_in("/proc/thread-self/net/xt_recent"))
            self._add("sysctl", read_sysctls())

    def _add(self, title: str, lines: Iterable[str]) -> None:
        self.lines += [f"{title}: {line.rstrip()}" for line in lines]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostState) and self.lines == other.lines

    def difference(self, later: "HostState") -> str:
        lines = difflib.unified_diff(
            self.lines, later.lines, "before", "after", lineterm="", n=0
        )
        return "\n".join(lines)


def assert_same_state(before: HostState, after: HostState) -> None:
    assert before == after, "\n" + before.difference(after)


# What iptables leaves at its first use, and what nobody can take away: built-in
# chains without a rule, in tables that have nothing else.
EMPTY_CHAIN = re.compile(r"\tchain [A-Z]+ \{\n\t\ttype .* policy accept;\n\t\}\n\n?")
EMPTY_TABLE = re.compile(r"table ip6? (raw|mangle|nat|filter|security) \{\n\}\n")
LEGACY_TABLES = {
    "iptables-legacy-save": "/proc/thread-self/net/ip_tables_names",
    "ip6tables-legacy-save": "/proc/thread-self/net/ip6_tables_names",
}


def read_ruleset(host: Namespace) -> list[str]:
    text = host.run("nft", "--stateless", "list", "ruleset").stdout
    return EMPTY_TABLE.sub("", EMPTY_CHAIN.sub("", text)).splitlines()


def read_legacy_rules(host: Namespace) -> Iterator[str]:
    """Rules and own chains of the older iptables."""
    for command, tables in LEGACY_TABLES.items():
        with host.inside():
            path = Path(tables)
            if not path.exists() or not path.read_text():
                continue
        for line in host.run(command).stdout.splitlines():
            if line[0] == "-" or (line[0] == ":" and " - " in line):
                yield line


def names_in(directory: str) -> list[str]:
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def read_sysctls() -> Iterator[str]:
    """`name = value` for every readable file below /proc/sys/net."""
    for directory, _, files in sorted(os.walk("/proc/sys/net")):
        for name in sorted(files):
            if name in VOLATILE_SYSCTLS:
                continue
            path = Path(directory, name)
            with contextlib.suppress(OSError, UnicodeDecodeError):
                yield f"{path.relative_to('/proc/sys')} = {path.read_text().strip()}"


# --- processes -------------------------------------------------------------------


class Descendants:
    """Orphans of what we start become ours, and so can be counted."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._known = set(children_of(os.getpid()))

    def new(self) -> dict[int, str]:
        """Living descendants since the start: pid and command."""
        found = {}
        waiting = [p for p in children_of(os.getpid()) if p not in self._known]
        while waiting:
            pid = waiting.pop()
            waiting += children_of(pid)
            if is_running(pid):
                found[pid] = command_of(pid)
        return found


def children_of(pid: int) -> list[int]:
    """Of all its threads; it may end while we look."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    return "?"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
