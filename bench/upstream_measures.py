# SPDX-License-Identifier: Apache-2.0
"""What is measured of flows that go through a proxy, and of names.

The loads are those of measures.py; the ratios are against the other gateways
that speak to the same proxy (upstream_modes.py).
"""

import dataclasses
import json

from measure import Measure, Metric, Sample
from usage import process_cpu_s

PEERS = ("redsocks", "v2ray")


def through(measure):
    """The same load, as a measure of its own for gateways with a proxy."""

    def take(bench, mode, running):
        pids = running.pids()
        start_s = process_cpu_s(pids)
        sample = measure.take(bench, mode, running)
        values = {f"via_{key}": value for key, value in sample.values.items()}
        values[f"via_{measure.name}_own_cpu_s"] = process_cpu_s(pids) - start_s
        # Each UDP flow has a control connection, which the path check of
        # measure.py does not know: what arrived shows the path well enough.
        return Sample(values, tcp=sample.tcp, udp=0)

    metrics = [
        dataclasses.replace(metric, key=f"via_{metric.key}", bases=PEERS,
                            title=f"through SOCKS5: {metric.title}")
        for metric in measure.metrics
    ]
    metrics.append(Metric(f"via_{measure.name}_own_cpu_s", bases=PEERS, digits=2,
                          title=f"through SOCKS5: gateway's own CPU s, {measure.name}"))
    return Measure(f"via-{measure.name}", take, metrics, measure.is_udp)


def take_first_byte(bench, _mode, _running):
    with bench.serving("http_server", is_pinned=True) as (port, _):
        result = json.loads(bench.client(
            bench.helpers["first_byte"], bench.topology.server, port,
            bench.seconds, is_pinned=True))
    return Sample({"first_byte_p50_us": result["p50_ns"] / 1e3,
                   "first_byte_p99_us": result["p99_ns"] / 1e3},
                  tcp=result["samples"])


FIRST_BYTE = Measure("first-byte", take_first_byte, [
    Metric("first_byte_p50_us", "TLS hello to first byte, p50, us", 1,
           bases=("no-names",)),
    Metric("first_byte_p99_us", "TLS hello to first byte, p99, us", 1,
           bases=("no-names",)),
])


def measures(relay):
    """`relay`: those of measures.py, by name."""
    return [*(through(relay[name]) for name in ("bulk", "conns", "latency", "udp")),
            FIRST_BYTE]
