# SPDX-License-Identifier: Apache-2.0
"""The world that doc/examples/socks-group.conf speaks of.

    client ── br-lan ─┐                  ┌─ wan0 ─ srv   danted with a user
    198.18.9.10       │                  │               198.51.100.10:1080,
    192.168.1.50      ├─ gw ─────────────┤               squid: proxy.corp.example
                      │                  ├─ wan1 ─ srv2  danted [2001:db8::10]:1080
                      │                  └─ wan3 ─ net   everybody else: servers,
                      │                                  9.9.9.9, 1.1.1.1

Next: test_example.py, which puts waylayd into its middle.
"""

import proxies
from namespace import Namespace
from programs import NameServer
from topology import Lab

DNS, ANOTHER_DNS, CHECKED = "9.9.9.9", "8.8.8.8", "1.1.1.1"
INTRA = "10.20.0.5"
OUTCAST = "192.168.1.50"
AMS = "2001:db8::10"
SQUID_USER = "svc"
ANSWER = ("192.0.2.123", "2001:db8::123")  # of 9.9.9.9, about any NAME


class World:
    """Who is where; the proxies of the group can be stopped and started."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.members: dict[str, proxies.Danted] = {}
        self._ends: list = []
        self.client = lab.add_client_link("br-lan")
        self.client.ip("address", "add", f"{OUTCAST}/24", "dev", "eth0")
        lab.gw.ip("address", "add", "192.168.1.1/24", "dev", "br-lan")
        self.net = lab.add_namespace("net")
        lab.add_link(lab.gw, "wan3", self.net, "198.18.7", "2001:db8:7:")
        for address in (DNS, ANOTHER_DNS, CHECKED, INTRA):
            self._add_address(self.net, f"{address}/32", self.net.v4)
        self._add_address(lab.srv2, f"{AMS}/128", lab.srv2.v6)

    def _add_address(self, host: Namespace, address: str, via: str) -> None:
        host.ip("address", "add", address, "dev", "lo", "nodad")
        self.lab.gw.ip("route", "add", address, "via", via)

    def __enter__(self) -> "World":
        squid = proxies.Squid(self.lab.srv, SQUID_USER)
        self.squid_log = squid.directory / "access.log"
        corp = f"--host-record=proxy.corp.example,{self.lab.srv.v4}"
        dns = NameServer(self.net, *ANSWER, corp)
        checked = self.net.listen("v4", 443, CHECKED)
        self._ends = [squid, dns, checked]
        return self

    def __exit__(self, *_: object) -> None:
        for thing in (*self.members.values(), *self._ends):
            thing.close()

    def start(self, name: str) -> None:
        if name in self.members:
            return
        is_first = name == "fra1"
        host = self.lab.srv if is_first else self.lab.srv2
        self.members[name] = proxies.Danted(host, "alice" if is_first else "")

    def stop(self, name: str) -> None:
        if name in self.members:
            self.members.pop(name).close()

    def exits(self, family: str) -> dict[str, str]:
        """Whom servers see behind each member."""
        lab = self.lab
        return {"fra1": lab.srv.address(family), "ams1": lab.srv2.address(family)}
