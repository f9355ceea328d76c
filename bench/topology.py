# SPDX-License-Identifier: Apache-2.0
"""Three namespaces, used by every mode of one run.

      client                    router                    server
    +--------+            +---------------+            +--------+
    |   eth0 |------------| lan       wan |------------| eth0   |
    +--------+            +---------------+            +--------+
    192.0.2.10/24  192.0.2.1      198.51.100.1  198.51.100.80/24
    2001:db8:1::10 2001:db8:1::1  2001:db8:2::1 2001:db8:2::80

Both families are always there; `has_v6` says which one carries the traffic.
Names carry the pid of the bench, so that two runs do not meet.
"""

import os
import pathlib
import re

from process import BenchError, run

ROLES = ("client", "router", "server")
ADDRESSES = {  # (role, interface): (IPv4, IPv6)
    ("client", "eth0"): ("192.0.2.10/24", "2001:db8:1::10/64"),
    ("router", "lan"): ("192.0.2.1/24", "2001:db8:1::1/64"),
    ("router", "wan"): ("198.51.100.1/24", "2001:db8:2::1/64"),
    ("server", "eth0"): ("198.51.100.80/24", "2001:db8:2::80/64"),
}
CABLES = (
    (("client", "eth0"), ("router", "lan")),
    (("server", "eth0"), ("router", "wan")),
)
# The router's: what it does not drop gets to the server, whatever the address.
GATEWAYS = {
    "client": ("router", "lan"),
    "server": ("router", "wan"),
    "router": ("server", "eth0"),
}
# Not the host's default, which differs from machine to machine: Linux's own, or
# reno, which every namespace may use and which does the same on a clean cable.
CONGESTIONS = ("cubic", "reno")
SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    # Short connections must not run out of ports in any mode.
    "net.ipv4.ip_local_port_range": "1024 65535",
    "net.ipv4.tcp_tw_reuse": 1,
}


def default_congestion():
    """The first of CONGESTIONS that a namespace may use here."""
    allowed = pathlib.Path(
        "/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text("ascii")
    return next(name for name in CONGESTIONS if name in allowed.split())


class Topology:
    """The namespaces; use it in a `with`."""

    def __init__(self, has_v6, congestion):
        self.has_v6 = has_v6
        self._sysctls = SYSCTLS | {
            "net.ipv4.tcp_congestion_control": congestion}
        self.client, self.server = (
            ADDRESSES[role, "eth0"][has_v6].split("/")[0]
            for role in ("client", "server"))
        self._names = {role: f"wlbench{os.getpid()}-{role}" for role in ROLES}

    def inside(self, role, *command):
        """The command, to be run in the namespace; it keeps its pid."""
        return ["ip", "netns", "exec", self._names[role], *command]

    def run_in(self, role, *command):
        return run(self.inside(role, *command))

    def url(self, port):
        host = f"[{self.server}]" if self.has_v6 else self.server
        return f"http://{host}:{port}/"

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self._delete()
            raise
        return self

    def __exit__(self, *_):
        self._delete()

    def _create(self):
        for role in ROLES:
            run(["ip", "netns", "add", self._names[role]])
            self.run_in(role, "ip", "link", "set", "lo", "up")
            for name, value in self._sysctls.items():
                self.run_in(role, "sysctl", "-q", "-w", f"{name}={value}")
        for cable in CABLES:
            self._lay(*cable)
        for (role, interface), addresses in ADDRESSES.items():
            self._set_up(role, interface, addresses)
        for role, gateway in GATEWAYS.items():
            for address in ADDRESSES[gateway]:
                family = "-6" if ":" in address else "-4"
                self.run_in(role, "ip", family, "route", "add", "default",
                            "via", address.split("/")[0])

    def _lay(self, one, other):
        run(["ip", "link", "add", one[1], "netns", self._names[one[0]],
             "type", "veth",
             "peer", "name", other[1], "netns", self._names[other[0]]])

    def _set_up(self, role, interface, addresses):
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            self.run_in(role, "ip", "address", "add", address,
                        "dev", interface, *nodad)
        self.run_in(role, "ip", "link", "set", interface, "up")

    def _delete(self):
        for name in self._names.values():
            try:
                run(["ip", "netns", "del", name])
            except BenchError:
                pass  # was never made

    def link(self, role, interface, what):
        """A file of the interface's directory in sysfs."""
        return self.run_in(role, "cat", f"/sys/class/net/{interface}/{what}").strip()

    def relayed(self):
        """(TCP connections, UDP datagrams) that sockets of the router took.

        Plain forwarding takes none; this shows which path was measured.
        """
        text = self.run_in("router", "cat", "/proc/net/snmp", "/proc/net/snmp6")
        tcp_names, tcp_values = re.findall(r"^Tcp: (.*)$", text, re.M)
        tcp = dict(zip(tcp_names.split(), tcp_values.split()))
        if self.has_v6:
            udp = re.search(r"^Udp6InDatagrams\s+(\d+)", text, re.M).group(1)
        else:
            names, values = re.findall(r"^Udp: (.*)$", text, re.M)
            udp = dict(zip(names.split(), values.split()))["InDatagrams"]
        return int(tcp["PassiveOpens"]), int(udp)
