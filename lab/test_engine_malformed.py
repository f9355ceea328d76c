# SPDX-License-Identifier: Apache-2.0
"""Each engine, and what no honest host sends: land, martians, cut packets.

A client's frames, one by one, each with a port of its own, then a ping as a
fence: nobody answers a SYN, no flow is made, nothing of waylay's own reaches
srv, the daemon and its workers live, and the gateway goes on as before.
"""

import re
import socket
import struct
from collections.abc import Callable

import pytest

from each_engine import gateway, talk_tcp, talk_udp  # noqa: F401
from observers import LeakObserver
from topology import Lab

FIRST_PORT = 6000  # of the client; one for each frame
SERVER_PORT = 8088
ANSWERS = """
table inet answers
delete table inet answers
table inet answers {
    set answered { type inet_service; flags dynamic; size 1024; }
    chain prerouting {
        type filter hook prerouting priority -450;
        tcp sport %d tcp flags & syn == syn add @answered { tcp dport }
    }
}
""" % SERVER_PORT

# Each makes bytes from the IP header on, given the lab and the client's port.
Maker = Callable[[Lab, int], bytes]


def layers():
    from scapy.layers.inet import IP, TCP, UDP, IPOption
    from scapy.layers.inet6 import IPv6

    return IP, IPv6, TCP, UDP, IPOption


def between(source: str = "", destination: str = "") -> Maker:
    """A SYN between these addresses; a missing one is the client's, the server's."""

    def make(lab: Lab, port: int) -> bytes:
        IP, IPv6, TCP, *_ = layers()
        is_v6 = ":" in source + destination
        network = IPv6(hlim=77) if is_v6 else IP(ttl=77)
        family = "v6" if is_v6 else "v4"
        network.src = source or lab.cli.address(family)
        network.dst = destination or lab.srv.address(family)
        return bytes(network / TCP(sport=port, dport=SERVER_PORT))

    return make


def datagram_between(source: str, destination: str) -> Maker:
    def make(lab: Lab, port: int) -> bytes:
        IP, IPv6, _, UDP, _ = layers()
        network = (IPv6 if ":" in destination else IP)(src=source, dst=destination)
        return bytes(network / UDP(sport=port, dport=SERVER_PORT) / b"data")

    return make


def changed(change: Callable[[bytearray], object], family: str = "v4") -> Maker:
    """A good SYN from cli to srv, and then..."""

    def make(lab: Lab, port: int) -> bytes:
        source, to = lab.cli.address(family), lab.srv.address(family)
        packet = bytearray(between(source, to)(lab, port))
        change(packet)
        if family == "v4":
            put_checksum(packet)
        return bytes(packet)

    return make


def put_checksum(packet: bytearray) -> None:
    """Of the IPv4 header, as far as there is one."""
    if len(packet) < 12:
        return
    length = min(max(12, (packet[0] & 15) * 4), len(packet)) & ~1
    packet[10:12] = b"\0\0"
    total = sum(struct.unpack(f"!{length // 2}H", packet[:length]))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    packet[10:12] = struct.pack("!H", ~total & 0xFFFF)


def cut(length: int) -> Callable[[bytearray], object]:
    return lambda packet: packet.__delitem__(slice(length, None))


def set_byte(at: int, value: int) -> Callable[[bytearray], object]:
    return lambda packet: packet.__setitem__(at, value)


def with_options(options: bytes) -> Callable[[bytearray], object]:
    def change(packet: bytearray) -> None:
        packet[20:20] = options
        packet[0] = 0x40 | (20 + len(options)) // 4
        packet[2:4] = struct.pack("!H", len(packet))

    return change


def with_header(number: int, header: bytes) -> Callable[[bytearray], object]:
    """An IPv6 extension header in front of TCP."""

    def change(packet: bytearray) -> None:
        packet[40:40] = header
        packet[6] = number
        packet[4:6] = struct.pack("!H", len(packet) - 40)

    return change


FRAMES: dict[str, Maker] = {
    "land": between("192.0.2.1", "192.0.2.1"),
    "land_v6": between("2001:db8:1::1", "2001:db8:1::1"),
    "source_of_the_gateway": between("198.51.100.1"),
    "source_of_the_gateway_v6": between("2001:db8:2::1"),
    "source_loopback": between("127.0.0.1"),
    "source_loopback_v6": between("::1"),
    "source_zero_net": between("0.1.2.3"),
    "source_multicast": between("224.0.0.1"),
    "source_multicast_v6": between("ff02::1"),
    "source_broadcast": between("255.255.255.255"),
    "source_mapped_v6": between("::ffff:192.0.2.10"),
    "to_loopback": between(destination="127.0.0.1"),
    "to_multicast": datagram_between("192.0.2.10", "224.0.0.251"),
    "to_multicast_v6": datagram_between("2001:db8:1::10", "ff02::fb"),
    "to_broadcast": datagram_between("192.0.2.10", "255.255.255.255"),
    "to_broadcast_of_lan": datagram_between("192.0.2.10", "192.0.2.255"),
    "to_broadcast_of_wan": datagram_between("192.0.2.10", "198.51.100.255"),
    "to_link_local": between(destination="169.254.1.1"),
    "to_link_local_v6": between(destination="fe80::1234"),
    "nothing": changed(cut(0)),
    "one_byte": changed(cut(1)),
    "half_an_ip_header": changed(cut(10)),
    "no_tcp_header": changed(cut(20)),
    "ports_only": changed(cut(24)),
    "half_a_tcp_header": changed(cut(30)),
    "half_an_ip_header_v6": changed(cut(20), "v6"),
    "no_tcp_header_v6": changed(cut(40), "v6"),
    "half_a_tcp_header_v6": changed(cut(50), "v6"),
    "header_of_16_bytes": changed(set_byte(0, 0x44)),
    "header_beyond_the_end": changed(set_byte(0, 0x4F)),
    "version_5": changed(set_byte(0, 0x55)),
    "version_4_as_v6": changed(set_byte(0, 0x45), "v6"),
    "total_length_0": changed(set_byte(3, 0)),
    "total_length_beyond_the_end": changed(set_byte(2, 0x7F)),
    "payload_beyond_the_end_v6": changed(set_byte(4, 0x7F), "v6"),
    "option_of_length_0": changed(with_options(bytes([7, 0, 4, 0]))),
    "option_of_length_1": changed(with_options(bytes([131, 1, 4, 0]))),
    "option_beyond_the_header": changed(with_options(bytes([7, 39, 4, 0]))),
    "extension_beyond_the_end_v6": changed(
        with_header(0, bytes([6, 255, 1, 4, 0, 0, 0, 0])), "v6"
    ),
    "extension_that_names_itself_v6": changed(with_header(0, bytes(8)), "v6"),
    "fragment_beyond_64_kB": changed(lambda p: p.__setitem__(slice(6, 8), b"\x1f\xff")),
}


@pytest.fixture
def outcome(lab, gateway):
    """outcome(packets): client ports that somebody answered or made a flow of."""

    lab.cli.nft(ANSWERS)

    def send(packets: list[bytes]) -> set[int]:
        with wire_of(lab) as wire:
            for packet in packets:
                wire.send(frame(lab, packet))
        ping(lab)
        text = lab.cli.run("nft", "list", "set", "inet", "answers", "answered").stdout
        answered = set(map(int, re.findall(r"\b6\d{3}\b", text)))
        return answered | flow_ports(gateway.daemon)

    yield send
    lab.cli.nft("delete table inet answers")


def flow_ports(daemon) -> set[int]:
    flows = daemon.flows() + daemon.ended() if daemon else []
    return {int(flow["client"].rpartition(":")[2]) for flow in flows}


def wire_of(lab) -> socket.socket:
    with lab.cli.inside():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        wire.bind(("eth0", 0))
    return wire


def frame(lab, packet: bytes) -> bytes:
    macs = (
        host.run("cat", f"/sys/class/net/{ifname}/address").stdout.strip()
        for host, ifname in ((lab.gw, "lan0"), (lab.cli, "eth0"))
    )
    is_v6 = packet[:1] and packet[0] >> 4 == 6
    kind = bytes.fromhex("86dd" if is_v6 else "0800")
    return b"".join(bytes.fromhex(m.replace(":", "")) for m in macs) + kind + packet


def ping(lab) -> None:
    """Never intercepted: all that was sent before it has been handled."""
    for family in ("v4", "v6"):
        lab.cli.run("ping", "-c", "1", "-W", "5", lab.srv.address(family))


def test_no_malformed_packet_is_intercepted(lab, gateway, outcome):
    names = dict(enumerate(FRAMES, FIRST_PORT))
    packets = [FRAMES[name](lab, port) for port, name in names.items()]
    before = gateway.is_waylay and alive(gateway.daemon)
    leaks = LeakObserver(lab.srv)
    taken = outcome(packets)
    assert leaks.own() == 0
    assert [names[port] for port in sorted(taken & names.keys())] == []
    assert (gateway.is_waylay and alive(gateway.daemon)) == before
    for family in ("v4", "v6"):
        talk_tcp(lab.cli, lab.srv, family)
        talk_udp(lab.cli, lab.srv, family)


def alive(daemon) -> list[int]:
    status = daemon.status()
    return [status["pid"], *(worker["pid"] for worker in status["workers"])]


def test_a_good_packet_in_their_midst_is_seen(lab, gateway, outcome):
    """So the test above can fail: the same way of sending, and of looking."""
    with lab.srv.listen("v4", SERVER_PORT), lab.srv.listen("v6", SERVER_PORT):
        good = {6900: lab.cli.v4, 6901: lab.cli.v6}
        packets = [between(source)(lab, port) for port, source in good.items()]
        assert outcome(packets) >= set(good)
