# SPDX-License-Identifier: Apache-2.0
"""What of the relay is measured, and with which tools.

MEASURES is the list that `run --only` chooses from.  Those of the engines, which
need no relay, are in engine_measures.py.
"""

import json
import pathlib

import engine_measures
import upstream_measures
from measure import Measure, Metric, Sample
from process import BenchError
from usage import cpu_busy_s, settled_memory

WRK_SCRIPT = pathlib.Path(__file__).resolve().parent / "wrk.lua"
SHORT_CLIENTS = 64
WRK_ERRORS_MAX = 0.001  # of all requests
PING_BYTES = 64
UDP_CASES = [(size, flows) for size in (64, 1200) for flows in (1, 100)]


def take_bulk(bench, _mode, _running):
    received, busy_s = bench.bulk()
    values = {
        "bulk_gbps": received["bits_per_second"] / 1e9,
        "cpu_s_per_gb": busy_s / (received["bytes"] / 1e9),
    }
    return Sample(values, tcp=2)


def _wrk(bench, port, threads, connections, *more, is_pinned=False):
    text = bench.client("wrk", "-t", threads, "-c", connections,
                        "-d", f"{bench.seconds}s", "-s", WRK_SCRIPT, *more,
                        bench.topology.url(port), is_pinned=is_pinned)
    result = json.loads(text.splitlines()[-1])
    if not result["requests"] or result["errors"] > WRK_ERRORS_MAX * result["requests"]:
        raise BenchError(f"wrk: {result['errors']} errors in "
                         f"{result['requests']} requests")
    return result


def take_conns(bench, _mode, _running):
    with bench.serving("http_server") as (port, _):
        start_s = cpu_busy_s()
        result = _wrk(bench, port, 2, SHORT_CLIENTS, "-H", "Connection: close")
        busy_s = cpu_busy_s() - start_s
    values = {
        "conns_per_s": result["requests"] / (result["us"] / 1e6),
        "cpu_us_per_conn": busy_s * 1e6 / result["requests"],
    }
    return Sample(values, tcp=result["requests"])


def take_latency(bench, _mode, _running):
    with bench.serving("http_server", is_pinned=True) as (port, _):
        result = _wrk(bench, port, 1, 1, is_pinned=True)
    values = {"http_p50_us": result["p50_us"], "http_p99_us": result["p99_us"]}
    return Sample(values, tcp=1)


def take_ping(bench, _mode, _running):
    with bench.serving("udp_echo", is_pinned=True) as (port, _):
        result = json.loads(bench.client(
            bench.helpers["udp_ping"], bench.topology.server, port, PING_BYTES,
            bench.seconds, is_pinned=True))
    values = {
        "udp_p50_us": result["p50_ns"] / 1e3,
        "udp_p99_us": result["p99_ns"] / 1e3,
    }
    return Sample(values, udp=result["samples"])


def take_udp(bench, _mode, _running):
    sample = Sample({})
    for size, flows in UDP_CASES:
        sent, received, took_s = _udp_load(bench, size, flows)
        sample.values[f"udp_kpps_{size}_{flows}"] = received / took_s / 1e3
        sample.values[f"udp_loss_{size}_{flows}"] = 100 * (1 - received / sent)
        sample.udp += received
    return sample


def _udp_load(bench, size, flows):
    with bench.serving("udp_sink") as (port, sink):
        load = json.loads(bench.client(
            bench.helpers["udp_send"], bench.topology.server, port, size, flows,
            bench.seconds))
        got = sink.result()
    return load["sent"], got["received"], got["ns"] / 1e9


def take_idle(bench, mode, running):
    count = min(bench.idle, mode.connections_max() or bench.idle)
    with bench.serving("http_server") as (port, _):
        before = settled_memory(running.pids())
        with bench.holding(port, count):
            after = settled_memory(running.pids())
    values = {f"idle_{kind}": (after[kind] - before[kind]) / count
              for kind in after}
    values["idle_before_mib"] = before["pss"] / 2**20
    values["idle_after_mib"] = after["pss"] / 2**20
    values["idle_connections"] = count
    return Sample(values, tcp=count)


def _udp_metrics():
    for size, flows in UDP_CASES:
        what = f"{size} B, {flows} flow" + ("s" if flows > 1 else "")
        key = f"{size}_{flows}"
        yield Metric(f"udp_kpps_{key}", f"UDP received, 1000/s, {what}", 0)
        yield Metric(f"udp_loss_{key}", f"UDP lost of overload, %, {what}", 1,
                     has_ratio=False)


_OF_RELAY = [
    Measure("bulk", take_bulk, [
        Metric("bulk_gbps", "bulk TCP, Gbit/s", 2),
        Metric("cpu_s_per_gb", "CPU of the machine, s/GB", 3),
    ], is_long=True),
    Measure("conns", take_conns, [
        Metric("conns_per_s", "TCP connections per second", 0),
        Metric("cpu_us_per_conn", "CPU of the machine, us/connection", 0),
    ]),
    Measure("latency", take_latency, [
        Metric("http_p50_us", "request latency p50, us (HTTP)", 0),
        Metric("http_p99_us", "request latency p99, us (HTTP)", 0),
    ], is_long=True),
    Measure("ping", take_ping, [
        Metric("udp_p50_us", "request latency p50, us (UDP)"),
        Metric("udp_p99_us", "request latency p99, us (UDP)"),
    ], is_udp=True, is_long=True),
    Measure("udp", take_udp, list(_udp_metrics()), is_udp=True),
    Measure("idle", take_idle, [
        Metric("idle_pss", "memory per idle connection, B (PSS)", 0),
        Metric("idle_rss", "memory per idle connection, B (RSS)", 0),
        Metric("idle_private", "memory per idle connection, B (private)", 0),
        Metric("idle_before_mib", "memory before, MiB (PSS)", 1, False),
        Metric("idle_after_mib", "memory at idle, MiB (PSS)", 1, False),
        Metric("idle_connections", "idle connections held", 0, False),
    ], is_of_daemon=True),
]

MEASURES = [
    *_OF_RELAY,
    *engine_measures.MEASURES,
    *upstream_measures.measures({measure.name: measure for measure in _OF_RELAY}),
]
