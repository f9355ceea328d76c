# SPDX-License-Identifier: Apache-2.0
"""Samples, their medians, and the table.

A ratio is taken within one round, where both modes met the same machine, and
only then is the median taken.  The targets are printed with what was measured;
they decide nothing: a slow machine does not fail.
"""

import statistics

DISTURBED = 0.05  # of all CPUs, had by programs that are not ours
BASES = {"forward": "x forw.", "haproxy": "x HAProxy"}
TARGETS = [  # (text, metric, base of the ratio or None, predicate)
    ("bulk at least 0.8 of forwarding", "bulk_gbps", "forward",
     lambda value: value >= 0.8),
    ("connections per second ahead of HAProxy", "conns_per_s", "haproxy",
     lambda value: value > 1),
    ("latency p50 below HAProxy's", "http_p50_us", "haproxy",
     lambda value: value < 1),
    ("at most 2048 B per idle connection", "idle_pss", None,
     lambda value: value <= 2048),
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
    line = f"  {mode.title:<15}{middle:>10}   {spread:<22}"
    if metric.has_ratio:
        for base in BASES:
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
        head = f"{metric.title:<40}{'':12}"
        if metric.has_ratio:
            head += "".join(f"{title:>11}" for title in BASES.values())
        lines += [head.rstrip()]
        lines += [_line(samples, metric, mode) for mode in present] + [""]
    return "\n".join(lines)


def targets_text(samples):
    lines = []
    for text, key, base, is_met in TARGETS:
        value = (samples.ratio(key, "waylay", base) if base
                 else samples.median(key, "waylay"))
        if value is None:
            verdict = "not measured"
        else:
            figure = f"{value:.2f}" if base else f"{value:.0f}"
            verdict = f"{figure}, {'met' if is_met(value) else 'MISSED'}"
        lines.append(f"  {text:<42}{verdict}")
    return "targets for waylay\n" + "\n".join(lines)


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
                               for base in BASES},
                }
                for mode in modes
                if samples.values(metric.key, mode.name)
            },
        }
    return {"facts": facts, "options": options, "metrics": metrics,
            "foreign_shares": samples.foreign_shares, "notes": notes}
