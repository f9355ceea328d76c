# SPDX-License-Identifier: Apache-2.0
"""K21: does SO_LINGER {1, 0} tell a dead relay from the end of a stream?

    client ── one == process with a splice pipe == two ── server

With it on both legs the death of the process by SIGKILL is RST at both ends,
never FIN after a part of the stream; also with data in a splice pipe, and
what waits in the send queue is thrown away.  Without it the same death is
FIN: a short stream looks whole.  Clearing it just before close() gives an
orderly end, all queued data and then FIN, unless data from the peer is still
unread: then close() is RST all the same, so read to the end first.

Accepted sockets inherit it from the listener at the end of the handshake, as
they do TCP_NODELAY, SO_KEEPALIVE, SO_MARK and the transparent bit; what is set
on the listener later does not reach a connection that waits in its queue.
A killed listener resets the connections that nobody has accepted, with and
without linger.  IPv6 as IPv4.
"""

import fcntl
import os
import select
import socket
import struct
import termios

import pytest

from endings import LINGER_RESET, end_of, finish
from kernel.sockets import LINGER_NONE, Child, accept, interception, listener
from probe import TRANSPARENT, Receiver, digest_of, send_stream
from wait import wait_for

MARK = 0x10
COUNT = 128 << 10  # more than a receiver with RCVBUF takes at once
RCVBUF = 4096
WITH_AND_WITHOUT = pytest.mark.parametrize(
    "linger, expected",
    [(LINGER_RESET, "rst"), (LINGER_NONE, "fin")],
    ids=["linger", "plain"],
)

INHERITED = {
    "linger": (socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET),
    "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY, struct.pack("i", 1)),
    "keepalive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, struct.pack("i", 1)),
    "mark": (socket.SOL_SOCKET, socket.SO_MARK, struct.pack("i", MARK)),
}


def set_linger(s: socket.socket, value: bytes) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, value)


def value_of(s: socket.socket, option: tuple[int, int, bytes]) -> bytes:
    """Of the same length; a true int is 1, whatever bit the kernel gives."""
    level, name, pattern = option
    value = s.getsockopt(level, name, len(pattern))
    if name == socket.TCP_NODELAY and level == socket.IPPROTO_TCP:
        value = struct.pack("i", bool(*struct.unpack("i", value)))
    return value


class Relay:
    """client == one and two == server; one and two only in another process."""

    def __init__(self, lab, family, resources, linger: bytes, work=None):
        keep = resources.enter_context
        at_gateway = keep(lab.gw.listen(family, 0))
        at_server = keep(lab.srv.listen(family, 0))
        at_server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RCVBUF)
        self.client = keep(lab.cli.connect(at_gateway.getsockname()))
        with accept(at_gateway) as one, lab.gw.connect(at_server.getsockname()) as two:
            self.server = keep(accept(at_server))
            for s in (one, two):
                set_linger(s, linger)
            self.process = Child(lambda: work_and_wait(work, one, two))
        resources.callback(self.process.kill)


def work_and_wait(work, one: socket.socket, two: socket.socket) -> None:
    for s in (one, two):
        s.setblocking(True)
    if work:
        work(one, two)
    sleep_for_ever()


def sleep_for_ever() -> None:
    select.select([], [], [])


@pytest.fixture
def relay(lab, family, resources):
    return lambda linger, work=None: Relay(lab, family, resources, linger, work)


# --- death --------------------------------------------------------------------


@WITH_AND_WITHOUT
def test_death_of_an_idle_relay(relay, linger, expected):
    ends = relay(linger)
    ends.process.kill()
    assert [end_of(ends.client), end_of(ends.server)] == [expected, expected]


@WITH_AND_WITHOUT
def test_death_after_a_part_of_the_stream(relay, linger, expected):
    ends = relay(linger, lambda one, two: two.sendall(one.recv(5, socket.MSG_WAITALL)))
    ends.client.sendall(b"first")
    assert ends.server.recv(5, socket.MSG_WAITALL) == b"first"
    ends.process.kill()
    assert end_of(ends.server) == expected


@WITH_AND_WITHOUT
def test_death_with_data_in_a_splice_pipe(relay, linger, expected):
    """The process has read it, has not sent it, and nothing else remains."""
    pipe = os.pipe()
    ends = relay(linger, lambda one, _: os.splice(one.fileno(), pipe[1], 1 << 16))
    ends.client.sendall(b"in the pipe")
    finish(ends.client)
    wait_for("data in the pipe", lambda: bytes_in(pipe[0]) == len("in the pipe"))
    ends.process.kill()
    for end in pipe:
        os.close(end)
    receiver = Receiver(ends.server)
    receiver.receive_all()
    assert (receiver.count, receiver.end) == (0, expected)


def bytes_in(fd: int) -> int:
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]


@WITH_AND_WITHOUT
def test_death_with_data_in_the_send_queue(relay, resources, linger, expected):
    """Without linger the kernel goes on sending for the dead."""
    here, there = map(resources.enter_context, socket.socketpair())

    def fill_and_tell(_, two):
        there.sendall(struct.pack("i", fill(two)))

    ends = relay(linger, fill_and_tell)
    (queued,) = struct.unpack("i", here.recv(4))
    ends.process.kill()
    receiver = Receiver(ends.server)
    receiver.receive_all()
    assert receiver.end == expected
    assert (receiver.count == queued) == (expected == "fin")


def fill(s: socket.socket) -> int:
    s.setblocking(False)
    count = 0
    while select.select([], [s], [], 0)[1]:
        count += s.send(bytes(1 << 16))
    return count


@pytest.mark.parametrize("linger", [LINGER_RESET, LINGER_NONE])
def test_death_of_a_listener_resets_what_nobody_accepted(
    lab, family, resources, linger
):
    with lab.gw.listen(family, 0) as at_gateway:
        set_linger(at_gateway, linger)
        process = Child(sleep_for_ever)
        resources.callback(process.kill)
        to = at_gateway.getsockname()
    client = resources.enter_context(lab.cli.connect(to))
    process.kill()
    assert end_of(client) == "rst"


# --- the orderly end ----------------------------------------------------------


def slow_pair(lab, family, resources) -> tuple[socket.socket, socket.socket]:
    """Ours, with linger and a stream in its queue, and the reader's end."""
    with lab.srv.listen(family, 0) as at_server:
        at_server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RCVBUF)
        ours = lab.gw.connect(at_server.getsockname())
        theirs = resources.enter_context(accept(at_server))
    set_linger(ours, LINGER_RESET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, COUNT)
    assert send_stream(ours, COUNT) == ""
    return ours, theirs


def test_clearing_it_delivers_all_and_fin(lab, family, resources):
    ours, theirs = slow_pair(lab, family, resources)
    set_linger(ours, LINGER_NONE)
    ours.close()
    receiver = Receiver(theirs)
    receiver.receive_all()
    assert (receiver.count, receiver.end) == (COUNT, "fin")
    assert receiver.digest.hexdigest() == digest_of(COUNT)


def test_not_clearing_it_loses_data_and_says_so(lab, family, resources):
    ours, theirs = slow_pair(lab, family, resources)
    ours.close()
    receiver = Receiver(theirs)
    receiver.receive_all()
    assert receiver.count < COUNT and receiver.end == "rst"


@pytest.mark.parametrize("is_read, expected", [(True, "fin"), (False, "rst")])
def test_unread_data_makes_every_close_a_reset(
    lab, family, resources, is_read, expected
):
    ours, theirs = slow_pair(lab, family, resources)
    Receiver(theirs).receive_all(COUNT)
    theirs.sendall(b"unread")
    wait_for("its arrival", lambda: select.select([ours], [], [], 0)[0])
    if is_read:
        assert ours.recv(100) == b"unread"
    set_linger(ours, LINGER_NONE)
    ours.close()
    assert end_of(theirs) == expected


# --- inheritance --------------------------------------------------------------


@pytest.fixture
def intercepting(lab, family, resources):
    resources.enter_context(interception(lab.gw))
    return resources.enter_context(listener(lab.gw, family))


@pytest.fixture
def accept_one(lab, family, resources, intercepting):
    """Connect, do something, accept."""

    def run(in_between=lambda: None) -> socket.socket:
        resources.enter_context(lab.cli.connect((lab.srv.address(family), 80)))
        in_between()
        return resources.enter_context(accept(intercepting))

    return run


@pytest.mark.parametrize("name", INHERITED)
def test_accepted_sockets_inherit_options(intercepting, accept_one, name):
    option = INHERITED[name]
    assert value_of(accept_one(), option) != option[2]
    intercepting.setsockopt(*option)
    assert value_of(accept_one(), option) == option[2]


@pytest.mark.parametrize("name", INHERITED)
def test_options_set_later_come_too_late(intercepting, accept_one, name):
    option = INHERITED[name]
    accepted = accept_one(lambda: intercepting.setsockopt(*option))
    assert value_of(accepted, option) != option[2]


def test_accepted_sockets_are_transparent(lab, family, resources, accept_one):
    assert accept_one().getsockopt(*TRANSPARENT[family]) == 1
    plain = resources.enter_context(lab.gw.listen(family, 0))
    resources.enter_context(lab.srv.connect(plain.getsockname()))
    ordinary = resources.enter_context(accept(plain))
    assert ordinary.getsockopt(*TRANSPARENT[family]) == 0


@pytest.mark.parametrize(
    "linger, expected", [(LINGER_RESET, "rst"), (LINGER_NONE, "fin")]
)
def test_inherited_linger_works(lab, family, resources, intercepting, linger, expected):
    set_linger(intercepting, linger)
    client = resources.enter_context(lab.cli.connect((lab.srv.address(family), 80)))
    accept(intercepting).close()
    assert end_of(client) == expected
