# SPDX-License-Identifier: Apache-2.0
"""What an engine costs the packets that it looks at, and what it costs to load.

forward  packets that it lets pass: bulk TCP, and small ones one by one, to
         many destinations.  Small ones show what a packet costs; on the way
         of bulk TCP there is one look for 64 KiB.
first    a flow's first packet, decided by a rule that drops, so that no relay
         is in the figure: all the way from the client, and for the ebpf engine
         the program alone.  A flow that is relayed is found by the same
         look-ups, and then given to its listener.
load     a start, reloads, and reloads while a client connects all the time.

Small packets are sent by flood.c; their count at the server shows that they
took the way which the mode says.
"""

import contextlib
import json
import pathlib
import time

from measure import Measure, Metric, Sample
from process import BenchError, Child
from scenes import passing_hosts
from usage import map_bytes, peak_rss

DISCARD_PORT = 9  # of small packets; where they end that get through
RELOADS = 2
# Nothing there answers; and nothing of it is in what is measured.
SINK_NFT = f"""\
table netdev bench {{
    chain ingress {{
        type filter hook ingress device "eth0" priority 0;
        meta l4proto {{ tcp, udp }} th dport {DISCARD_PORT} drop
    }}
}}
"""
ONE_RULE, TEN_NETS = "ebpf-drop-1", "ebpf-nets-10"


def _flows(bench, kind, destinations):
    """The words that flood and test_run share."""
    path = pathlib.Path(bench.directory) / "destinations"
    path.write_text("".join(f"{address}\n" for address in destinations),
                    encoding="ascii")
    return (kind, bench.topology.link("router", "lan", "address"),
            bench.topology.client, DISCARD_PORT, path)


@contextlib.contextmanager
def _sink(bench):
    rules = pathlib.Path(bench.directory) / "sink.nft"
    rules.write_text(SINK_NFT, encoding="ascii")
    bench.topology.run_in("server", "nft", "-f", rules)
    try:
        yield
    finally:
        bench.topology.run_in("server", "nft", "delete", "table", "netdev", "bench")


def _flood(bench, flows):
    """What flood says, and how many packets came to the server."""

    def received():
        return int(bench.topology.link("server", "eth0", "statistics/rx_packets"))

    with _sink(bench):
        before = received()
        result = json.loads(bench.client(bench.helpers["flood"], "eth0",
                                         bench.seconds, *flows, is_pinned=True))
        return result, received() - before


# --- forward ------------------------------------------------------------------


def _pass_kpps(bench, kind):
    hosts = passing_hosts(bench.topology.has_v6)
    result, passed = _flood(bench, _flows(bench, kind, hosts))
    if passed < 0.999 * result["sent"]:
        raise BenchError(f"{passed} of {result['sent']} packets got through")
    return 1e6 / result["ns"]


def take_forward(bench, _mode, _running):
    received, _ = bench.bulk()
    values = {
        "forward_gbps": received["bits_per_second"] / 1e9,
        "forward_tcp_kpps": _pass_kpps(bench, "ack"),
        "forward_udp_kpps": _pass_kpps(bench, "udp"),
    }
    return Sample(values)


# --- first --------------------------------------------------------------------


def _drop_ns(bench, kind, destinations):
    result, passed = _flood(bench, _flows(bench, kind, destinations))
    if passed > 0.001 * result["sent"]:
        raise BenchError(f"{passed} of {result['sent']} packets were not dropped")
    return result["ns"]


def _program_ns(bench, pid, destinations):
    """Of the ebpf engine's program at lan."""
    name = f"in-{bench.topology.link('router', 'lan', 'ifindex')}"
    pins = pathlib.Path(f"/proc/{pid}/root/sys/fs/bpf/waylay")
    pin = next(pins.glob(f"*/{name}"), None)
    if pin is None:
        raise BenchError(f"no {name} is pinned in {pins}: no bpffs, or no tcx")
    return json.loads(bench.topology.run_in(
        "router", bench.helpers["test_run"], pin, "lan",
        *_flows(bench, "syn", destinations)))


def take_first(bench, mode, running):
    destinations = mode.destinations(bench.topology.has_v6)
    values = {
        "first_syn_ns": _drop_ns(bench, "syn", destinations),
        "first_udp_ns": _drop_ns(bench, "udp", destinations),
    }
    if mode.engine == "ebpf":
        program = _program_ns(bench, running.pid, destinations)
        values["first_cold_ns"] = program["cold_ns"]
        values["first_warm_ns"] = program["warm_ns"]
    return Sample(values)


# --- load ---------------------------------------------------------------------


@contextlib.contextmanager
def _connecting(bench):
    """Somebody connects all the time; gives a place for what came of it."""
    outcome = {}
    with bench.serving("http_server") as (port, _):
        before, _ = bench.topology.relayed()
        command = bench.inside("client", bench.helpers["connect_loop"],
                               bench.topology.server, port)
        with Child(command, bench.directory) as client:
            client.wait_ready()
            yield outcome
            client.end_input()
            outcome |= client.result()
        after, _ = bench.topology.relayed()
    outcome["direct"] = max(outcome["connections"] - (after - before), 0)


def _reload_s(running):
    start_s = time.monotonic()
    for _ in range(RELOADS):
        running.reload()
    return (time.monotonic() - start_s) / RELOADS


def take_load(bench, mode, running):
    values = {"load_s": running.start_s,
              "load_rss_mib": peak_rss(running.pid) / 2**20,
              "reload_s": _reload_s(running)}
    with _connecting(bench) as outcome:
        values["reload_busy_s"] = _reload_s(running)
    values |= {
        "reload_connections": outcome["connections"],
        "reload_failed": outcome["failed"],
        "reload_direct": outcome["direct"],
        "reload_slowest_ms": outcome["slowest_us"] / 1e3,
        "reload_rss_mib": peak_rss(running.pid) / 2**20,
    }
    if mode.engine == "ebpf":
        values["maps_mib"] = map_bytes(running.pid) / 2**20
    return Sample(values, tcp=outcome["connections"])


MEASURES = [
    Measure("forward", take_forward, [
        Metric("forward_gbps", "not taken: bulk TCP, Gbit/s", 2,
               bases=("forward", "routing")),
        Metric("forward_tcp_kpps", "not taken: small TCP packets, 1000/s", 0,
               bases=("forward", "routing")),
        Metric("forward_udp_kpps", "not taken: datagrams, 1000/s", 0,
               bases=("forward", "routing")),
    ]),
    Measure("first", take_first, [
        Metric("first_syn_ns", "first packet, ns: SYN, sent and dropped", 0,
               bases=("bare", "ebpf-drop-1000")),
        Metric("first_udp_ns", "first packet, ns: UDP, sent and dropped", 0,
               bases=("bare", "ebpf-drop-1000")),
        Metric("first_cold_ns", "first packet, ns: program, each flow once", 0,
               bases=(ONE_RULE, TEN_NETS)),
        Metric("first_warm_ns", "first packet, ns: program, one flow again", 0,
               bases=(ONE_RULE, TEN_NETS)),
    ]),
    Measure("load", take_load, [
        Metric("load_s", "start of waylayd, s", 2, bases=(TEN_NETS,)),
        Metric("reload_s", "reload, s", 2, bases=(TEN_NETS,)),
        Metric("reload_busy_s", "reload while a client connects, s", 2,
               bases=(TEN_NETS,)),
        Metric("maps_mib", "memory of the BPF maps, MiB", 1, False),
        Metric("load_rss_mib", "peak RSS of the supervisor, MiB", 1, False),
        Metric("reload_rss_mib", "the same after reloads, MiB", 1, False),
        Metric("reload_connections", "connections made while reloading", 0, False),
        Metric("reload_failed", "... of which failed", 0, False),
        Metric("reload_direct", "... of which went direct", 0, False),
        Metric("reload_slowest_ms", "... the slowest, ms", 1, False),
    ]),
]
