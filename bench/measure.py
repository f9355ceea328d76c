# SPDX-License-Identifier: Apache-2.0
"""What a measure is, and where it works.

A measure starts the far end in the server namespace, drives it from the client
namespace, and returns a Sample.  It knows nothing of the mode in the router but
what Running says.  Read next: measures.py and engine_measures.py.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import typing

from modes import check_path
from process import EXTRA_S, BenchError, Child, is_listening, run
from usage import cpu_busy_s

FIRST_PORT = 20000


@dataclasses.dataclass
class Metric:
    """One line group of the table."""

    key: str
    title: str
    digits: int = 1
    has_ratio: bool = True
    bases: tuple = ("forward", "haproxy")  # modes; columns of report.py


@dataclasses.dataclass
class Sample:
    """Values by metric key, and the traffic that check_path() compares."""

    values: dict
    tcp: int = 0
    udp: int = 0


@dataclasses.dataclass
class Measure:
    """How to take one Sample."""

    name: str
    take: typing.Callable
    metrics: list
    is_udp: bool = False
    is_of_daemon: bool = False  # means nothing without one
    is_long: bool = False  # its flows live so long that they can be cut through

    def fits(self, mode):
        return (
            (mode.has_udp or not self.is_udp)
            and (mode.is_relay or not self.is_of_daemon)
            and self.name in mode.measures
        )

    def sample(self, bench, mode):
        """Starts the mode, measures, ends the mode; returns the values."""
        with mode.running(bench.topology, bench.directory) as running:
            before = bench.topology.relayed()
            sample = self.take(bench, mode, running)
            after = bench.topology.relayed()
            if running.cut_flows and self.is_long and not running.cut_flows():
                raise BenchError(f"{mode.title}: no flow was cut through")
            check_path(mode, before, after, sample.tcp, sample.udp)
        return sample.values


@dataclasses.dataclass
class Bench:
    """Where a measure works."""

    topology: typing.Any
    directory: str
    helpers: dict
    seconds: int
    idle: int
    ports: typing.Iterator = dataclasses.field(
        default_factory=lambda: itertools.count(FIRST_PORT))

    def new_port(self):
        """A server port that no earlier sample used.

        A proxy leaves TIME_WAIT sockets in the router, with foreign addresses.
        Early demux finds them when a later client reuses the ports, and
        ip_forward() drops a packet that has a socket: forwarding would stall.
        """
        return next(self.ports)

    def inside(self, role, *command, is_pinned=False):
        """The command, to be run in the namespace.

        Pinned, the two ends sit on the first and the last CPU.  Latency needs
        that: sharing a CPU by chance saves the wake-up of an idle one, which
        costs more than all that is compared.  The daemon goes where it likes.
        """
        cpus = sorted(os.sched_getaffinity(0))
        cpu = cpus[0] if role == "client" else cpus[-1]
        pin = ["taskset", "-c", cpu] if is_pinned else []
        return self.topology.inside(role, *pin, *command)

    @contextlib.contextmanager
    def serving(self, name, is_pinned=False):
        """A helper in the server namespace that is ready; gives its port."""
        port = self.new_port()
        command = self.inside("server", self.helpers[name], self.topology.server,
                              port, is_pinned=is_pinned)
        with Child(command, self.directory) as server:
            server.wait_ready()
            yield port, server

    @contextlib.contextmanager
    def holding(self, port, count):
        """So many idle connections to http_server."""
        command = self.inside("client", self.helpers["idle_client"],
                              self.topology.server, port, count)
        with Child(command, self.directory) as client:
            client.wait_ready()
            yield

    def warm_up(self):
        """One connection: neighbours are known, the path is whole."""
        with self.serving("http_server") as (port, _):
            with self.holding(port, 1):
                pass

    def client(self, *command, is_pinned=False):
        return run(self.inside("client", *command, is_pinned=is_pinned),
                   self.seconds + EXTRA_S)

    def bulk(self):
        """What iperf3 says of the received, and the machine's CPU seconds."""
        address, port = self.topology.server, self.new_port()
        command = self.inside("server", "iperf3", "-s", "-1", "-p", port)
        with Child(command, self.directory) as server:
            server.wait_for(lambda: is_listening(server.pid, port),
                            "iperf3's listener")
            start_s = cpu_busy_s()
            text = self.client("iperf3", "-c", address, "-p", port,
                                "-t", self.seconds, "--json")
            busy_s = cpu_busy_s() - start_s
        try:
            said = json.loads(text)
        except ValueError as problem:
            raise BenchError(f"iperf3 said {text[:200]!r}") from problem
        received = said["end"].get("sum_received", {"bytes": 0})
        if not received["bytes"]:
            raise BenchError(f"iperf3: {said.get('error', 'nothing was received')}")
        return received, busy_s
