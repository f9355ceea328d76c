# SPDX-License-Identifier: Apache-2.0
"""Who does not read costs little, and nobody else pays (T14)."""

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from endings import assert_stream_arrives, finish
from observers import cpu_seconds
from one_worker import (  # noqa: F401, fixtures
    MEGA,
    WHO,
    ask,
    clean_host,
    start,
    start_waylay,
)
from probe import Receiver, digest_of, send_stream
from wait import wait_for

# --- a reader that does not read ----------------------------------------------

STALLED = 20
BODY_BYTES = 8 * MEGA
RECEIVE_BUFFER = 4096
SEND_BUFFER = 65536
SILENCE_S = 0.3

# What the worker may hold for a stalled flow: a spill of 64 KiB for each
# direction, and that twice, since RSS and PSS are added.  The rest waits in
# pipe and sockets; with these limits of the gateway a body does not fit there.
BOUND_BYTES = 2 * 2 * 65536
BUFFERS = {
    "net.ipv4.tcp_rmem": f"4096 131072 {MEGA}",
    "net.ipv4.tcp_wmem": f"4096 16384 {MEGA}",
}


@dataclass
class Stalled:
    """A flow whose one end sends a body that the other does not read yet."""

    sender: socket.socket
    reader: socket.socket
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.sender.settimeout(60)
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            send_stream(self.sender, BODY_BYTES)
            finish(self.sender)

    def assert_rest_arrives(self) -> None:
        self.reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MEGA)
        receiver = Receiver(self.reader)
        receiver.receive_all()
        self.thread.join()
        assert (receiver.count, receiver.end) == (BODY_BYTES, "fin")
        assert receiver.digest.hexdigest() == BODY_DIGEST

    def close(self) -> None:
        """Also in the middle: a sender that is held wakes up."""
        with contextlib.suppress(OSError):
            self.sender.shutdown(socket.SHUT_RDWR)
        self.thread.join()


BODY_DIGEST = digest_of(BODY_BYTES)


def stalled_flow(lab, family: str, who: str, resources) -> Stalled:
    """`who` does not read, and has little room."""
    with lab.srv.listen(family, 0) as listener:
        client = lab.cli.new_socket(family, socket.SOCK_STREAM)
        resources.enter_context(client)
        reader = client if who == "client" else listener
        sender = listener if who == "client" else client
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        client.connect(listener.getsockname()[:2])
        server = resources.enter_context(listener.accept()[0])
    server.settimeout(client.gettimeout())
    ends = (server, client) if who == "client" else (client, server)
    return Stalled(*ends)


def memory_of(pid: int) -> int:
    """RSS and PSS of a process, added."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
    return sizes["Rss"] + sizes["Pss"]


def wait_stalled(flows: list[Stalled]) -> None:
    """No sender can send for a while, and none has come to its end."""
    senders = [f.sender for f in flows]

    def are_held() -> bool:
        assert all(f.thread.is_alive() for f in flows), "not held at all"
        return not select.select([], senders, [], SILENCE_S)[1]

    wait_for("all senders are held", are_held, 20)


def assert_idle(pid: int) -> None:
    """It waits for readers, it does not ask again and again."""
    began, used = time.monotonic(), cpu_seconds(pid)
    wait_for("half a second", lambda: time.monotonic() - began > 0.5)
    assert cpu_seconds(pid) - used < 0.1


@WHO
def test_a_reader_that_does_not_read_holds_its_sender_only(
    lab, family, start, pair, resources, who
):
    resources.enter_context(lab.gw.sysctls(BUFFERS))
    daemon = start()
    warm = pair(family)
    assert_stream_arrives(warm.client, warm.server, BODY_BYTES)
    worker = daemon.serving_workers()[0]["pid"] if daemon else 0
    before = memory_of(worker) if daemon else 0
    flows = [stalled_flow(lab, family, who, resources) for _ in range(STALLED)]
    try:
        wait_stalled(flows)
        if daemon:
            grown = (memory_of(worker) - before) // STALLED
            print(f"{grown} bytes for each of {STALLED} stalled flows")
            assert grown < BOUND_BYTES
            assert_idle(worker)
        other = pair(family)
        assert_stream_arrives(other.client, other.server, BODY_BYTES)
        assert_stream_arrives(other.server, other.client, BODY_BYTES)
        for flow in flows:
            flow.assert_rest_arrives()
    finally:
        for flow in flows:
            flow.close()
