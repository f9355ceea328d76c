# SPDX-License-Identifier: Apache-2.0
"""K10: do connections by SYN cookie reach the listener?

With tcp_syncookies=2 no request socket exists between SYN and final ACK.

ANSWER: yes, with every engine, and getsockname() is the address asked for: the
cookie is checked by whichever listener the ACK is given to.  It holds only if
*every* TCP packet without a socket goes to the listener, as xt and nft do, and
as sk_lookup does by itself.  Where only the SYN is assigned, the client of a
cookie has a connection that nobody has: over IPv6 it is reset, over IPv4 it is
silent, because the kernel sends no RST from an address that is not its own
unless a transparent socket asks for it.  The price of "every packet": a flow
that ran directly before interception began is reset by the listener.
"""

import socket

from endings import assert_alive, connection_outcome, end_of
from kernel.bpf import counter
from wait import wait_for

COOKIES = "TcpExtSyncookiesRecv"  # of IPv6 as well
ALWAYS = {"net.ipv4.tcp_syncookies": 2}


def tcp_retransmits(s: socket.socket) -> int:
    """Of the byte now at the front: tcpi_retransmits."""
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[2]


def connect(lab, server) -> socket.socket:
    return lab.cli.connect(server.getsockname()[:2])


def test_K10_cookies_through_each_engine(
    lab, intercept, engine, family, server, resources
):
    interception = intercept(engine, family)
    with lab.gw.sysctls(ALWAYS):
        before = counter(lab.gw, COOKIES)
        client = resources.enter_context(connect(lab, server))
        accepted = resources.enter_context(interception.listener.accept()[0])
        assert counter(lab.gw, COOKIES) == before + 1
    assert accepted.getsockname()[:2] == server.getsockname()[:2]
    assert_alive(client, accepted)


def test_K10_a_flow_that_ran_before_is_reset(
    lab, intercept, engine, family, server, resources
):
    client = resources.enter_context(connect(lab, server))
    accepted = resources.enter_context(server.accept()[0])
    assert_alive(client, accepted)
    intercept(engine, family)
    client.sendall(b"?")
    assert end_of(client) == "rst"


def test_K10_only_the_syn_assigned_is_not_enough(
    lab, intercept, family, server, resources
):
    intercept("assign", family, "set with_syn_only 1")
    with lab.gw.sysctls(ALWAYS):
        if family == "v6":
            assert connection_outcome(lambda: connect(lab, server)) == "rst"
            return
        client = resources.enter_context(connect(lab, server))
        client.sendall(b"?")
        wait_for("nobody acknowledges", lambda: tcp_retransmits(client))


def test_K10_without_cookies_the_syn_is_enough(
    lab, intercept, family, server, resources
):
    interception = intercept("assign", family, "set with_syn_only 1")
    with lab.gw.sysctls({"net.ipv4.tcp_syncookies": 0}):
        client = resources.enter_context(connect(lab, server))
        accepted = resources.enter_context(interception.listener.accept()[0])
    assert interception.programs["requests"] == 1  # the ACK found it
    assert_alive(client, accepted)


def test_K10_without_an_engine_the_server_answers(lab, family, server, resources):
    client = resources.enter_context(connect(lab, server))
    accepted = resources.enter_context(server.accept()[0])
    assert_alive(client, accepted)
