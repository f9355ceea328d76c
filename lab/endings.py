# SPDX-License-Identifier: Apache-2.0
"""Ways to end a connection, and to see how the other side ended it."""

import socket
import struct
import threading
from collections.abc import Callable

from probe import Receiver, digest_of, ending, send_stream

LINGER_RESET = struct.pack("ii", 1, 0)


def reset(s: socket.socket) -> None:
    """Close with RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    s.close()


def finish(s: socket.socket) -> None:
    """Send FIN, go on reading."""
    s.shutdown(socket.SHUT_WR)


def end_of(s: socket.socket) -> str:
    """Read on to the end: fin, rst, timeout or an errno's name."""
    receiver = Receiver(s)
    receiver.receive_all()
    return receiver.end


def connection_outcome(connect: Callable[[], socket.socket]) -> str:
    """What a client gets that connects and waits: refused, rst, fin, timeout..."""
    try:
        s = connect()
    except OSError as problem:
        return ending(problem)
    with s:
        return end_of(s)


def assert_stream_arrives(sender: socket.socket, to: socket.socket, count: int) -> None:
    """`count` known bytes and FIN from one, exactly these and FIN at the other."""

    def send() -> None:
        send_stream(sender, count)
        finish(sender)

    thread = threading.Thread(target=send)
    thread.start()
    receiver = Receiver(to)
    receiver.receive_all()
    thread.join()
    assert (receiver.count, receiver.end) == (count, "fin")
    assert receiver.digest.hexdigest() == digest_of(count)


def receive(s: socket.socket, count: int) -> bytes:
    """So many bytes, or a failure."""
    text = b""
    while len(text) < count:
        piece = s.recv(count - len(text))
        assert piece, f"the end after {len(text)} of {count} bytes"
        text += piece
    return text


def assert_alive(a: socket.socket, b: socket.socket) -> None:
    """A byte each way."""
    for one, other in ((a, b), (b, a)):
        one.sendall(b"?")
        assert other.recv(1) == b"?"


def assert_urgent_in_line(sender: socket.socket, to: socket.socket) -> None:
    """Urgent data arrive among the others.  A read ends at their mark, where
    there is one: on a path without a relay."""
    sent, found = b"in line, and urgent!", b""
    to.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    sender.send(sent, socket.MSG_OOB)
    while len(found) < len(sent):
        found += to.recv(len(sent) - len(found))
    assert found == sent
    to.sendall(b"?")
    assert sender.recv(1) == b"?"
