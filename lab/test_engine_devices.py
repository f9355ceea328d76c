# SPDX-License-Identifier: Apache-2.0
"""Each engine on tunnels, bridges and late interfaces, and strict sysctls.

    client ── port9 ─ br9 ─┐
              a test ─ tun9 ├─ gw ─ wan0 ─ srv
    client ─────────── lan9 ┘

tun9 has no link header; br9 is a bridge of the gateway's own, whose ports are
never asked; lan9 appears while the daemon runs.  All of them are named in the
configuration, and none is there when the daemon starts.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator

import pytest

import waylay
from each_engine import (
    FAMILIES,
    assert_relayed,
    engine_of,
    gateway,  # noqa: F401
    talk_tcp,
)
from endings import assert_alive
from namespace import Namespace
from topology import set_addresses, set_client_ttl, set_gateway, veth
from wait import wait_for

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
CALLS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
STRICT = {
    "net.ipv4.conf.all.src_valid_mark": 1,
    "net.ipv4.conf.all.rp_filter": 1,
    "net.ipv4.conf.lan0.rp_filter": 1,
    "net.ipv4.conf.wan0.rp_filter": 1,
}


def config(engine: str) -> str:
    names = "lan0, lan9, tun9, br9"
    return waylay.config(engine=engine).replace("lan0", names)


def is_present(daemon: waylay.Daemon, ifname: str) -> bool:
    (intercept,) = daemon.status()["intercepts"]
    return any(i["name"] == ifname and i["is_present"] for i in intercept["interfaces"])


def wait_present(gateway, ifname: str) -> None:
    if gateway.is_waylay:
        what = f"{ifname} in status"
        wait_for(what, lambda: is_present(gateway.daemon, ifname), deadline_s=1)


def assert_as_expected(lab, gateway, client: Namespace, family: str) -> None:
    if gateway.is_waylay:
        assert_relayed(lab, client, family)
    else:
        talk_tcp(client, lab.srv, family)


# --- sysctls --------------------------------------------------------------------


def test_K04_strict_validation_does_not_matter(lab, gateway, family):
    with lab.gw.sysctls(STRICT):
        assert_as_expected(lab, gateway, lab.cli, family)


# --- late interfaces and addresses ----------------------------------------------


def test_F20_an_interface_that_appears_later_is_intercepted(lab, gateway):
    client = lab.add_client_link("lan9")
    try:
        wait_present(gateway, "lan9")
        for family in FAMILIES:
            assert_as_expected(lab, gateway, client, family)
    finally:
        lab.gw.ip("link", "del", "lan9")
        client.close()


LATE = {"v4": ("198.51.100.77", "32"), "v6": ("2001:db8:2::77", "128")}


def test_an_address_added_later_is_the_gateways_own(lab, gateway, family, resources):
    """What waylay knows of addresses follows within a second."""
    address, length = LATE[family]
    words = (f"{address}/{length}", "dev", "wan0")
    lab.gw.ip("address", "add", *words, *(("nodad",) if family == "v6" else ()))
    resources.callback(lab.gw.ip, "address", "del", *words)
    listener = resources.enter_context(lab.gw.listen(family, 22, address))
    listener.setblocking(False)

    def arrives() -> bool:
        with contextlib.suppress(OSError), lab.cli.connect((address, 22)) as client:
            with contextlib.suppress(BlockingIOError):
                service, peer = listener.accept()
                with service:
                    service.settimeout(5)
                    assert peer[:2] == client.getsockname()[:2]
                    assert_alive(client, service)
                return True
        return False

    wait_for("a connection to the new address", arrives, deadline_s=1)


# --- bridges --------------------------------------------------------------------


@pytest.fixture
def bridge(lab, gateway) -> Iterator[str]:
    lab.gw.ip("link", "add", "br9", "type", "bridge", "mcast_snooping", "0")
    lab.gw.ip("link", "set", "br9", "up")
    set_addresses(lab.gw, "br9", "198.18.9.1", "2001:db8:9::1")
    wait_present(gateway, "br9")
    yield "br9"
    lab.gw.ip("link", "del", "br9")


@pytest.fixture
def behind(lab, bridge) -> Iterator[Namespace]:
    """Its port is enslaved after the bridge, and after it was up alone."""
    client = lab.add_namespace("behind")
    veth(lab.gw, "port9", client, "eth0")
    lab.gw.ip("link", "set", "port9", "up")
    lab.gw.ip("link", "set", "port9", "master", bridge)
    client.ip("link", "set", "eth0", "up")
    set_addresses(client, "eth0", "198.18.9.10", "2001:db8:9::10")
    set_gateway(client, "198.18.9.1", "2001:db8:9::1")
    set_client_ttl(client)
    yield client
    lab.gw.ip("link", "del", "port9")
    client.close()


def test_K20_a_bridge_is_intercepted_and_not_its_port(lab, gateway, behind):
    for family in FAMILIES:
        assert_as_expected(lab, gateway, behind, family)


def test_K05_bridge_netfilter_harms_only_netfilter(lab, gateway, behind):
    """With the other engines waylay says that it cannot work."""
    values = {name: 1 for name in CALLS}
    try:
        before = {name: lab.gw.sysctl(name, 1) for name in values}
    except FileNotFoundError:
        pytest.skip("this kernel has no br_netfilter")
    try:
        if engine_of(gateway) in ("nft", "iptables"):
            problems = "\n".join(gateway.daemon.status()["problems"])
            assert all(name in problems for name in CALLS)
            return
        for family in FAMILIES:
            assert_as_expected(lab, gateway, behind, family)
        if gateway.is_waylay:
            assert gateway.daemon.status()["problems"] == []
    finally:
        for name, value in before.items():
            lab.gw.sysctl(name, value)


# --- no link header -------------------------------------------------------------


@pytest.fixture
def tunnel(lab, gateway) -> Iterator[int]:
    """Whoever reads and writes the descriptor is 198.18.8.10 behind tun9."""
    request = struct.pack("16sH22x", b"tun9", IFF_TUN | IFF_NO_PI)
    with lab.gw.inside():
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as problem:
            pytest.skip(f"no /dev/net/tun: {problem.strerror}")
        fcntl.ioctl(fd, TUNSETIFF, request)
    set_addresses(lab.gw, "tun9", "198.18.8.1", "2001:db8:8::1")
    lab.gw.ip("link", "set", "tun9", "up")
    wait_present(gateway, "tun9")
    yield fd
    os.close(fd)


BEHIND_TUNNEL = {"v4": "198.18.8.10", "v6": "2001:db8:8::10"}


def test_K20_a_tunnel_without_link_header_is_intercepted(
    lab, gateway, family, tunnel, resources, leaks
):
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6

    server = resources.enter_context(lab.srv.udp(family, 80))
    resources.enter_context(lab.srv.listen(family, 80))
    make = {"v4": IP, "v6": IPv6}[family]
    network = make(src=BEHIND_TUNNEL[family], dst=lab.srv.address(family))
    os.write(tunnel, bytes(network / UDP(sport=5000, dport=80) / b"question"))
    data, peer = server.recvfrom(100)
    assert (data, peer[:2]) == (b"question", (BEHIND_TUNNEL[family], 5000))
    server.sendto(b"answer", peer)
    answer = next_packet(tunnel, make, UDP)
    assert (answer[UDP].dport, bytes(answer[UDP].payload)) == (5000, b"answer")
    os.write(tunnel, bytes(network / TCP(sport=5001, dport=80, flags="S")))
    answer = next_packet(tunnel, make, TCP)
    assert (answer[TCP].dport, str(answer[TCP].flags)) == (5001, "SA")
    assert answer.src == lab.srv.address(family)
    assert (leaks.own() > 0, leaks.forwarded()) == (gateway.is_waylay, 0)


def next_packet(tunnel: int, make, layer):
    """The next one with this layer; the kernel sends others of its own."""

    def read():
        with contextlib.suppress(BlockingIOError):
            packet = make(os.read(tunnel, 1 << 16))
            return packet if layer in packet else None

    return wait_for("an answer by the tunnel", read)
