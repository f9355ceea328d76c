# SPDX-License-Identifier: Apache-2.0
"""K6: can one UDP socket for each port answer as any address?

    gw: UDP socket on X:4433, unconnected, IP_TRANSPARENT
        sendmsg(to cli, IP_PKTINFO or IPV6_PKTINFO: source = srv)
    cli: receives from srv:4433

Yes, in both families.  The source address is the one of the control message
and the port is the socket's own, whichever X it is bound to: loopback, an
address of the host, another foreign one, or the wildcard.  UDP_SEGMENT in the
same call gives each of the segments the same source.  Without IP_TRANSPARENT
the call fails (IPv4 ENETUNREACH, IPv6 EINVAL), and without the control message
the source is X.
"""

import errno
import socket
import struct
from collections.abc import Iterator

import pytest
from kernel.netfilter import LOOPBACK, transparent_udp

from namespace import Namespace

PORT = 4433
UDP_SEGMENT = 103
PKTINFO = {
    "v4": (socket.IPPROTO_IP, 8),
    "v6": (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
}
WILDCARD = {"v4": "0.0.0.0", "v6": "::"}
REFUSED = {"v4": errno.ENETUNREACH, "v6": errno.EINVAL}
FOREIGN = {"v4": "203.0.113.77", "v6": "2001:db8:3::77"}


def bound_to(host: Namespace, family: str) -> dict[str, str]:
    return {
        "loopback": LOOPBACK[family],
        "host": host.address(family),
        "foreign": FOREIGN[family],
        "wildcard": WILDCARD[family],
    }


def source_message(family: str, address: str) -> tuple:
    if family == "v4":  # interface, source, (destination)
        data = struct.pack("=i4s4x", 0, socket.inet_aton(address))
    else:
        data = struct.pack("=16si", socket.inet_pton(socket.AF_INET6, address), 0)
    return (*PKTINFO[family], data)


def segment_message(size: int) -> tuple:
    return (socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))


@pytest.fixture
def client(lab, family) -> Iterator[socket.socket]:
    with lab.cli.udp(family, 5000) as s:
        yield s


@pytest.fixture(params=["loopback", "host", "foreign", "wildcard"])
def sender(request, lab, family) -> Iterator[socket.socket]:
    address = bound_to(lab.gw, family)[request.param]
    with transparent_udp(lab.gw, family, address, PORT) as s:
        yield s


def test_the_source_is_the_one_of_the_message(lab, family, client, sender):
    for server in (lab.srv, lab.srv2):  # one socket, any number of sources
        source = server.address(family)
        messages = [source_message(family, source)]
        sender.sendmsg([b"answer"], messages, 0, client.getsockname()[:2])
        data, peer = client.recvfrom(100)
        assert (data, peer[:2]) == (b"answer", (source, PORT))


def test_every_segment_has_that_source(lab, family, client, sender):
    source = lab.srv.address(family)
    messages = [source_message(family, source), segment_message(1000)]
    sender.sendmsg([bytes(2500)], messages, 0, client.getsockname()[:2])
    for size in (1000, 1000, 500):
        data, peer = client.recvfrom(4000)
        assert (len(data), peer[:2]) == (size, (source, PORT))


def test_without_the_message_it_is_the_bound_one(lab, family, client):
    with transparent_udp(lab.gw, family, FOREIGN[family], PORT) as sender:
        sender.sendto(b"answer", client.getsockname()[:2])
        assert client.recvfrom(100)[1][:2] == (FOREIGN[family], PORT)


def test_without_the_transparent_flag_it_is_refused(lab, family, client):
    messages = [source_message(family, lab.srv.address(family))]
    with lab.gw.udp(family, PORT) as sender:
        with pytest.raises(OSError) as refusal:
            sender.sendmsg([b"answer"], messages, 0, client.getsockname()[:2])
        assert refusal.value.errno == REFUSED[family]
