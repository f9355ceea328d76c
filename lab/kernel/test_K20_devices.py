# SPDX-License-Identifier: Apache-2.0
"""K20: does interception work on every kind of device?

    client ── device at gw ── tproxy, iifname = the device ── srv

On bridge, macvlan, vxlan, tap and tun (no link header) as on veth, TCP and
UDP.  The rule must name the device that has the address, not the member of the
bridge nor the device below.  A trap is macvlan over a device that is up in the
same namespace: with arp_ignore=0 both answer ARP for the address, and if the
lower one is faster the client's IPv4 arrives there, past a rule that names the
macvlan.  VLAN is tested where the kernel has it; wireguard and ppp are not,
tun stands for the devices without link header.  IPv6 as IPv4.

Next: test_K20_packets.py.
"""

import contextlib
import fcntl
import itertools
import json
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from endings import assert_alive
from kernel.sockets import (
    accept,
    assert_datagram_is_relayed,
    datagram_listener,
    interception,
    leg,
    listener,
)
from namespace import Namespace
from topology import Lab, set_addresses, set_gateway, veth

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x1, 0x2, 0x1000
MTU_MAX = 65535
SERVER_PORT = 5000


@dataclass
class Device:
    """A client's way into the gateway; `other` must not be named in rules."""

    client: Namespace
    ifname: str
    other: str


# --- devices: at the gateway, another there, and the client's own

Names = tuple[str, str, str]


def make_veth(lab: Lab, client: Namespace, _: ExitStack) -> Names:
    veth(lab.gw, "k0", client, "eth0")
    return "k0", "lan0", "eth0"


def make_bridge(lab: Lab, client: Namespace, _: ExitStack) -> Names:
    veth(lab.gw, "k1", client, "eth0")
    lab.gw.ip("link", "add", "kbr", "type", "bridge", "mcast_snooping", "0")
    lab.gw.ip("link", "set", "k1", "master", "kbr", "up")
    return "kbr", "k1", "eth0"


def make_macvlan(lab: Lab, client: Namespace, _: ExitStack) -> Names:
    veth(lab.gw, "k2", client, "eth0")
    lab.gw.ip("link", "set", "k2", "up")
    lab.gw.sysctl("net.ipv4.conf.k2.arp_ignore", 1)
    add(lab.gw, "kmac", "link", "k2", "type", "macvlan", "mode", "bridge")
    return "kmac", "k2", "eth0"


def make_vlan(lab: Lab, client: Namespace, _: ExitStack) -> Names:
    veth(lab.gw, "k3", client, "eth0")
    for namespace, lower in ((lab.gw, "k3"), (client, "eth0")):
        namespace.ip("link", "set", lower, "up")
        add(namespace, "kvlan", "link", lower, "type", "vlan", "id", "5")
    return "kvlan", "k3", "kvlan"


def make_vxlan(lab: Lab, client: Namespace, _: ExitStack) -> Names:
    veth(lab.gw, "k4", client, "eth0")
    ends = ((lab.gw, "k4", "198.18.8.1"), (client, "eth0", "198.18.8.10"))
    for (namespace, lower, local), (_, _, remote) in zip(ends, reversed(ends)):
        namespace.ip("link", "set", lower, "up")
        namespace.ip("address", "add", f"{local}/24", "dev", lower)
        add(
            *(namespace, "kvx", "type", "vxlan", "id", "5", "dstport", "4789"),
            *("local", local, "remote", remote, "dev", lower),
        )
    return "kvx", "k4", "kvx"


def make_tun(lab: Lab, client: Namespace, stack: ExitStack) -> Names:
    return make_pumped(lab, client, "ktun", IFF_TUN, stack)


def make_tap(lab: Lab, client: Namespace, stack: ExitStack) -> Names:
    return make_pumped(lab, client, "ktap", IFF_TAP, stack)


def make_pumped(
    lab: Lab, client: Namespace, ifname: str, kind: int, stack: ExitStack
) -> Names:
    ends = [open_tun(namespace, ifname, kind) for namespace in (lab.gw, client)]
    for fd in ends:
        stack.callback(os.close, fd)
    stack.enter_context(pumping(*ends))
    return ifname, "lan0", ifname


def add(namespace: Namespace, ifname: str, *words: str) -> None:
    done = namespace.run("ip", "link", "add", ifname, *words, check=False)
    if "Unknown device type" in done.stderr:
        pytest.skip(f"this kernel has no {words[words.index('type') + 1]}")
    assert done.returncode == 0, done.stderr


def open_tun(namespace: Namespace, ifname: str, kind: int) -> int:
    request = struct.pack("16sH22x", ifname.encode(), kind | IFF_NO_PI)
    with namespace.inside():
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as problem:
            pytest.skip(f"no /dev/net/tun: {problem.strerror}")
        fcntl.ioctl(fd, TUNSETIFF, request)
    return fd


@contextlib.contextmanager
def pumping(a: int, b: int) -> Iterator[None]:
    """Packets are carried between two tuns."""
    stop_read, stop_write = os.pipe()

    def carry() -> None:
        while True:
            ready = select.select([a, b, stop_read], [], [])[0]
            if stop_read in ready:
                return
            for fd in ready:
                packet = os.read(fd, MTU_MAX)
                with contextlib.suppress(OSError):  # the other is not up yet
                    os.write(b if fd == a else a, packet)

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        os.close(stop_write)  # makes the other end readable
        thread.join()
        os.close(stop_read)


MAKERS: dict[str, Callable[[Lab, Namespace, ExitStack], Names]] = {
    "veth": make_veth,
    "bridge": make_bridge,
    "macvlan": make_macvlan,
    "vlan": make_vlan,
    "vxlan": make_vxlan,
    "tap": make_tap,
    "tun": make_tun,
}
nets = itertools.count(20)


@pytest.fixture(scope="module", params=MAKERS)
def device(request, lab) -> Iterator[Device]:
    client = lab.add_namespace(f"c-{request.param}")
    stack = ExitStack()
    ifname, other, at_client = MAKERS[request.param](lab, client, stack)
    net = next(nets)
    for namespace, name, host in ((lab.gw, ifname, 1), (client, at_client, 10)):
        namespace.ip("link", "set", name, "up")
        v4, v6 = f"198.18.{net}.{host}", f"2001:db8:{net}::{host}"
        set_addresses(namespace, name, v4, v6)
    set_gateway(client, f"198.18.{net}.1", f"2001:db8:{net}::1")
    with stack:
        yield Device(client, ifname, other)


def test_tcp_on_device(lab, device, family, resources):
    keep = resources.enter_context
    keep(interception(lab.gw, device.ifname))
    to_server = keep(lab.srv.listen(family, 80))
    intercepting = keep(listener(lab.gw, family))
    client = keep(device.client.connect(to_server.getsockname()))
    one = keep(accept(intercepting))
    assert one.getsockname()[:2] == (lab.srv.address(family), 80)
    assert one.getpeername()[:2] == client.getsockname()[:2]
    two = keep(leg(lab.gw, one.getpeername(), one.getsockname()))
    server = keep(accept(to_server))
    assert server.getpeername()[:2] == client.getsockname()[:2]
    assert_alive(client, one)
    assert_alive(two, server)


def test_udp_on_device(lab, device, family, resources):
    keep = resources.enter_context
    keep(interception(lab.gw, device.ifname))
    server = keep(lab.srv.udp(family, SERVER_PORT))
    at_gateway = keep(datagram_listener(lab.gw, family))
    client = keep(device.client.new_socket(family, socket.SOCK_DGRAM))
    client.bind((device.client.address(family), 20000))
    assert_datagram_is_relayed(lab.gw, client, at_gateway, server)


def test_the_other_device_is_not_the_one(lab, device, family, resources):
    keep = resources.enter_context
    keep(interception(lab.gw, device.other))
    to_server = keep(lab.srv.listen(family, 80))
    keep(listener(lab.gw, family))
    client = keep(device.client.connect(to_server.getsockname()))
    assert_alive(client, keep(accept(to_server)))


def test_macvlan_trap(lab, resources):
    """A client that has learned the lower device's MAC is not intercepted."""
    client = lab.add_namespace("trapped")
    resources.callback(client.close)
    veth(lab.gw, "k9", client, "eth0")
    lab.gw.ip("link", "set", "k9", "up")
    add(lab.gw, "kmac9", "link", "k9", "type", "macvlan", "mode", "bridge")
    for namespace, name, host in ((lab.gw, "kmac9", 1), (client, "eth0", 10)):
        namespace.ip("link", "set", name, "up")
        set_addresses(namespace, name, f"198.18.9.{host}", f"2001:db8:9::{host}")
    set_gateway(client, "198.18.9.1", "2001:db8:9::1")
    resources.enter_context(interception(lab.gw, "kmac9"))
    intercepting = resources.enter_context(listener(lab.gw, "v4"))
    to_server = resources.enter_context(lab.srv.listen("v4", 80))
    for ifname, arrives_at in (("kmac9", intercepting), ("k9", to_server)):
        mac = mac_of(lab.gw, ifname)
        client.ip("neigh", "replace", "198.18.9.1", "lladdr", mac, "dev", "eth0")
        s = resources.enter_context(client.connect(to_server.getsockname()))
        assert_alive(s, resources.enter_context(accept(arrives_at)))


def mac_of(namespace: Namespace, ifname: str) -> str:
    return json.loads(namespace.ip("-j", "link", "show", ifname))[0]["address"]
