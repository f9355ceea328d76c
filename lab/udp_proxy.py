# SPDX-License-Identifier: Apache-2.0
"""A SOCKS5 proxy that associates, with an answer of the scenario's choice.

What datagrams say is the scenario's affair: it has the socket.
"""

import contextlib
import socket
import struct

from namespace import Namespace
from scripted import Scripted

NUMBER = {"v4": socket.AF_INET, "v6": socket.AF_INET6}
ATYP = {"v4": b"\x01", "v6": b"\x04"}


class Proxy:
    """`rep`: the answer; `bound`: where datagrams go; `stays`: or closes then;
    `silence_s`: how long it says nothing, if waylay waits that long."""

    def __init__(self, host: Namespace, family: str, port: int, **how):
        self.host, self.family = host, family
        bound = host.address(family)
        self.how = {"rep": 0, "bound": bound, "stays": True, "silence_s": 0} | how
        self.udp = host.udp(family)
        self.udp.bind((host.address(family), 0))
        self.controls: list[socket.socket] = []
        self.tcp = Scripted(host, family, port, self._play)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.tcp.__exit__()
        self.udp.close()

    def _play(self, s: socket.socket) -> None:
        assert self.tcp.socks_request(s)[1] == 3
        self._be_silent(s)
        place = socket.inet_pton(NUMBER[self.family], self.how["bound"])
        port = struct.pack("!H", self.udp.getsockname()[1])
        s.sendall(bytes([5, self.how["rep"], 0]) + ATYP[self.family] + place + port)
        self.controls.append(s)
        with contextlib.closing(s):
            if self.how["stays"]:
                s.recv(1)

    def _be_silent(self, s: socket.socket) -> None:
        if not self.how["silence_s"]:
            return
        s.settimeout(self.how["silence_s"])
        with contextlib.suppress(TimeoutError):
            s.recv(1)
        s.settimeout(20)

    def header(self, server: tuple[str, int] | tuple[bytes, int]) -> bytes:
        name, port = server
        if isinstance(name, bytes):
            place = b"\x03" + bytes([len(name)]) + name
        else:
            place = ATYP[self.family] + socket.inet_pton(NUMBER[self.family], name)
        return b"\0\0\0" + place + struct.pack("!H", port)
