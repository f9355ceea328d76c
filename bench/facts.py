# SPDX-License-Identifier: Apache-2.0
"""What a reader must know of the machine to believe the figures."""

import datetime
import os
import pathlib
import re
import subprocess

from modes import waylayd_path

VERSIONS = {
    "waylay": lambda: [waylayd_path(), "--version"],
    "haproxy": lambda: ["haproxy", "-v"],
    "iperf3": lambda: ["iperf3", "--version"],
    "wrk": lambda: ["wrk", "-v"],
    "nft": lambda: ["nft", "--version"],
    "cc": lambda: [os.environ.get("CC", "cc"), "--version"],
}


def _first_line(command):
    """wrk -v exits with 1: the exit code says nothing here."""
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=10, check=False)
    except OSError:
        return "not here"
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "says nothing"


def _field(path, pattern):
    found = re.search(pattern, pathlib.Path(path).read_text("ascii", "replace"))
    return found.group(1) if found else "unknown"


def gather():
    system = os.uname()
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%SZ"),
        "kernel": f"{system.sysname} {system.release} {system.machine}",
        "processor": _field("/proc/cpuinfo", r"model name\s*: (.*)"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": str(int(_field("/proc/meminfo", r"MemTotal:\s*(\d+)"))
                      // 1024) + " MiB",
        "load before": _field("/proc/loadavg", r"(\S+ \S+)"),
    }
    return facts | {name: _first_line(command())
                    for name, command in VERSIONS.items()}
