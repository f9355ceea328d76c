# SPDX-License-Identifier: Apache-2.0
"""K13: what may a worker without capabilities do with sockets made for it?

    privileged parent ── SCM_RIGHTS ──> worker without capabilities

What an option has set stays set: a passed transparent socket can be bound to
a foreign address and connected from it, a passed mark goes on marking, a
passed raw socket goes on sending for others.  What bind() itself asks for
stays forbidden: a port below 1024 needs CAP_NET_BIND_SERVICE (EACCES), unless
the parent has bound it.  IP_TRANSPARENT and SO_MARK are asked for at
setsockopt and need CAP_NET_RAW or CAP_NET_ADMIN, one of them is enough;
switching IP_TRANSPARENT off needs nothing, and in a user namespace of its own
any process may.  A message carries 253 descriptors; one more is EINVAL, and
nothing is sent.  IPv6 as IPv4.
"""

import contextlib
import os
import socket
import struct

import pytest

from kernel.sockets import (
    CAP_NET_ADMIN,
    CAP_NET_BIND_SERVICE,
    CAP_NET_RAW,
    Child,
    interception,
    keep_capabilities,
    outcome,
    packets,
    table,
    transparent,
)
from namespace import CLONE_NEWNET, SOCKET_TIMEOUT_S, libc
from probe import TRANSPARENT

SCM_MAX_FD = 253
CLONE_NEWUSER = 0x10000000
FOREIGN = {"v4": "192.0.2.99", "v6": "2001:db8:1::99"}
LEG_MARK = 0x10
CAPABILITIES = pytest.mark.parametrize(
    "kept, is_allowed",
    [((), False), ((CAP_NET_RAW,), True), ((CAP_NET_ADMIN,), True)],
    ids=["none", "net_raw", "net_admin"],
)


def ask_worker(work, passed: list[socket.socket], *kept: int):
    """What `work(sockets)` returns in a process with only these capabilities."""
    here, there = socket.socketpair()

    def receive_and_work():
        keep_capabilities(*kept)
        _, fds, _, _ = socket.recv_fds(there, 1, SCM_MAX_FD)
        sockets = [socket.socket(fileno=fd) for fd in fds]
        for s in sockets:
            s.settimeout(SOCKET_TIMEOUT_S)
        return work(sockets)

    with here, there, Child(receive_and_work) as worker:
        socket.send_fds(here, [b"x"], [s.fileno() for s in passed])
        return worker.result()


def mark(s: socket.socket, value: int) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, value)


@pytest.fixture
def plain(lab, family, resources):
    return resources.enter_context(lab.gw.new_socket(family, socket.SOCK_STREAM))


@pytest.fixture
def passed(lab, family, resources):
    s = resources.enter_context(transparent(lab.gw, family))
    mark(s, LEG_MARK)
    return s


# --- bind ---------------------------------------------------------------------


@pytest.mark.parametrize("kept", [(), (CAP_NET_RAW,)], ids=["none", "net_raw"])
def test_passed_socket_binds_to_a_foreign_address(family, passed, plain, kept):
    def bind(sockets):
        return [outcome(s.bind, (FOREIGN[family], 20000)) for s in sockets]

    assert ask_worker(bind, [passed, plain], *kept) == ["", "EADDRNOTAVAIL"]


@pytest.mark.parametrize(
    "kept, expected",
    [((), "EACCES"), ((CAP_NET_RAW,), "EACCES"), ((CAP_NET_BIND_SERVICE,), "")],
    ids=["none", "net_raw", "net_bind_service"],
)
def test_low_port_is_judged_at_bind(family, passed, kept, expected):
    def bind(sockets):
        return outcome(sockets[0].bind, (FOREIGN[family], 123))

    assert ask_worker(bind, [passed], *kept) == expected


def test_low_port_bound_by_the_parent_can_be_used(lab, family, passed, resources):
    listener = resources.enter_context(lab.srv.listen(family, 80))
    resources.enter_context(interception(lab.gw))
    passed.bind((FOREIGN[family], 123))

    def connect(sockets):
        return outcome(sockets[0].connect, (lab.srv.address(family), 80))

    assert ask_worker(connect, [passed]) == ""
    assert listener.accept()[1][:2] == (FOREIGN[family], 123)


# --- options ------------------------------------------------------------------


@CAPABILITIES
def test_options_are_judged_anew(family, plain, kept, is_allowed):
    def set_both(sockets):
        return [
            outcome(sockets[0].setsockopt, *TRANSPARENT[family], 1),
            outcome(mark, sockets[0], LEG_MARK),
        ]

    assert ask_worker(set_both, [plain], *kept) == 2 * ["" if is_allowed else "EPERM"]


@CAPABILITIES
def test_mark_of_a_passed_socket_is_fixed(passed, kept, is_allowed):
    """Not even to the value it has, nor to 0."""

    def set_marks(sockets):
        return [outcome(mark, sockets[0], value) for value in (LEG_MARK, 0)]

    assert ask_worker(set_marks, [passed], *kept) == 2 * ["" if is_allowed else "EPERM"]


def test_transparent_can_be_given_up_but_not_taken_back(family, passed):
    def off_and_on(sockets):
        return [
            outcome(sockets[0].setsockopt, *TRANSPARENT[family], value)
            for value in (0, 1)
        ]

    assert ask_worker(off_and_on, [passed]) == ["", "EPERM"]


def test_a_user_namespace_of_its_own_suffices(family):
    """The check is against the owner of the network namespace."""

    def set_both_in_new_namespaces():
        keep_capabilities()
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
            return "no user namespaces"
        number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
        with socket.socket(number) as s:
            mark(s, LEG_MARK)
            return outcome(s.setsockopt, *TRANSPARENT[family], 1)

    with Child(set_both_in_new_namespaces) as process:
        result = process.result()
    if result == "no user namespaces":
        pytest.skip(result)
    assert result == ""


# --- in use -------------------------------------------------------------------

COUNT_MARK = f"""
    counter marked {{ }}
    counter unmarked {{ }}
    chain output {{
        type filter hook output priority filter;
        meta l4proto tcp meta mark & {LEG_MARK} != 0 counter name marked accept
        meta l4proto tcp counter name unmarked
    }}
"""


def test_passed_leg_speaks_for_the_client_with_its_mark(
    lab, family, passed, resources
):
    listener = resources.enter_context(lab.srv.listen(family, 80))
    resources.enter_context(interception(lab.gw))
    resources.enter_context(table(lab.gw, "marks", COUNT_MARK))

    def use(sockets):
        leg = sockets[0]
        leg.bind((FOREIGN[family], 20000))
        leg.connect((lab.srv.address(family), 80))
        leg.sendall(b"question")
        return leg.recv(100).decode()

    def serve():
        s, peer = listener.accept()
        with s:
            s.sendall(b"%s from %s" % (s.recv(100), peer[0].encode()))

    with Child(serve):
        answer = ask_worker(use, [passed])
    assert answer == f"question from {FOREIGN[family]}"
    assert packets(lab.gw, "marks", "marked") > 0
    assert packets(lab.gw, "marks", "unmarked") == 0


def test_only_a_passed_raw_socket_sends_for_others(lab, resources):
    """IPv4 is enough: the option IPPROTO_RAW stands for is set at creation."""
    receiver = resources.enter_context(lab.cli.udp("v4", 20000))
    with lab.gw.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    resources.enter_context(raw)
    source, to = lab.srv.v4, lab.cli.v4
    datagram = struct.pack("!HHHH", 80, 20000, 8 + 6, 0) + b"answer"
    header = struct.pack(
        "!BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(datagram), 0, 0, 64, socket.IPPROTO_UDP, 0),
        *(socket.inet_aton(source), socket.inet_aton(to)),
    )

    def send(sockets):
        sockets[0].sendto(header + datagram, (to, 0))
        return outcome(
            socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW
        )

    assert ask_worker(send, [raw]) == "EPERM"
    assert receiver.recvfrom(100) == (b"answer", (source, 80))


# --- passing ------------------------------------------------------------------


@pytest.mark.parametrize(
    "count, expected", [(SCM_MAX_FD, ""), (SCM_MAX_FD + 1, "EINVAL")]
)
def test_one_message_carries_253(lab, resources, count, expected):
    here, there = map(resources.enter_context, socket.socketpair())
    sockets = [resources.enter_context(transparent(lab.gw, "v4")) for _ in range(count)]
    fds = [s.fileno() for s in sockets]
    assert outcome(socket.send_fds, here, [b"x"], fds) == expected
    there.setblocking(False)
    received = []
    with contextlib.suppress(BlockingIOError):
        received = socket.recv_fds(there, 1, SCM_MAX_FD)[1]
    for fd in received:
        os.close(fd)
    assert len(received) == (0 if expected else count)
