# SPDX-License-Identifier: Apache-2.0
"""What stands in the router: nothing, waylay with one of its engines, or HAProxy.

A mode is started afresh for each measurement and leaves nothing behind, so that
neither its heap nor its left-over connections reach into the next one.  In each
of them the server sees the client's own address and port.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import time
import typing

from process import (BenchError, Child, clean_environment, family, is_listening,
                     run)
from scenes import RELAY, SCENES, dropped_hosts

READY_S = 60  # an engine may take its time for a million prefixes
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# Below the clients' ports: a listener on the wildcard address keeps every client
# with the same port number from being imitated towards the server.
HAPROXY_PORT = 1000
HAPROXY_MARK = 1
HAPROXY_TABLE = 100
# HAProxy wants two descriptors for each connection of maxconn, and some more.
HAPROXY_MAXCONNS = (12000, 6000, 4000)  # the first that the limit allows
HAPROXY_SPARE_FDS = 200

HAPROXY_CONF = """\
global
    nbthread 2
    maxconn {maxconn}
defaults
    mode tcp
    {option}
    timeout connect 5s
    timeout client 2h
    timeout server 2h
frontend lan
    bind {listen} transparent
    default_backend origin
backend origin
    source {any} usesrc client
    server origin {any}
"""

HAPROXY_NFT = f"""\
table inet bench {{
    chain prerouting {{
        type filter hook prerouting priority mangle;
        meta l4proto tcp socket transparent 1 meta mark set {HAPROXY_MARK} accept
        iifname "lan" meta l4proto tcp tproxy to :{HAPROXY_PORT} \
meta mark set {HAPROXY_MARK} accept
    }}
}}
"""

# As src/engine/routing.c has it; a goto needs its target.
ROUTING = [line.split() for line in (
    "route local default dev lo table 7700",
    "rule priority 7702 nop",
    "rule priority 7701 fwmark 0x1000/0x3000 lookup 7700",
    "rule priority 7700 iif lo fwmark 0x1000/0x3000 goto 7702",
)]

# The least that a packet can cost which does not get through.
BARE_NFT = """\
table netdev bench {
    chain ingress {
        type filter hook ingress device "lan" priority 0; policy drop;
    }
}
"""

# Pins live as long as the daemon's own mount namespace, and are found by way of
# its root: `ip netns exec` hides the host's /sys/fs/bpf, and whatever else is
# mounted there belongs to others.
WITH_BPFFS = ("sh", "-c", 'mount -t bpf bpf /sys/fs/bpf; exec "$@"', "sh")


def waylayd_path():
    return os.environ.get("WAYLAYD") or str(
        REPOSITORY / "build/src/daemon/waylayd"
    )


def waylay_path():
    return os.environ.get("WAYLAY") or str(
        pathlib.Path(waylayd_path()).parent.parent / "cli/waylay"
    )


def haproxy_maxconn():
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    fitting = (n for n in HAPROXY_MAXCONNS if 2 * n + HAPROXY_SPARE_FDS <= files)
    return next(fitting, HAPROXY_MAXCONNS[-1])


@dataclasses.dataclass
class Running:
    """A mode while it runs."""

    pid: int = 0  # of the daemon; 0: there is none
    start_s: float = 0  # from exec to its word that it is ready
    reload: typing.Callable = None
    cut_flows: typing.Callable = None  # how many were cut through, in the end

    def pids(self):
        return family(self.pid) if self.pid else []


class Mode:
    """What the table says of it, and how it is started."""

    name = ""
    title = ""
    engine = None
    is_relay = True
    is_cut = False  # flows leave their sockets after a while
    has_udp = True
    measures = RELAY

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def connections_max(self):
        """How many it can hold, or None for no limit of its own."""
        return None

    def destinations(self, has_v6):
        """Addresses to which packets do not get through."""
        return dropped_hosts(has_v6)

    @contextlib.contextmanager
    def running(self, topology, directory):
        """Gives a Running."""
        del topology, directory
        yield Running()


class Forward(Mode):
    """The kernel alone."""

    name = "forward"
    title = "forwarding"
    is_relay = False
    measures = (*RELAY, "forward")


class Routing(Mode):
    """The policy routing that every engine needs, and nothing else.

    With any rule of its own a namespace leaves the kernel's shortest way: this
    part of what an engine costs is not the engine's.
    """

    name = "routing"
    title = "policy routing"
    is_relay = False
    measures = ("forward",)

    @contextlib.contextmanager
    def running(self, topology, directory):
        del directory
        ip = ("ip", "-6" if topology.has_v6 else "-4")
        with contextlib.ExitStack() as undo:
            for words in ROUTING:
                topology.run_in("router", *ip, words[0], "add", *words[1:])
                undo.callback(topology.run_in, "router", *ip, words[0], "del",
                              *words[1:])
            yield Running()


class Bare(Mode):
    """Nothing gets through, by the cheapest means that everybody has."""

    name = "bare"
    title = "drop at once"
    is_relay = False
    measures = ("first",)

    @contextlib.contextmanager
    def running(self, topology, directory):
        rules = pathlib.Path(directory) / "bare.nft"
        rules.write_text(BARE_NFT, encoding="ascii")
        topology.run_in("router", "nft", "-f", rules)
        try:
            yield Running()
        finally:
            topology.run_in("router", "nft", "delete", "table", "netdev", "bench")


class Waylay(Mode):
    """waylayd with one engine in one scene; WAYLAYD names another binary."""

    def __init__(self, engine, scene):
        self.engine = engine
        self.name = f"{engine}-{scene.name}" if scene.name else engine
        self.title = f"{engine} {scene.title}" if scene.title else f"waylay {engine}"
        self.is_relay = scene.is_relay
        self.is_cut = scene.is_cut
        self.measures = scene.measures
        self._scene = scene

    def missing(self):
        path = waylayd_path()
        return None if os.access(path, os.X_OK) else "waylayd is not built"

    def destinations(self, has_v6):
        return self._scene.destinations(has_v6)

    @contextlib.contextmanager
    def running(self, topology, directory):
        conf = pathlib.Path(directory) / "waylay.conf"
        conf.write_text(f"engine {self.engine}\n"
                        f"cut-through {'on' if self.is_cut else 'off'}\n"
                        + self._scene.text(topology.has_v6), encoding="ascii")
        run_dir = pathlib.Path(directory) / "run"
        command = topology.inside("router", *WITH_BPFFS, waylayd_path(),
                                  "--config", conf, "--run-dir", run_dir)
        reload = topology.inside("router", waylay_path(), "--run-dir", run_dir,
                                 "reload")
        start_s = time.monotonic()
        with Child(command, directory, clean_environment()) as daemon:
            daemon.wait_ready("ready: ", READY_S)
            running = Running(daemon.pid, time.monotonic() - start_s,
                              lambda: run(reload))
            if self.is_cut:
                status = topology.inside("router", waylay_path(), "--run-dir",
                                         run_dir, "--json", "status")
                running.cut_flows = lambda: _cut_flows(json.loads(run(status)))
            yield running
            daemon.check_alive()


def _cut_flows(status):
    return status["counters"]["cut_tcp"] + status["counters"]["cut_udp"]


class Haproxy(Mode):
    """Debian's HAProxy: tcp mode, nft tproxy, policy routing."""

    name = "haproxy"
    title = "HAProxy"
    option = ""
    has_udp = False

    def missing(self):
        found = any(
            os.access(pathlib.Path(directory) / "haproxy", os.X_OK)
            for directory in os.get_exec_path()
        )
        return None if found else "no program haproxy"

    def connections_max(self):
        # Not to the brim: a full HAProxy stops accepting.
        return haproxy_maxconn() * 9 // 10

    @contextlib.contextmanager
    def running(self, topology, directory):
        conf = pathlib.Path(directory) / "haproxy.conf"
        conf.write_text(self._conf(topology.has_v6), encoding="ascii")
        command = topology.inside("router", "haproxy", "-db", "-f", conf)
        with self._intercepted(topology, directory):
            with Child(command, directory) as daemon:
                daemon.wait_for(lambda: is_listening(daemon.pid, HAPROXY_PORT),
                                "HAProxy's listener")
                yield Running(daemon.pid)
                daemon.check_alive()

    def _conf(self, has_v6):
        any_address = "[::]" if has_v6 else "0.0.0.0"
        return HAPROXY_CONF.format(
            maxconn=haproxy_maxconn(), option=self.option, any=any_address,
            listen=f"{any_address}:{HAPROXY_PORT}",
        )

    @contextlib.contextmanager
    def _intercepted(self, topology, directory):
        rules = pathlib.Path(directory) / "haproxy.nft"
        rules.write_text(HAPROXY_NFT, encoding="ascii")
        family_flag = "-6" if topology.has_v6 else "-4"
        what = ["fwmark", HAPROXY_MARK, "lookup", HAPROXY_TABLE]
        route = ["local", "default", "dev", "lo", "table", HAPROXY_TABLE]

        def ip(*words):
            run(topology.inside("router", "ip", family_flag, *words))

        with contextlib.ExitStack() as undo:
            topology.run_in("router", "nft", "-f", rules)
            undo.callback(topology.run_in, "router", "nft", "delete", "table",
                          "inet", "bench")
            ip("rule", "add", *what)
            undo.callback(ip, "rule", "del", *what)
            ip("route", "add", *route)
            undo.callback(ip, "route", "del", *route)
            yield


class HaproxySplice(Haproxy):
    """The same with splice(2); differs for bulk only."""

    name = "haproxy-splice"
    title = "HAProxy splice"
    option = "option splice-auto"
    measures = ("bulk",)


# Which engine is compared in which scenes.  Only the ebpf engine is asked for a
# million prefixes: iptables has no sets, and nft needs ten seconds and more.
ENGINES = {
    "ebpf": [scene.name for scene in SCENES],
    "nft": ["", "cut", "past-1", "past-1000", "direct-1", "direct-1000", "drop-1",
            "drop-1000"],
    "iptables": ["past-1", "past-1000", "direct-1", "direct-1000", "drop-1",
                 "drop-1000"],
}


def _waylay_modes():
    return [Waylay(engine, scene) for engine, names in ENGINES.items()
            for scene in SCENES if scene.name in names]


MODES = {mode.name: mode for mode in (Forward(), Routing(), Bare(), *_waylay_modes(),
                                      Haproxy(), HaproxySplice())}


def check_path(mode, before, after, tcp, udp):
    """Refuses a figure that was measured on another path than it says.

    before, after: Topology.relayed(); tcp, udp: what the measurement moved.
    With UDP_GRO up to 64 datagrams count as one.
    """
    took = (after[0] - before[0], after[1] - before[1])
    if not mode.is_relay and took != (0, 0):
        raise BenchError(f"{mode.title}: the router's sockets took traffic")
    udp_least = 1 if udp and mode.is_cut else udp / 64
    if mode.is_relay and (took[0] < 0.99 * tcp or took[1] < udp_least):
        raise BenchError(
            f"{mode.title}: the router's sockets took {took[0]} of {tcp} "
            f"connections and {took[1]} of {udp} datagrams"
        )
