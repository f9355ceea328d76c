# SPDX-License-Identifier: Apache-2.0
"""K19: what can slip into a UDP socket between its bind() and its connect()?

    srv  (peer)     ──┐
                      ├── gw: leg bound to cli:p, then connected to srv
    srv2 (stranger) ──┘

While it is bound and not connected, every datagram to cli:p is the leg's,
also a stranger's, and connect() does not take it out of the queue again.  With
a socket filter that drops all, attached before bind() and detached after
connect(), it is not queued.  The filter takes the peer's datagrams too, until
it is detached; after that none is lost, so the first datagram to the server
must be sent after detaching.

But lookup and filter are two steps: a datagram that found the socket before
connect() and comes to the filter after it is gone does slip in, though rarely:
seen once in 900,000 sockets opened against a flood from the other core.
So look at the sender of each datagram; or do not detach at all, and let the
filter pass the peer's address and port, which leaves no gap and loses nothing
of the peer.  IPv6 as IPv4.
"""

import ctypes
import itertools
import select
import socket
import struct

import pytest

from kernel.sockets import Child, interception, transparent
from namespace import Namespace, family_of
from wait import wait_for

SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_MEMINFO = 26, 27, 55
RETURN, LOAD_WORD, LOAD_HALF, JUMP_IF_EQUAL = 0x06, 0x20, 0x28, 0x15
NETWORK_HEADER = -0x100000 & 0xFFFFFFFF  # SKF_NET_OFF; offset 0 is the UDP header
SOURCE_AT = {"v4": 12, "v6": 8}  # in the network header
TAKE_ALL = 0xFFFFFFFF
DROP_ALL = [(RETURN, 0, 0, 0)]
RARE = 3
UNDER_LOAD = 3000  # sockets
UNDER_LOAD_WITHOUT = 100000  # at most; some dozens are enough
ANSWERS = 100  # datagrams
SERVER_PORT = 5000

ports = itertools.count(20000)


Instruction = tuple[int, int, int, int]  # of struct sock_filter


def attach(s: socket.socket, program: list[Instruction]) -> None:
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code)
    pointer = ctypes.addressof(instructions)
    value = struct.pack("HP", len(program), pointer)
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, value)


def only_from(address: str, port: int) -> list[Instruction]:
    """A program that drops what another has sent."""
    family = family_of(address)
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    words = struct.iter_unpack("!I", socket.inet_pton(number, address))
    loads = [(LOAD_HALF, 0, port)] + [
        (LOAD_WORD, NETWORK_HEADER + SOURCE_AT[family] + 4 * place, word)
        for place, (word,) in enumerate(words)
    ]
    program: list[Instruction] = []
    for left, (load, offset, value) in zip(range(len(loads), 0, -1), loads):
        to_the_end = 2 * left - 1
        program.append((load, 0, 0, offset))
        program.append((JUMP_IF_EQUAL, 0, to_the_end, value))
    return [*program, (RETURN, 0, 0, TAKE_ALL), (RETURN, 0, 0, 0)]


def detach(s: socket.socket) -> None:
    s.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def queued(s: socket.socket) -> list[tuple[bytes, str]]:
    """All that is there: data and sender."""
    found = []
    s.setblocking(False)
    while True:
        try:
            data, sender = s.recvfrom(100)
        except BlockingIOError:
            return found
        found.append((data, sender[0]))


def drops(s: socket.socket) -> int:
    """Datagrams that found the socket and were not queued."""
    values = s.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 9 * 4)
    return struct.unpack("9I", values)[8]


def is_readable(s: socket.socket) -> bool:
    return bool(select.select([s], [], [], 0)[0])


class Window:
    """A leg step by step, two who send to it, and the client it speaks for."""

    def __init__(self, lab, family, resources):
        keep = resources.enter_context
        keep(interception(lab.gw))
        self._gw: Namespace = lab.gw
        self._family = family
        self.client = keep(lab.cli.udp(family, next(ports)))
        self.source = self.client.getsockname()[:2]
        self.peer = keep(lab.srv.udp(family, SERVER_PORT))
        self.stranger = keep(lab.srv2.udp(family, SERVER_PORT))

    def bound(self, is_filtered: bool) -> socket.socket:
        s = transparent(self._gw, self._family, socket.SOCK_DGRAM)
        if is_filtered:
            attach(s, DROP_ALL)
        s.bind(self.source)
        return s

    def connect(self, s: socket.socket) -> None:
        s.connect(self.peer.getsockname())

    def complete(self, is_filtered: bool) -> socket.socket:
        """All steps, as fast as can be."""
        s = self.bound(is_filtered)
        self.connect(s)
        if is_filtered:
            detach(s)
        return s


@pytest.fixture
def window(lab, family, resources):
    return Window(lab, family, resources)


# --- one datagram -------------------------------------------------------------


def test_without_filter_a_strangers_datagram_stays(window):
    with window.bound(is_filtered=False) as s:
        window.stranger.sendto(b"strange", window.source)
        wait_for("its arrival", lambda: is_readable(s))
        window.connect(s)
        assert queued(s) == [(b"strange", window.stranger.getsockname()[0])]


def test_with_filter_it_is_dropped_and_no_answer_is_lost(window):
    with window.bound(is_filtered=True) as s:
        window.stranger.sendto(b"strange", window.source)
        wait_for("the drop", lambda: drops(s) == 1)
        window.connect(s)
        detach(s)
        assert queued(s) == []
        answers = [b"%d" % number for number in range(ANSWERS)]
        for answer in answers:
            window.peer.sendto(answer, window.source)
        s.setblocking(True)
        assert [s.recv(100) for _ in answers] == answers
        assert drops(s) == 1


def test_connected_leg_leaves_strangers_to_the_client(window):
    with window.complete(is_filtered=True) as s:
        window.stranger.sendto(b"strange", window.source)
        assert window.client.recv(100) == b"strange"
        assert queued(s) == [] and drops(s) == 0


def test_before_detaching_the_peer_is_dropped_too(window):
    with window.bound(is_filtered=True) as s:
        window.connect(s)
        window.peer.sendto(b"early", window.source)
        wait_for("the drop", lambda: drops(s) == 1)
        detach(s)
        assert queued(s) == []


@pytest.mark.parametrize("is_connected", [False, True], ids=["bound", "connected"])
def test_filter_for_the_peer_can_stay(window, is_connected):
    """Before connect() and after it: the stranger's is dropped, the peer's not."""
    with window.bound(is_filtered=True) as s:
        attach(s, only_from(*window.peer.getsockname()[:2]))
        if not is_connected:
            window.stranger.sendto(b"strange", window.source)
            wait_for("the drop", lambda: drops(s) == 1)
        else:
            window.connect(s)
        window.peer.sendto(b"answer", window.source)
        assert s.recv(100) == b"answer"
        assert queued(s) == []
        assert drops(s) == (not is_connected)


# --- under load ---------------------------------------------------------------


@pytest.fixture
def load(window, resources):
    """The stranger never stops; the peer answers whatever it is asked."""

    def flood():
        while True:
            window.stranger.sendto(b"strange", window.source)

    def answer():
        window.peer.setblocking(True)
        while True:
            data, sender = window.peer.recvfrom(100)
            window.peer.sendto(data, sender)

    for work in (flood, answer):
        resources.enter_context(Child(work))


def test_under_load_strangers_slip_in_without_filter(window, load):
    for _ in range(UNDER_LOAD_WITHOUT):
        with window.complete(is_filtered=False) as s:
            if queued(s):
                return
    raise AssertionError("no datagram has crossed: this load proves nothing")


def test_under_load_few_slip_in_and_no_answer_is_lost(window, load):
    """Which the sender's address tells from an answer."""
    peer, slipped = window.peer.getsockname()[0], 0
    for number in range(UNDER_LOAD):
        with window.complete(is_filtered=True) as s:
            question = b"%d" % number
            s.send(question)
            while True:
                data, sender = s.recvfrom(100)
                if sender[0] == peer:
                    break
                slipped += 1
            assert data == question
    assert slipped <= RARE


def test_under_load_none_passes_a_filter_that_stays(window, load):
    for number in range(UNDER_LOAD):
        with window.bound(is_filtered=True) as s:
            attach(s, only_from(*window.peer.getsockname()[:2]))
            window.connect(s)
            question = b"%d" % number
            s.send(question)
            assert s.recv(100) == question
            assert queued(s) == []
