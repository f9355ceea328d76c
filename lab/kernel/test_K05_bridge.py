# SPDX-License-Identifier: Apache-2.0
"""K5: what does br_netfilter do to interception behind a bridge?

    cli ── port0 ─ br0 ─ gw      TPROXY, or a BPF program at TC, on br0

With bridge-nf-call-iptables=1, or the bridge's own nf_call_iptables=1, TPROXY
fails with nft and with both iptables.  PREROUTING runs while the frame is
still bridged; the mark stays and brings the packet to the host, the listener
is lost on the way, PREROUTING does not run again.  Only a socket found by the
packet's own tuple gets it: a wildcard listener on that port, or a connection
from before.  Else IPv6 answers RST, and IPv4 nothing at all: it has no route
for an RST with a foreign source.  BPF at TC on br0 works with either setting.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel.netfilter import (
    ENGINES,
    PLAIN_RULE,
    assert_intercepted,
    compiled,
    counters,
    has_connection,
    intercepted_by,
    is_connected,
    routed_by,
    ruleset,
    start_connect,
    transparent_listener,
)

from endings import assert_alive
from namespace import Namespace
from topology import Lab, forward, set_addresses, set_gateway, veth
from wait import wait_for

PROGRAM = Path(__file__).with_suffix(".bpf.c")
SERVER = {"v4": ("198.51.100.10", 80), "v6": ("2001:db8:2::10", 80)}
WILDCARD = {"v4": "0.0.0.0", "v6": "::"}
CALLS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")

SEEN = """
    counter prerouting { }
    counter input { }
    chain prerouting {
        type filter hook prerouting priority -450;
        tcp flags & (syn | ack) == syn counter name prerouting
    }
    chain input {
        type filter hook input priority 0;
        meta mark & 0x300 == 0x100 tcp flags & (syn | ack) == syn counter name input
    }"""


class BridgeGateway:
    """A gateway with a bridge of its own, and a client behind it."""

    def __init__(self, lab: Lab):
        self.gw = lab.add_namespace("brgw")
        self.cli = lab.add_namespace("brcli")
        self.gw.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.gw.ip("link", "set", "br0", "up")
        veth(self.gw, "port0", self.cli, "eth0")
        self.gw.ip("link", "set", "port0", "master", "br0", "up")
        self.cli.ip("link", "set", "eth0", "up")
        set_addresses(self.gw, "br0", "192.0.2.1", "2001:db8:1::1")
        set_addresses(self.cli, "eth0", "192.0.2.10", "2001:db8:1::10")
        set_gateway(self.cli, "192.0.2.1", "2001:db8:1::1")
        forward(self.gw)
        try:
            self.gw.sysctl(CALLS[0])
        except FileNotFoundError:
            pytest.skip("this kernel has no br_netfilter")

    @contextlib.contextmanager
    def calling(self, where: str) -> Iterator[None]:
        """Bridged packets go through iptables: nowhere, everywhere, on br0."""
        own = "1" if where == "bridge" else "0"
        self._set_own(own)
        with self.gw.sysctls(dict.fromkeys(CALLS, int(where == "global"))):
            yield
        self._set_own("0")

    def _set_own(self, value: str) -> None:
        words = ("nf_call_iptables", value, "nf_call_ip6tables", value)
        self.gw.ip("link", "set", "br0", "type", "bridge", *words)


@pytest.fixture(scope="module")
def host(lab) -> Iterator[BridgeGateway]:
    host = BridgeGateway(lab)
    with routed_by(host.gw, *PLAIN_RULE):
        yield host


@pytest.fixture
def listener(host, family):
    with transparent_listener(host.gw, family) as listener:
        yield listener


def assert_lost(host, listener, family: str) -> None:
    """The marked SYN comes to the host, once, and meets no socket."""
    with ruleset(host.gw, "seen", SEEN):
        client = start_connect(host.cli, SERVER[family])
        with client:
            wait_for("the SYN", lambda: counters(host.gw)["input"] == 1)
            if family == "v6":
                with pytest.raises(ConnectionRefusedError):
                    wait_for("RST", lambda: is_connected(client))
            assert counters(host.gw)["prerouting"] == 1
            assert family == "v6" or not is_connected(client)
            assert not has_connection(listener)


@pytest.mark.parametrize("engine", ENGINES)
def test_tproxy_works_without_br_netfilter(host, family, listener, engine):
    with host.calling("nowhere"), intercepted_by(engine, host.gw, "br0"):
        assert_intercepted(host.cli, listener, SERVER[family])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("where", ["global", "bridge"])
def test_tproxy_fails_with_br_netfilter(host, family, listener, engine, where):
    with host.calling(where), intercepted_by(engine, host.gw, "br0"):
        assert_lost(host, listener, family)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wildcard_listener_on_that_port_gets_it(host, family, listener, engine):
    """The mark survived, so only the lost socket is to blame."""
    with (
        host.calling("global"),
        intercepted_by(engine, host.gw, "br0"),
        transparent_listener(host.gw, family, WILDCARD[family], 80) as other,
    ):
        assert_intercepted(host.cli, other, SERVER[family])


def test_a_running_connection_goes_on(host, family, listener):
    with host.calling("nowhere"), intercepted_by("nft", host.gw, "br0"):
        with host.cli.connect(SERVER[family]) as client:
            server = listener.accept()[0]
            server.settimeout(5)
            with server, host.calling("global"):
                assert_alive(client, server)


# --- TC -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> str:
    return compiled(PROGRAM, tmp_path_factory.mktemp("bpf"))


@contextlib.contextmanager
def intercepted_at_tc(host: Namespace, ifname: str, program: str) -> Iterator[None]:
    host.run("tc", "qdisc", "add", "dev", ifname, "clsact")
    try:
        words = ("bpf", "direct-action", "object-file", program, "section", "tc")
        host.run("tc", "filter", "add", "dev", ifname, "ingress", *words)
        yield
    finally:
        host.run("tc", "qdisc", "del", "dev", ifname, "clsact")


@pytest.mark.parametrize("where", ["nowhere", "global", "bridge"])
def test_tc_on_the_bridge_works(host, family, listener, program, where):
    with host.calling(where), intercepted_at_tc(host.gw, "br0", program):
        assert_intercepted(host.cli, listener, SERVER[family])


def test_without_the_program_nothing_is_intercepted(host, family, listener):
    with start_connect(host.cli, SERVER[family]) as client:
        with pytest.raises(OSError, match="connect"):
            wait_for("an ICMP error", lambda: is_connected(client))
        assert not has_connection(listener)
