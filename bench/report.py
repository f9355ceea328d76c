# SPDX-License-Identifier: Apache-2.0
"""Samples, their medians, and the table.

A ratio is taken within one round, where both modes met the same machine, and
only then is the median taken.  The targets are printed with what was measured;
they decide nothing: a slow machine does not fail.
"""

import dataclasses
import itertools
import statistics

DISTURBED = 0.05  # of all CPUs, had by programs that are not ours
BASES = {
    "forward": "x forw.",
    "haproxy": "x HAProxy",
    "routing": "x routing",
    "bare": "x at once",
    "ebpf-drop-1": "x 1 rule",
    "ebpf-drop-1000": "x ebpf 1k",
    "ebpf-nets-10": "x 10 nets",
    "redsocks": "x redsocks",
    "v2ray": "x v2ray",
    "no-names": "x no names",
}


@dataclasses.dataclass
class Target:
    """What one or several modes should reach; the worst of them decides."""

    text: str
    keys: tuple  # metrics
    modes: tuple
    limit: float
    is_least: bool = False  # limit is what is wanted at least, else at most
    base: str = ""  # of the ratio; empty: the value itself

    def is_met(self, value):
        return value >= self.limit if self.is_least else value <= self.limit

    def values(self, samples):
        """(value, where) of what was measured, the worst first."""
        found = []
        for key, mode in itertools.product(self.keys, self.modes):
            value = (samples.ratio(key, mode, self.base) if self.base
                     else samples.median(key, mode))
            if value is not None:
                found.append((value, f"{key} of {mode}"))
        return sorted(found, reverse=not self.is_least)


def _relay_targets(mode):
    return [
        Target(f"{mode}: bulk at least 0.8 of forwarding", ("bulk_gbps",), (mode,),
               0.8, True, "forward"),
        Target(f"{mode}: connections/s ahead of HAProxy", ("conns_per_s",), (mode,),
               1, True, "haproxy"),
        Target(f"{mode}: latency p50 below HAProxy's", ("http_p50_us",), (mode,),
               1, False, "haproxy"),
        Target(f"{mode}: at most 2048 B an idle connection", ("idle_pss",), (mode,),
               2048),
    ]


def _cut_targets():
    return [
        Target("cut-through: bulk at least 1.05 of forwarding", ("bulk_gbps",),
               ("ebpf-cut",), 1.05, True, "forward"),
        Target("cut-through: CPU per GB at most 0.95 of forwarding",
               ("cpu_s_per_gb",), ("ebpf-cut",), 0.95, False, "forward"),
        Target("cut-through: latency p50 at most 0.95 of forwarding",
               ("http_p50_us",), ("ebpf-cut",), 0.95, False, "forward"),
        Target("cut-through: connections/s not below splice's", ("conns_per_s",),
               ("ebpf-cut",), 1, True, "ebpf"),
    ]


VIA_UDP_KEYS = tuple(f"via_udp_kpps_{size}_{flows}"
                     for size in (64, 1200) for flows in (1, 100))
FORWARD_KEYS = ("forward_gbps", "forward_tcp_kpps", "forward_udp_kpps")
PROGRAM_KEYS = ("first_cold_ns", "first_warm_ns")
FLOOD_KEYS = ("first_syn_ns", "first_udp_ns")


def _forward_target(count, text):
    modes = tuple(f"ebpf-{where}-{count}" for where in ("past", "direct"))
    return Target(f"not taken: 0.97 of forwarding, {text}", FORWARD_KEYS, modes, 0.97,
                  True, "forward")


TARGETS = [
    *_relay_targets("ebpf"),
    *_relay_targets("nft"),
    *_cut_targets(),
    _forward_target("1", "1 selection"),
    _forward_target("1000", "1000 selections"),
    _forward_target("1M", "a million prefixes"),
    Target("program: 1M prefixes within 1.2 of 10", PROGRAM_KEYS, ("ebpf-nets-1M",),
           1.2, False, "ebpf-nets-10"),
    Target("program: 1000 rules within 1.2 of 1", PROGRAM_KEYS, ("ebpf-drop-1000",),
           1.2, False, "ebpf-drop-1"),
    Target("first packet: 1M prefixes within 1.2 of 10", FLOOD_KEYS,
           ("ebpf-nets-1M",), 1.2, False, "ebpf-nets-10"),
    Target("1000 rules: cheaper than nft", FLOOD_KEYS, ("ebpf-drop-1000",), 1, False,
           "nft-drop-1000"),
    Target("1000 rules: cheaper than iptables", FLOOD_KEYS, ("ebpf-drop-1000",), 1,
           False, "iptables-drop-1000"),
    Target("a million prefixes: start and reload in 3 s", ("load_s", "reload_s"),
           ("ebpf-nets-1M",), 3),
    Target("reload: no connection fails or goes direct",
           ("reload_failed", "reload_direct"), ("ebpf-nets-10", "ebpf-nets-1M"), 0),
    *(Target(f"SOCKS5: {what} at least 1.3 of {peer}", (key,), ("socks-waylay",),
             1.3, True, peer)
      for what, key in (("bulk", "via_bulk_gbps"),
                        ("connections/s", "via_conns_per_s"))
      for peer in ("redsocks", "v2ray")),
    Target("SOCKS5: UDP at least 2 of v2ray", VIA_UDP_KEYS, ("socks-waylay",), 2,
           True, "v2ray"),
    Target("reload: no SYN is lost, which costs 1000 ms", ("reload_slowest_ms",),
           ("ebpf-nets-10", "ebpf-nets-1M"), 900),
]


class Samples:
    """Metric key -> mode name -> round -> value; a failed round is absent."""

    def __init__(self):
        self.by_key = {}
        self.foreign_shares = []  # of the CPUs, one for each run

    def add(self, mode, number, values):
        for key, value in values.items():
            rounds = self.by_key.setdefault(key, {}).setdefault(mode.name, {})
            rounds[number] = value

    def disturbance(self):
        """A list of no note or one."""
        count = sum(share > DISTURBED for share in self.foreign_shares)
        if count == 0:
            return []
        return [f"{count} of {len(self.foreign_shares)} runs were disturbed: other "
                f"programs had up to {max(self.foreign_shares):.0%} of the CPUs; "
                "repeat on a quiet machine"]

    def values(self, key, mode_name):
        return list(self.by_key.get(key, {}).get(mode_name, {}).values())

    def median(self, key, mode_name):
        values = self.values(key, mode_name)
        return statistics.median(values) if values else None

    def ratio(self, key, mode_name, base_name):
        """Median of the rounds' ratios; None when no round has both."""
        rounds = self.by_key.get(key, {})
        mine, base = rounds.get(mode_name, {}), rounds.get(base_name, {})
        ratios = [mine[n] / base[n] for n in mine if base.get(n)]
        return statistics.median(ratios) if ratios else None


def _ratio_text(value):
    return "-" if value is None else f"{value:.2f}"


def _line(samples, metric, mode):
    values = samples.values(metric.key, mode.name)
    middle = f"{statistics.median(values):.{metric.digits}f}"
    spread = f"{min(values):.{metric.digits}f} - {max(values):.{metric.digits}f}"
    line = f"  {mode.title:<22}{middle:>9}   {spread:<20}"
    if metric.has_ratio:
        for base in metric.bases:
            ratio = samples.ratio(metric.key, mode.name, base)
            line += f"{_ratio_text(ratio):>11}"
    return line.rstrip()


def facts_text(facts):
    return "\n".join(f"{name + ':':<13}{value}" for name, value in facts.items())


def table_text(samples, measures, modes):
    lines = []
    for metric in (m for measure in measures for m in measure.metrics):
        present = [mode for mode in modes if samples.values(metric.key, mode.name)]
        if not present:
            continue
        head = f"{metric.title:<44}{'':12}"
        if metric.has_ratio:
            head += "".join(f"{BASES[base]:>11}" for base in metric.bases)
        lines += [head.rstrip()]
        lines += [_line(samples, metric, mode) for mode in present] + [""]
    return "\n".join(lines)


def targets_text(samples):
    lines = []
    for target in TARGETS:
        found = target.values(samples)
        if not found:
            verdict = "not measured"
        else:
            value, where = found[0]
            is_met = target.is_met(value)
            verdict = f"{value:.2f}, {'met' if is_met else 'MISSED'} ({where})"
        lines.append(f"  {target.text:<50}{verdict}")
    return "targets for waylay; the worst of what was measured\n" + "\n".join(lines)


def as_data(facts, options, samples, measures, modes, notes):
    """What --json writes."""
    metrics = {}
    for metric in (m for measure in measures for m in measure.metrics):
        metrics[metric.key] = {
            "title": metric.title,
            "modes": {
                mode.name: {
                    "median": samples.median(metric.key, mode.name),
                    "rounds": samples.by_key[metric.key][mode.name],
                    "ratios": {base: samples.ratio(metric.key, mode.name, base)
                               for base in metric.bases},
                }
                for mode in modes
                if samples.values(metric.key, mode.name)
            },
        }
    return {"facts": facts, "options": options, "metrics": metrics,
            "foreign_shares": samples.foreign_shares, "notes": notes}
