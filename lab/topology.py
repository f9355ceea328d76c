# SPDX-License-Identifier: Apache-2.0
"""The lab's network: clients, one gateway, servers; a name of its own per run.

    cli   192.0.2.10 ──┐                     ┌─ wan0 ─ srv    198.51.100.10
          2001:db8:1::10                     │                2001:db8:2::10
                       ├─ sw ─ lan0 ─ gw ────┤
    cli2  192.0.2.11 ──┘                     ├─ wan1 ─ srv2   203.0.113.10
          2001:db8:1::11                     │                2001:db8:3::10
                                             │
                                             └─ wan2 ─ rtr2 ─ far   198.18.4.10
                                           (only with add_far)      2001:db8:4::10

The gateway has .1 and ::1 on each side, forwards, and has no default route.
`sw` is a bridge in a namespace of its own, so that the gateway itself has a
plain interface.  The way from rtr2 to far has a path MTU of 1300, its links
have 1500.  Clients send with TTL and hop limit 77: what the gateway merely
forwards reaches a server with 76, what one of its own sockets sends with 64.

Everything is removed by close(), at exit at the latest; processes by their
stored pid.  Next: observers.py, waylay.py.
"""

import atexit
import contextlib
import itertools
import os

from namespace import Namespace

CLIENT_TTL = 77
FORWARDED_TTL = CLIENT_TTL - 1
FAR_PATH_MTU = 1300

# As configurations write them: srv2, where proxies are, and the networks of srv.
UP = {"v4": "203.0.113.10", "v6": "[2001:db8:3::10]"}
NETS = {"v4": "198.51.100.0/24", "v6": "2001:db8:2::/64"}

_run_numbers = itertools.count(1)


class Lab:
    """A running network.  Use as a context manager."""

    def __init__(self) -> None:
        self.prefix = f"lab{os.getpid()}-{next(_run_numbers)}"
        self._stack = contextlib.ExitStack()
        atexit.register(self.close)
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        atexit.unregister(self.close)
        self._stack.close()

    def _build(self) -> None:
        self.gw = self.add_namespace("gw")
        self.srv = self.add_namespace("srv")
        self.srv2 = self.add_namespace("srv2")
        self._switch = self._add_switch()
        self.cli = self._add_lan_client("cli", 10)
        self.cli2 = self._add_lan_client("cli2", 11)
        self._add_uplink()
        self.add_link(self.gw, "wan0", self.srv, "198.51.100", "2001:db8:2:")
        self.add_link(self.gw, "wan1", self.srv2, "203.0.113", "2001:db8:3:")
        forward(self.gw)
        set_bridge_netfilter_off(self.gw)

    def add_namespace(self, name: str) -> Namespace:
        namespace = Namespace(f"{self.prefix}-{name}")
        self._stack.callback(namespace.close)
        return namespace

    # --- the clients' side ---------------------------------------------------

    def _add_switch(self) -> Namespace:
        switch = self.add_namespace("sw")
        switch.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        switch.ip("link", "set", "br0", "up")
        return switch

    def _plug(self, namespace: Namespace, ifname: str, port: str) -> None:
        veth(namespace, ifname, self._switch, port)
        self._switch.ip("link", "set", port, "master", "br0", "up")
        namespace.ip("link", "set", ifname, "up")

    def _add_lan_client(self, name: str, host: int) -> Namespace:
        client = self.add_namespace(name)
        self._plug(client, "eth0", name)
        set_addresses(client, "eth0", f"192.0.2.{host}", f"2001:db8:1::{host}")
        set_gateway(client, "192.0.2.1", "2001:db8:1::1")
        set_client_ttl(client)
        return client

    def _add_uplink(self) -> None:
        self._plug(self.gw, "lan0", "gw")
        set_addresses(self.gw, "lan0", "192.0.2.1", "2001:db8:1::1")

    # --- point to point -------------------------------------------------------

    def add_link(
        self, gw: Namespace, ifname: str, far: Namespace, net4: str, net6: str
    ) -> None:
        """A pair with .1 at the gateway and .10 at the far end."""
        veth(gw, ifname, far, "eth0")
        far.ip("link", "set", "eth0", "up")
        gw.ip("link", "set", ifname, "up")
        set_addresses(gw, ifname, f"{net4}.1", f"{net6}:1")
        set_addresses(far, "eth0", f"{net4}.10", f"{net6}:10")
        set_gateway(far, f"{net4}.1", f"{net6}:1")

    def add_far(self) -> None:
        """`far`, a server behind a second router and a narrow path."""
        self.rtr2 = rtr2 = self.add_namespace("rtr2")
        self.far = self.add_namespace("far")
        self.add_link(self.gw, "wan2", rtr2, "198.18.3", "2001:db8:33:")
        self.add_link(rtr2, "far0", self.far, "198.18.4", "2001:db8:4:")
        forward(rtr2)
        for net, hop, metric in (
            ("198.18.4.0/24", "198.18.3.10", "0"),
            ("2001:db8:4::/64", "2001:db8:33::10", "256"),  # the kernel's own
        ):
            self.gw.ip("route", "add", net, "via", hop)
            rtr2.ip(
                *("route", "replace", net, "dev", "far0"),
                *("metric", metric, "mtu", str(FAR_PATH_MTU)),
            )

    def add_client_link(self, ifname: str) -> Namespace:
        """A client on an interface of its own, which appears at this moment."""
        client = self.add_namespace(f"cli-{ifname}")
        self.add_link(self.gw, ifname, client, "198.18.9", "2001:db8:9:")
        set_client_ttl(client)
        return client


def veth(a: Namespace, a_name: str, b: Namespace, b_name: str) -> None:
    a.ip(
        *("link", "add", a_name, "type", "veth"),
        *("peer", "name", b_name, "netns", b.name),
    )


def set_addresses(namespace: Namespace, ifname: str, v4: str, v6: str) -> None:
    namespace.ip("address", "add", f"{v4}/24", "dev", ifname)
    namespace.ip("address", "add", f"{v6}/64", "dev", ifname, "nodad")
    if not namespace.v4:
        namespace.v4, namespace.v6 = v4, v6


def set_gateway(namespace: Namespace, v4: str, v6: str) -> None:
    namespace.ip("route", "add", "default", "via", v4)
    namespace.ip("route", "add", "default", "via", v6)


def set_client_ttl(namespace: Namespace) -> None:
    namespace.sysctl("net.ipv4.ip_default_ttl", CLIENT_TTL)
    namespace.sysctl("net.ipv6.conf.all.hop_limit", CLIENT_TTL)
    namespace.sysctl("net.ipv6.conf.eth0.hop_limit", CLIENT_TTL)


def set_bridge_netfilter_off(namespace: Namespace) -> None:
    """As on a host without a bridge; where br_netfilter is loaded it is on."""
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        with contextlib.suppress(FileNotFoundError):
            namespace.sysctl(f"net.bridge.{name}", 0)


def forward(namespace: Namespace) -> None:
    namespace.sysctl("net.ipv4.ip_forward", 1)
    namespace.sysctl("net.ipv6.conf.all.forwarding", 1)
