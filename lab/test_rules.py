# SPDX-License-Identifier: Apache-2.0
"""Upstreams as the client and the server meet them: direct, refused, told.

The module's gateway decides by destination port; a plain gateway has no
rules, so each scenario says what is different there.
"""

import socket
import struct

import pytest

import waylay
from endings import assert_stream_arrives, connection_outcome
from namespace import endpoint, family_of

CONFIG = waylay.config().replace(
    "rules {",
    """
upstream elsewhere { via direct; to 203.0.113.10:8000 }
upstream told_v1   { via proxy-protocol-v1 198.51.100.10:8101 }
upstream told_v2   { via proxy-protocol-v2 [2001:db8:2::10]:8102 }

list servers { net 203.0.113.0/24, 2001:db8:3::/64 }

rules {
    port 7101             -> reject
    port 7102             -> drop
    tcp port 7103         -> elsewhere
    port 7104             -> told_v1
    port 7105             -> told_v2
    list servers port 7106 -> reject
    src 192.0.2.11, 2001:db8:1::11 port 7107 -> reject
""",
)
SIGNATURE_V2 = b"\r\n\r\n\0\r\nQUIT\n"


def outcome(client, to: str, port: int, patience_s: float = 1) -> str:
    def connect() -> socket.socket:
        s = client.new_socket(family_of(to), socket.SOCK_STREAM)
        s.settimeout(patience_s)
        s.connect((to, port))
        return s

    return connection_outcome(connect)


# --- reject and drop ----------------------------------------------------------


def test_reject_refuses_before_the_handshake_ends(lab, gateway, family, resources):
    resources.enter_context(lab.srv.listen(family, 7101))
    expected = "ECONNREFUSED" if gateway.is_waylay else "timeout"  # accepted, silent
    assert outcome(lab.cli, lab.srv.address(family), 7101) == expected


def test_reject_of_a_datagram_is_an_icmp_error(lab, gateway, family, resources):
    """As the plain gateway shows it for a closed port at the server."""
    if gateway.is_waylay:
        resources.enter_context(lab.srv.udp(family, 7101))
    client = resources.enter_context(lab.cli.udp(family))
    client.connect((lab.srv.address(family), 7101))
    with pytest.raises(ConnectionRefusedError):
        client.send(b"question")
        client.recv(10)


def test_drop_is_silence(lab, gateway, family, leaks, resources):
    resources.enter_context(lab.srv.listen(family, 7102))
    assert outcome(lab.cli, lab.srv.address(family), 7102, 0.5) == "timeout"
    assert bool(leaks.forwarded()) != gateway.is_waylay


@pytest.mark.parametrize("server, is_refused", [("srv", False), ("srv2", True)])
def test_a_list_selects_by_destination(
    lab, gateway, family, resources, server, is_refused
):
    server = getattr(lab, server)
    resources.enter_context(server.listen(family, 7106))
    refused = outcome(lab.cli, server.address(family), 7106, 0.3) == "ECONNREFUSED"
    assert refused == (is_refused and gateway.is_waylay)


@pytest.mark.parametrize("client, is_refused", [("cli", False), ("cli2", True)])
def test_a_source_selects_as_well(lab, gateway, family, resources, client, is_refused):
    resources.enter_context(lab.srv.listen(family, 7107))
    client = getattr(lab, client)
    refused = outcome(client, lab.srv.address(family), 7107, 0.3) == "ECONNREFUSED"
    assert refused == (is_refused and gateway.is_waylay)


# --- another server -----------------------------------------------------------


def test_to_leads_to_another_server(lab, gateway, resources):
    """The client does not notice; the other server sees the client."""
    server, port = (lab.srv2, 8000) if gateway.is_waylay else (lab.srv, 7103)
    listener = resources.enter_context(server.listen("v4", port))
    client = resources.enter_context(lab.cli.connect((lab.srv.v4, 7103)))
    accepted, peer = listener.accept()
    resources.enter_context(accepted)
    assert peer == client.getsockname()
    assert client.getpeername() == (lab.srv.v4, 7103)
    assert_stream_arrives(client, accepted, 10_000)


# --- PROXY protocol (waylay only: nobody else writes it) ----------------------


waylay_only = pytest.mark.parametrize("gateway", ["waylay"], indirect=True)


def read_exactly(s: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = s.recv(count - len(data))
        assert piece, f"ended after {data!r}"
        data += piece
    return data


def proxied(lab, family: str, port: int, listener) -> tuple[socket.socket, ...]:
    client = lab.cli.connect((lab.srv.address(family), port))
    server, peer = listener.accept()
    server.settimeout(5)
    assert peer[0] in ("198.51.100.1", "2001:db8:2::1")  # default: source self
    return client, server


@waylay_only
def test_R_PP_1_version_1_is_one_exact_line(lab, gateway, family, resources):
    listener = resources.enter_context(lab.srv.listen("v4", 8101))
    client, server = map(resources.enter_context, proxied(lab, family, 7104, listener))
    kind = "TCP4" if family == "v4" else "TCP6"
    addresses = f"{lab.cli.address(family)} {lab.srv.address(family)}"
    line = f"PROXY {kind} {addresses} {client.getsockname()[1]} 7104\r\n".encode()
    assert read_exactly(server, len(line)) == line  # before the client says a word
    assert_stream_arrives(client, server, 10_000)
    assert_stream_arrives(server, client, 10_000)


@waylay_only
def test_R_PP_4_version_2_carries_both_addresses(lab, gateway, family, resources):
    listener = resources.enter_context(lab.srv.listen("v6", 8102))
    client, server = map(resources.enter_context, proxied(lab, family, 7105, listener))
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    addresses = b"".join(
        socket.inet_pton(number, a.address(family)) for a in (lab.cli, lab.srv)
    )
    body = addresses + struct.pack("!HH", client.getsockname()[1], 7105)
    kind = 0x11 if family == "v4" else 0x21
    head = SIGNATURE_V2 + struct.pack("!BBH", 0x21, kind, len(body))
    assert read_exactly(server, len(head + body)) == head + body
    assert_stream_arrives(client, server, 10_000)
    assert_stream_arrives(server, client, 10_000)
    record = gateway.daemon.wait_ended(client=endpoint(*client.getsockname()[:2]))
    assert record["upstream"] == "told_v2"
