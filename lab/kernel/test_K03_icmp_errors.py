# SPDX-License-Identifier: Apache-2.0
"""K3: does path MTU discovery work for a connection from a client's address?

    cli      gw: a socket with cli's address ── wan2 ── rtr2 ──1300── far
     └──── lan0 ┘

rtr2 tells the sender, which is cli by its address, that packets are too big.

ANSWER: yes, by the mark alone.  Where the error's quoted tuple belongs to a
socket of ours and the error gets the mark that leads to the local route, the
kernel finds the socket by the quote itself: the MSS falls to what 1300 allows
and the transfer ends well.  Without, the error is forwarded to the client and
our connection stands still, with its MSS as before.
"""

import socket

import pytest

from endings import assert_stream_arrives
from kernel.bpf import counter, routed_locally
from probe import BLOCK, transparent_socket
from topology import FAR_PATH_MTU, Lab
from wait import wait_for

HEADERS_LEN = {"v4": 20 + 20 + 12, "v6": 40 + 20 + 12}  # with timestamps
LINK_MTU = 1500
TOO_BIG = {"v4": "IcmpInDestUnreachs", "v6": "Icmp6InPktTooBigs"}


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        lab.add_far()
        yield lab


@pytest.fixture
def spoofed(lab, family, resources):
    """Both ends of a connection from gw to far, with cli's address."""
    lab.gw.ip("-4", "route", "flush", "cache")
    lab.gw.ip("-6", "route", "flush", "cache")
    resources.enter_context(routed_locally(lab.gw, family))

    def connect() -> tuple[socket.socket, socket.socket]:
        listener = resources.enter_context(lab.far.listen(family, 80))
        with lab.gw.inside():
            own = transparent_socket((lab.cli.address(family), 0), socket.SOCK_STREAM)
        resources.enter_context(own)
        own.settimeout(5)
        own.connect(listener.getsockname()[:2])
        far = resources.enter_context(listener.accept()[0])
        far.settimeout(5)
        assert mss(own) == LINK_MTU - HEADERS_LEN[family]
        return own, far

    return connect


def mss(s: socket.socket) -> int:
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


def test_K03_a_marked_error_lowers_the_mss(
    lab, toolbox, spoofed, family, resources
):
    steps = ("set with_errors 1", "ingress wan2 mark_answers")
    programs = resources.enter_context(toolbox.start(lab.gw, "steer", *steps))
    own, far = spoofed()
    to_client = counter(lab.cli, TOO_BIG[family])
    assert_stream_arrives(own, far, 300_000)
    assert mss(own) == FAR_PATH_MTU - HEADERS_LEN[family]
    assert programs["errors"] >= 1
    assert counter(lab.cli, TOO_BIG[family]) == to_client


def test_K03_a_forwarded_error_reaches_the_client(
    lab, toolbox, spoofed, family, resources
):
    """The negative twin: only what is TCP itself comes back to us."""
    steps = ("set with_errors 0", "ingress wan2 mark_answers")
    resources.enter_context(toolbox.start(lab.gw, "steer", *steps))
    own, far = spoofed()
    to_client = counter(lab.cli, TOO_BIG[family])
    own.sendall(BLOCK[:20_000])
    wait_for("the error", lambda: counter(lab.cli, TOO_BIG[family]) > to_client)
    wait_for("a retransmission that helps nothing", lambda: retransmits(own) > 1)
    assert mss(own) == LINK_MTU - HEADERS_LEN[family]


def retransmits(s: socket.socket) -> int:
    """Of the segment now at the front: tcpi_retransmits."""
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[2]
