# SPDX-License-Identifier: Apache-2.0
"""Scenarios of flows that are cut through: make one so, and see that it is.

`cut_pair` is `pair` of conftest.py for a flow that has no socket any more on
the gateway; on the plain gateway it is a flow like any other.  A module takes
`gateway` from conftest.py with its CONFIG = waylay.config(cut="on").
"""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from endings import assert_alive
from namespace import Namespace, endpoint
from topology import Lab, forward, set_addresses, set_gateway, veth
from wait import wait_for

WIRE = str(Path(__file__).with_name("wire.py"))
TCPI_BYTES = 256

Talk = Callable[[socket.socket, socket.socket], None]


def record_of(daemon, client: tuple) -> dict | None:
    """The living flow of this client's address and port."""
    name = endpoint(*client[:2])
    return next((f for f in daemon.flows() if f["client"] == name), None)


def is_cut(daemon, client: tuple) -> bool:
    record = record_of(daemon, client)
    return bool(record) and record["mover"] == "cut-through"


def sockets_of(host: Namespace, port: int) -> list[str]:
    """TCP sockets of a namespace that have this port at either end."""
    found = []
    with host.inside():
        for name in ("tcp", "tcp6"):
            lines = Path(f"/proc/thread-self/net/{name}").read_text().splitlines()[1:]
            for line in lines:
                words = line.split()
                ports = {int(a.rpartition(":")[2], 16) for a in words[1:3]}
                if port in ports and words[3] != "0A":  # no listener
                    found.append(line)
    return found


def make_cut(gateway, client: socket.socket, server: socket.socket) -> None:
    """Talk until the flow is cut through and has no socket on the gateway.
    Nothing happens on the plain gateway."""
    if not gateway.is_waylay:
        return
    name = client.getsockname()

    def talked() -> bool:
        for _ in range(4):
            assert_alive(client, server)
        return is_cut(gateway.daemon, name)

    wait_for("the flow is cut through", talked, 10)
    settle(gateway, name[1])


def settle(gateway, port: int) -> None:
    """Its sockets are gone, too."""
    wait_for(
        "no socket of the flow", lambda: not sockets_of(gateway.host, port), 10
    )


@pytest.fixture
def cut_pair(pair, gateway):
    """As `pair`, and cut through already."""

    def connected(family: str, port: int = 0):
        ends = pair(family, port)
        make_cut(gateway, ends.client, ends.server)
        return ends

    return connected


def joined(client_host: Namespace, server_host: Namespace, family, resources):
    """Both ends of a connection between any two hosts."""
    with server_host.listen(family, 0) as listener:
        client = resources.enter_context(client_host.connect(listener.getsockname()[:2]))
        server = resources.enter_context(listener.accept()[0])
    for s in (client, server):
        s.settimeout(60)
    return client, server


# --- bad wires ------------------------------------------------------------------


def plug_off(namespace: Namespace, ifname: str) -> None:
    """Frames as they would be on a real wire: small, with their checksums."""
    words = "gro off tso off gso off tx off".split()
    namespace.run("ethtool", "-K", ifname, *words)


class Wire:
    """A host behind a bad wire: `far` has it instead of a cable to `gw`."""

    def __init__(self, lab: Lab, gw: Namespace, ifname: str, net4: str, net6: str, *how):
        self.box = lab.add_namespace(f"wire-{ifname}")
        self.far = lab.add_namespace(f"far-{ifname}")
        veth(gw, ifname, self.box, "one")
        veth(self.far, "eth0", self.box, "other")
        for namespace, name in (
            (gw, ifname),
            (self.box, "one"),
            (self.box, "other"),
            (self.far, "eth0"),
        ):
            plug_off(namespace, name)
            namespace.ip("link", "set", name, "up")
        set_addresses(gw, ifname, f"{net4}.1", f"{net6}:1")
        set_addresses(self.far, "eth0", f"{net4}.10", f"{net6}:10")
        set_gateway(self.far, f"{net4}.1", f"{net6}:1")
        forward(gw)
        self.process = self.box.start(
            *(sys.executable, "-B", WIRE, "one", "other", *map(str, how)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert "ready" in self.process.stdout.readline()

    def close(self) -> str:
        """What it did, for the report."""
        said, _ = self.process.communicate("", timeout=10)
        return said


# --- what a capture must show -----------------------------------------------------

ETH_P_IP, ETH_P_IPV6, ETH_P_ALL = 0x0800, 0x86DD, 3


class Capture:
    """Frames of one interface, read by a test; for a few thousand of them."""

    def __init__(self, host: Namespace, ifname: str):
        with host.inside():
            self.socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)
            )
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # RCVBUFFORCE
        with host.inside():
            self.socket.bind((ifname, ETH_P_ALL))
        self.socket.setblocking(False)

    def segments(self) -> list["Segment"]:
        """All that were seen until now."""
        found = []
        while True:
            try:
                frame = self.socket.recv(1 << 17)
            except BlockingIOError:
                return found
            segment = Segment.read(frame)
            if segment:
                found.append(segment)

    def lost(self) -> int:
        """Frames that did not fit: PACKET_STATISTICS."""
        return struct.unpack("II", self.socket.getsockopt(263, 6, 8))[1]

    def close(self) -> None:
        self.socket.close()


class Segment:
    """A TCP segment as a capture has it."""

    @staticmethod
    def read(frame: bytes) -> "Segment | None":
        kind = struct.unpack_from("!H", frame, 12)[0]
        if kind == ETH_P_IP:
            at = 14 + (frame[14] & 15) * 4
            proto, src, dst = frame[23], frame[26:30], frame[30:34]
            end = 14 + (struct.unpack_from("!H", frame, 16)[0] or len(frame) - 14)
        elif kind == ETH_P_IPV6:
            at, proto = 54, frame[20]
            src, dst = frame[22:38], frame[38:54]
            end = 54 + (struct.unpack_from("!H", frame, 18)[0] or len(frame) - 54)
        else:
            return None
        return Segment(src, dst, frame[at:end]) if proto == socket.IPPROTO_TCP else None

    def __init__(self, src: bytes, dst: bytes, tcp: bytes):
        self.sport, self.dport, self.seq, self.ack = struct.unpack_from("!HHII", tcp)
        offset, self.flags, self.window = struct.unpack_from("!BBH", tcp, 12)
        self.source = (src, self.sport)
        self.to = (dst, self.dport)
        self.payload = len(tcp) - (offset >> 4) * 4
        self.options = dict(options(tcp[20 : (offset >> 4) * 4]))

    @property
    def is_syn(self) -> bool:
        return bool(self.flags & 2)

    @property
    def has_ack(self) -> bool:
        return bool(self.flags & 16)

    @property
    def is_reset(self) -> bool:
        return bool(self.flags & 4)

    @property
    def end(self) -> int:
        return (self.seq + self.payload + bool(self.flags & 3)) & 0xFFFFFFFF

    @property
    def tsval(self) -> int | None:
        return struct.unpack("!II", self.options[8])[0] if 8 in self.options else None


def options(data: bytes):
    at = 0
    while at < len(data) and data[at] != 0:
        if data[at] == 1:
            at += 1
            continue
        yield data[at], data[at + 2 : at + data[at + 1]]
        at += data[at + 1]


def after(a: int, b: int) -> int:
    """a - b of 32-bit numbers, signed."""
    return (a - b + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Watcher:
    """One end of a connection as its own host's capture shows it: what may it
    be sent, and with which clock?"""

    def __init__(self):
        self.shift = 0
        self.edge: int | None = None  # right edge of the window it has offered
        self.tsval: int | None = None  # the last that was sent to it
        self.faults: list[str] = []

    def offers(self, s: Segment) -> None:
        if s.is_syn:
            self.shift = s.options.get(3, b"\0")[0]
        if not s.has_ack or s.is_reset:
            return
        edge = s.ack + (s.window << (0 if s.is_syn else self.shift)) & 0xFFFFFFFF
        if self.edge is None or after(edge, self.edge) > 0:
            self.edge = edge

    def is_sent(self, s: Segment) -> None:
        if s.is_syn or s.is_reset:
            return
        # One byte beyond is a probe of a window that is zero.
        if s.payload > 1 and self.edge is not None and after(s.end, self.edge) > 1:
            self.faults.append(f"{after(s.end, self.edge)} bytes beyond the window")
        if s.tsval is None:
            return
        # Segments that were sent again or came late may be older by a little;
        # a new one never is.
        if self.tsval is not None and after(s.tsval, self.tsval) < -3000:
            self.faults.append(f"TSval went back by {after(self.tsval, s.tsval)}")
        if self.tsval is None or after(s.tsval, self.tsval) > 0:
            self.tsval = s.tsval


def faults_at(segments: list[Segment], host: tuple) -> list[str]:
    """What was wrong with what came to `host` (address bytes, port)."""
    watcher = Watcher()
    for s in segments:
        if s.source == host:
            watcher.offers(s)
        elif s.to == host:
            watcher.is_sent(s)
    return watcher.faults


def packed(name: tuple) -> tuple[bytes, int]:
    family = socket.AF_INET6 if ":" in name[0] else socket.AF_INET
    return socket.inet_pton(family, name[0]), name[1]


SEED = int(os.environ.get("WAYLAY_SEED", "1"))
