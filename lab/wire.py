#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bad wire: passes frames between two interfaces, not all, not in order.

    wire.py ONE OTHER --lose PERCENT --late PERCENT --twice PERCENT --seed N

Of the frames of each direction some are lost, some are passed after up to
eight others, some twice.  Prints {"event": "ready"} and runs until stdin ends;
then {"event": "done"} with what it did.  Offloads must be off on the ends of
its cables (topology: plug_off): it passes frames as they are.
"""

import argparse
import collections
import json
import random
import select
import socket
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4
FRAME_MAX = 65536 + 64
LATE_FRAMES = 8


class Way:
    """Frames from one interface to the other."""

    def __init__(self, source, sink, args, seed: int):
        self.source, self.sink, self.args = source, sink, args
        self.random = random.Random(seed)
        self.late: list[tuple[int, bytes]] = []  # frames still to pass, frame
        self.counts: collections.Counter = collections.Counter()

    def take(self) -> None:
        """One frame, and those whose time has come."""
        frame, address = self.source.recvfrom(FRAME_MAX)
        if address[2] == PACKET_OUTGOING:
            return
        self.counts["frames"] += 1
        chance = self.random.random() * 100
        if chance < self.args.lose:
            self.counts["lost"] += 1
        elif chance < self.args.lose + self.args.late:
            self.counts["late"] += 1
            self.late.append((self.random.randint(1, LATE_FRAMES), frame))
            return
        else:
            self.put(frame)
            if chance > 100 - self.args.twice:
                self.counts["twice"] += 1
                self.put(frame)
        self.release()

    def release(self, is_idle: bool = False) -> None:
        waiting, self.late = self.late, []
        for rest, frame in waiting:
            if rest <= 1 or is_idle:
                self.put(frame)
            else:
                self.late.append((rest - 1, frame))

    def put(self, frame: bytes) -> None:
        try:
            self.sink.send(frame)
        except OSError:
            self.counts["refused"] += 1  # as a full queue would


def packet_socket(ifname: str) -> socket.socket:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    s.bind((ifname, ETH_P_ALL))
    return s


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("one")
    parser.add_argument("other")
    for name in ("--lose", "--late", "--twice"):
        parser.add_argument(name, type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    one, other = packet_socket(args.one), packet_socket(args.other)
    ways = {one: Way(one, other, args, args.seed), other: Way(other, one, args, ~args.seed)}
    print(json.dumps({"event": "ready"}), flush=True)
    while True:
        # What is late on a silent wire is passed on: nothing waits for ever.
        has_late = any(w.late for w in ways.values())
        ready, _, _ = select.select([*ways, sys.stdin], [], [], 0.002 if has_late else None)
        if sys.stdin in ready:
            break
        for s in ready:
            ways[s].take()
        if not ready:
            for way in ways.values():
                way.release(is_idle=True)
    print(json.dumps({"event": "done", "ways": [w.counts for w in ways.values()]}))


if __name__ == "__main__":
    main()
