# SPDX-License-Identifier: Apache-2.0
"""K22: do MPTCP and Fast Open clients get through a plain listener?

    cli (MPTCP, or data in the SYN) ── gw: plain TCP listener ── srv

Yes, both fall back within the same handshake.  An MPTCP client offers
MP_CAPABLE in its SYN; a plain listener does not answer that, and the
connection is TCP at both ends (no MPTCP_INFO).  A Fast Open client
that has the server's cookie sends its first data in the SYN; the listener
acknowledges the SYN alone, the client repeats the data after the handshake,
and it arrives exactly once.  The client keeps the cookie, and uses it again
when nobody intercepts.  So the listener needs neither; what goes unseen is
that the server speaks them.  IPv6 as IPv4.
"""

import errno
import socket

import pytest

from endings import assert_alive, assert_stream_arrives
from kernel.sockets import accept, interception, leg, listener, packets, table
from namespace import Namespace

IPPROTO_MPTCP, SOL_MPTCP, MPTCP_INFO = 262, 284, 1
NOT_MPTCP = (errno.EOPNOTSUPP, errno.ENOPROTOOPT)  # fallen back, or plain TCP
TCP_FASTOPEN, MSG_FASTOPEN = 23, 0x20000000
TCPI_OPTIONS_AT, TCPI_OPT_SYN_DATA = 5, 0x20
TCP_FASTOPEN_CLIENT_AND_SERVER = 3
FIRST = b"f" * 500  # longer than all headers of a SYN
COUNT = 1 << 20

SEEN = """
    counter mptcp { }
    counter syn_data { }
    chain prerouting {
        type filter hook prerouting priority raw;
        iifname "lan0" tcp flags & (syn | ack) == syn jump look
    }
    chain look {
        tcp option mptcp exists counter name mptcp
        meta length > 300 counter name syn_data
    }
"""


@pytest.fixture
def intercepting(lab, family, resources):
    resources.enter_context(table(lab.gw, "seen", SEEN))
    resources.enter_context(interception(lab.gw))
    return resources.enter_context(listener(lab.gw, family))


# --- MPTCP --------------------------------------------------------------------


def mptcp_socket(host: Namespace, family: str) -> socket.socket:
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    with host.inside():
        try:
            s = socket.socket(number, socket.SOCK_STREAM, IPPROTO_MPTCP)
        except OSError as problem:
            pytest.skip(f"this kernel has no MPTCP: {problem.strerror}")
    s.settimeout(5)
    return s


def is_mptcp(s: socket.socket) -> bool:
    try:
        s.getsockopt(SOL_MPTCP, MPTCP_INFO, 64)
    except OSError as problem:
        assert problem.errno in NOT_MPTCP
        return False
    return True


@pytest.fixture
def to_mptcp_server(lab, family, resources):
    s = resources.enter_context(mptcp_socket(lab.srv, family))
    s.bind((lab.srv.address(family), 0))
    s.listen()
    return s


@pytest.fixture
def mptcp_client(lab, family, resources):
    return resources.enter_context(mptcp_socket(lab.cli, family))


def test_without_interception_it_is_mptcp(to_mptcp_server, mptcp_client, resources):
    mptcp_client.connect(to_mptcp_server.getsockname())
    server = resources.enter_context(accept(to_mptcp_server))
    assert is_mptcp(mptcp_client) and is_mptcp(server)
    assert_alive(mptcp_client, server)


def test_mptcp_client_falls_back(
    lab, to_mptcp_server, mptcp_client, intercepting, resources
):
    mptcp_client.connect(to_mptcp_server.getsockname())
    one = resources.enter_context(accept(intercepting))
    two = resources.enter_context(leg(lab.gw, one.getpeername(), one.getsockname()))
    server = resources.enter_context(accept(to_mptcp_server))
    assert packets(lab.gw, "seen", "mptcp") == 1
    assert not is_mptcp(mptcp_client) and not is_mptcp(server)
    assert_alive(mptcp_client, one)
    assert_alive(two, server)
    assert_stream_arrives(mptcp_client, one, COUNT)
    assert_stream_arrives(one, mptcp_client, COUNT)


# --- Fast Open ----------------------------------------------------------------


@pytest.fixture
def to_fast_server(lab, family, resources):
    both = {"net.ipv4.tcp_fastopen": TCP_FASTOPEN_CLIENT_AND_SERVER}
    resources.enter_context(lab.srv.sysctls(both))
    resources.enter_context(lab.cli.sysctls(both))
    s = resources.enter_context(lab.srv.new_socket(family, socket.SOCK_STREAM))
    s.bind((lab.srv.address(family), 0))
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
    s.listen()
    return s


def send_first(lab, family, resources, to) -> socket.socket:
    """A connection whose first data is in the SYN, once there is a cookie."""
    s = resources.enter_context(lab.cli.new_socket(family, socket.SOCK_STREAM))
    timeout = s.gettimeout()
    s.setblocking(True)
    assert s.sendto(FIRST, MSG_FASTOPEN, to) == len(FIRST)
    s.settimeout(timeout)
    return s


def had_syn_data(s: socket.socket) -> bool:
    """And it was accepted: TCP_INFO of either end."""
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
    return bool(info[TCPI_OPTIONS_AT] & TCPI_OPT_SYN_DATA)


def accept_first(
    lab, family, resources, from_listener, to
) -> tuple[socket.socket, socket.socket]:
    client = send_first(lab, family, resources, to)
    accepted = resources.enter_context(accept(from_listener))
    assert accepted.recv(len(FIRST), socket.MSG_WAITALL) == FIRST
    assert_alive(client, accepted)
    return client, accepted


def test_without_interception_the_cookie_is_used(
    lab, family, to_fast_server, resources
):
    to = to_fast_server.getsockname()[:2]
    for is_known in (False, True):
        ends = accept_first(lab, family, resources, to_fast_server, to)
        assert [had_syn_data(s) for s in ends] == [is_known, is_known]


def test_data_in_the_syn_arrives_once(
    lab, family, to_fast_server, resources
):
    to = to_fast_server.getsockname()[:2]
    accept_first(lab, family, resources, to_fast_server, to)
    with interception(lab.gw), table(lab.gw, "seen", SEEN):
        with listener(lab.gw, family) as intercepting:
            ends = accept_first(lab, family, resources, intercepting, to)
        assert packets(lab.gw, "seen", "syn_data") == 1
    assert not any(map(had_syn_data, ends))
    ends = accept_first(lab, family, resources, to_fast_server, to)
    assert all(map(had_syn_data, ends))
