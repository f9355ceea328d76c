# SPDX-License-Identifier: Apache-2.0
"""A proxy that says exactly what a scenario wants, right or wrong.

It runs in threads of the test, on a listener of a namespace.  A script is a
function of one connection; what it is sent is kept in `heard`.
"""

import contextlib
import socket
import threading
from collections.abc import Callable

from endings import reset
from namespace import Namespace

Script = Callable[[socket.socket], None]

METHOD_NONE = b"\x05\x00"
REQUEST_OK = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
CONNECT_OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Scripted:
    """Plays `script` to everybody who connects; use as a context manager."""

    def __init__(self, host: Namespace, family: str, port: int, script: Script):
        self.script = script
        self.heard: list[bytes] = []
        self.connections = 0
        self._listener = host.listen(family, port)
        self._listener.settimeout(None)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown() wakes the thread that waits in accept(), close() does not
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for s in self._open:
            s.close()

    def _accept(self) -> None:
        while True:
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(s)
            s.settimeout(20)
            threading.Thread(target=self._play, args=(s,), daemon=True).start()

    def _play(self, s: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.script(s)

    def hear(self, s: socket.socket, enough: Callable[[bytes], bool]) -> bytes:
        """Read until it is enough, or the end."""
        text = b""
        while not enough(text):
            piece = s.recv(4096)
            if not piece:
                break
            text += piece
        self.heard.append(text)
        return text

    def socks_request(self, s: socket.socket) -> bytes:
        """Greeting and request, answered up to the reply."""
        greeting = self.hear(s, lambda t: len(t) >= 2 and len(t) >= 2 + t[1])
        s.sendall(METHOD_NONE)
        rest = greeting[2 + greeting[1] :]
        return rest + self.hear(s, lambda t: is_request(rest + t))

    def connect_request(self, s: socket.socket) -> bytes:
        return self.hear(s, lambda t: b"\r\n\r\n" in t)


def is_request(text: bytes) -> bool:
    if len(text) < 5:
        return False
    size = {1: 4, 4: 16, 3: 1 + text[4]}[text[3]]
    return len(text) >= 4 + size + 2


def say(s: socket.socket, text: bytes) -> None:
    s.sendall(text)


def one_by_one(s: socket.socket, text: bytes) -> None:
    """Each byte in a segment of its own."""
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in text:
        s.sendall(bytes([byte]))


def hang_up(s: socket.socket) -> None:
    s.close()


def hang_up_hard(s: socket.socket) -> None:
    reset(s)


def echo(s: socket.socket) -> None:
    while piece := s.recv(65536):
        s.sendall(piece)
    s.shutdown(socket.SHUT_WR)
