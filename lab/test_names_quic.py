# SPDX-License-Identifier: Apache-2.0
"""Rules by name: from QUIC.

Network and rules are those of named_rules.py.  The plain gateway lets all pass:
what the server hears is the same.
"""

import socket

import pytest

from hello import initials
from named_rules import CONFIG, FORBIDDEN, expected_source  # noqa: F401
from named_rules import second_address  # noqa: F401


def quic_server(lab, family: str, resources, port: int = 0) -> socket.socket:
    s = resources.enter_context(lab.srv.udp(family))
    s.bind((lab.srv.address(family), port))
    return s


QUIC_CASES = {
    "one-datagram": dict(version=1),
    "version-2": dict(version=2),
    "two-datagrams": dict(pieces=2),
    "R-QUIC-3-two-datagrams-in-the-wrong-order": dict(pieces=2, order=(1, 0)),
    "R-QUIC-3-four-in-any-order": dict(pieces=4, order=(2, 0, 3, 1)),
    "version-2-in-three": dict(version=2, pieces=3, order=(1, 2, 0)),
    "R-QUIC-6-the-fixed-bit-is-0": dict(fixed_bit=0),
    "R-QUIC-6-the-same-in-version-2": dict(version=2, pieces=2, fixed_bit=0),
}


@pytest.mark.parametrize("case", QUIC_CASES)
@pytest.mark.parametrize("name", ["self.example", "other.example"])
def test_a_name_of_quic_chooses_the_rule(lab, gateway, family, resources, case, name):
    server = quic_server(lab, family, resources)
    client = resources.enter_context(lab.cli.udp(family))
    sent = initials(name, **QUIC_CASES[case])
    for datagram in sent:
        client.sendto(datagram, server.getsockname()[:2])
    heard = []
    for _ in sent:
        datagram, peer = server.recvfrom(2000)
        heard.append(datagram)
        assert peer[0] == expected_source(lab, gateway, family, name)
    assert heard == sent  # R-QUIC-4: never split, merged or changed
    server.sendto(b"answer", peer[:2])
    answer, source = client.recvfrom(100)
    assert (answer, source[:2]) == (b"answer", server.getsockname()[:2])
    if gateway.is_waylay:
        assert gateway.daemon.flows()[-1]["name"] == name


def test_quic_is_refused_and_others_are_not(lab, gateway, family, resources):
    """Browsers fall back to TCP at once if ICMP says so (U33)."""
    server = quic_server(lab, family, resources, 8443)
    client = resources.enter_context(lab.cli.udp(family))
    client.connect(server.getsockname()[:2])
    client.send(b"no quic at all")
    assert server.recv(100) == b"no quic at all"
    other = resources.enter_context(lab.cli.udp(family))
    other.connect(server.getsockname()[:2])
    other.send(initials("other.example")[0])
    if not gateway.is_waylay:
        assert len(server.recv(2000)) == 1200
        return
    with pytest.raises(ConnectionRefusedError):
        other.recv(100)
    server.settimeout(0)
    with pytest.raises(BlockingIOError):
        server.recv(100)


def test_R_QUIC_5_an_unknown_version_goes_on(lab, gateway, family, resources):
    server = quic_server(lab, family, resources)
    client = resources.enter_context(lab.cli.udp(family))
    datagram = b"\xc0\x1a\x2a\x3a\x4a\x08" + bytes(1194)
    client.sendto(datagram, server.getsockname()[:2])
    assert server.recv(2000) == datagram


SHORT_HEADER = b"\x41" + b"c" * 8 + bytes(range(60))


def test_R_QUIC_7_a_new_tuple_is_judged_by_the_same_rules(
    lab, gateway, family, resources
):
    """A client that has moved sends no Initial: nothing but addresses and
    ports says what to do with it, and the old tuple's name does not.  Where it
    sends one, as for another connection, the name counts again."""
    server = quic_server(lab, family, resources)
    to = server.getsockname()[:2]
    for name, sent in (
        ("self.example", initials("self.example")[0]),
        ("", SHORT_HEADER),
        ("self.example", initials("self.example")[0]),
    ):
        client = resources.enter_context(lab.cli.udp(family))
        client.sendto(sent, to)
        heard, peer = server.recvfrom(2000)
        assert heard == sent
        assert peer[0] == expected_source(lab, gateway, family, name)
        server.sendto(b"answer", peer[:2])
        assert client.recv(100) == b"answer"


def test_R_QUIC_7_what_is_refused_stays_so_from_another_port(
    lab, gateway, family, resources
):
    server = quic_server(lab, family, resources, 8443)
    for _ in range(2):
        client = resources.enter_context(lab.cli.udp(family))
        client.connect(server.getsockname()[:2])
        client.send(initials("other.example")[0])
        if not gateway.is_waylay:
            assert len(server.recv(2000)) == 1200
            continue
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)


def test_half_a_quic_hello_goes_on_at_the_deadline(lab, gateway, family, resources):
    server = quic_server(lab, family, resources)
    client = resources.enter_context(lab.cli.udp(family))
    first = initials("self.example", pieces=2)[0]
    client.sendto(first, server.getsockname()[:2])
    datagram, peer = server.recvfrom(2000)
    assert datagram == first
    assert peer[0] == lab.cli.address(family)


def test_R_DNS_6_nor_does_a_name_of_quic(lab, gateway, family, resources):
    server = resources.enter_context(lab.srv.udp(family))
    server.bind((FORBIDDEN[family], 0))
    client = resources.enter_context(lab.cli.udp(family))
    client.connect(server.getsockname()[:2])
    datagram = initials("self.example")[0]
    client.send(datagram)
    if not gateway.is_waylay:
        assert server.recv(2000) == datagram
        return
    with pytest.raises(ConnectionRefusedError):
        client.recv(100)
