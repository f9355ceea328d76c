# SPDX-License-Identifier: Apache-2.0
"""What a run costs: CPU time of the whole machine, memory of a daemon.

CPU is the busy time in /proc/stat, since most of the work is done by the kernel
on nobody's account.  Whatever else runs on the machine is counted too.

Memory is told three ways, summed over the daemon's processes.  RSS counts a page
once for each process that maps it.  PSS divides a shared page among them, so the
sum counts it once: the honest figure for a daemon of several processes.  Private
leaves out what is shared, which would hide a flow table in shared memory.
"""

import os
import pathlib
import re
import resource

from process import wait_until

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
IDLE_FIELDS = (3, 4, 7)  # idle, iowait, steal
GUEST_FIELDS = 8  # from here on counted in user and nice already
MEMORY_FIELDS = {
    "rss": ("Rss",),
    "pss": ("Pss",),
    "private": ("Private_Clean", "Private_Dirty"),
}


def cpu_busy_s():
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:]]
    busy = sum(
        value
        for field, value in enumerate(ticks[:GUEST_FIELDS])
        if field not in IDLE_FIELDS
    )
    return busy / TICKS_PER_S


def process_cpu_s(pids):
    """Of these processes alone: what the kernel did for their packets outside of
    their system calls is on nobody's account."""
    ticks = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        ticks += sum(int(word) for word in text.rpartition(") ")[2].split()[11:13])
    return ticks / TICKS_PER_S


def foreign_user_s():
    """User time of programs that are not ours, since ever.

    Right between two samples only: children count as ours once they have ended.
    """
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice = (int(word) for word in stat.readline().split()[1:3])
    ours = sum(resource.getrusage(who).ru_utime
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (user + nice) / TICKS_PER_S - ours


def _rollup(pid):
    """Field -> bytes."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines()[1:])
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


def memory(pids):
    """{"rss", "pss", "private"} in bytes."""
    total = dict.fromkeys(MEMORY_FIELDS, 0)
    for rollup in map(_rollup, pids):
        for name, fields in MEMORY_FIELDS.items():
            total[name] += sum(rollup[field] for field in fields)
    return total


def peak_rss(pid):
    """Of one process, in bytes, since it began."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", text, re.M).group(1)) * 1024


def map_bytes(pid):
    """What the kernel has allocated for the BPF maps that the process holds.

    By their `memlock`: from Linux 6.4 on what is in use, before that an estimate.
    """
    maps = {}
    for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(line.split(":", 1)
                      for line in path.read_text(encoding="ascii").splitlines()
                      if ":" in line)
        if "map_id" in fields:
            maps[fields["map_id"]] = int(fields["memlock"])
    return sum(maps.values())


def settled_memory(pids):
    """The same, as soon as two readings agree."""
    last = {}

    def is_settled():
        nonlocal last
        before, last = last, memory(pids)
        return before == last

    wait_until(is_settled, "memory that no longer changes")
    return last
