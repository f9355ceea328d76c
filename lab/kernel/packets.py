# SPDX-License-Identifier: Apache-2.0
"""Packets made by hand: what no ordinary socket would send.

A packet is bytes from its IP header on; PacketSender sends it as it is.
Ends are (address, port); the family follows from the address.
"""

import socket
import struct

from namespace import Namespace, family_of

TTL = 77  # that of the lab's clients, see topology.py
FLAG_SYN = 2
FRAGMENT_HEADER = 44
FRAGMENT_DATA = 1448  # a multiple of 8 that fits with every header


class PacketSender:
    """Sends whole packets out of a namespace."""

    def __init__(self, host: Namespace, family: str):
        number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
        with host.inside():
            self._socket = socket.socket(number, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def __enter__(self) -> "PacketSender":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, packet: bytes, to: str) -> None:
        assert self._socket.sendto(packet, (to, 0)) == len(packet)


def packed(address: str) -> bytes:
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family_of(address)]
    return socket.inet_pton(number, address)


def checksum(source: str, destination: str, protocol: int, data: bytes) -> int:
    """Of TCP and UDP, over the pseudo header as well."""
    pseudo = packed(source) + packed(destination)
    pseudo += struct.pack("!II", len(data), protocol)
    whole = pseudo + data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def ipv4(source, destination, protocol, data, number=0, fragment=0) -> bytes:
    head = struct.pack(
        *("!BBHHHBBH", 0x45, 0, 20 + len(data), number, fragment),
        *(TTL, protocol, 0),  # the kernel fills in the checksum
    )
    return head + packed(source) + packed(destination) + data


def ipv6(source, destination, protocol, data) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(data), protocol, TTL)
    return head + packed(source) + packed(destination) + data


def packet(source: tuple, destination: tuple, protocol: int, data: bytes) -> bytes:
    make = {"v4": ipv4, "v6": ipv6}[family_of(source[0])]
    return make(source[0], destination[0], protocol, data)


def syn(source: tuple, destination: tuple, sequence: int) -> bytes:
    """Without options."""
    ports = struct.pack("!HH", source[1], destination[1])
    parts = ("!IIBBHHH", sequence, 0, 5 << 4, FLAG_SYN, 65535)
    blank = ports + struct.pack(*parts, 0, 0)
    total = checksum(source[0], destination[0], socket.IPPROTO_TCP, blank)
    segment = ports + struct.pack(*parts, total, 0)
    return packet(source, destination, socket.IPPROTO_TCP, segment)


def datagram(source: tuple, destination: tuple, data: bytes) -> bytes:
    """UDP header and data, for fragments()."""
    head = ("!HHHH", source[1], destination[1], 8 + len(data))
    blank = struct.pack(*head, 0) + data
    total = checksum(source[0], destination[0], socket.IPPROTO_UDP, blank)
    return struct.pack(*head, total) + data


def fragments(source: str, destination: str, number: int, data: bytes) -> list[bytes]:
    """The packets of one UDP datagram, in order."""
    make = {"v4": fragment4, "v6": fragment6}[family_of(source)]
    found = []
    for at in range(0, len(data), FRAGMENT_DATA):
        piece = data[at : at + FRAGMENT_DATA]
        is_last = at + len(piece) == len(data)
        found.append(make(source, destination, number, at, is_last, piece))
    return found


def fragment4(source, destination, number, at, is_last, piece) -> bytes:
    place = at // 8 | (0 if is_last else 0x2000)
    return ipv4(source, destination, socket.IPPROTO_UDP, piece, number, place)


def fragment6(source, destination, number, at, is_last, piece) -> bytes:
    place = at | (0 if is_last else 1)
    head = struct.pack("!BBHI", socket.IPPROTO_UDP, 0, place, number)
    return ipv6(source, destination, FRAGMENT_HEADER, head + piece)
