#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small, deterministic client and server; one JSON object a line on stdout.

    probe.py tcp-server PORT [--mode M] [--bytes N]     until stdin ends
    probe.py tcp-client ADDRESS PORT [--send N] [--receive N] [--end E]
    probe.py udp-server PORT [--answer-port P]          until stdin ends
    probe.py udp-client ADDRESS PORT [--sizes N,N...]
    probe.py transparent-server PORT [--on ADDRESS]     until stdin ends
    probe.py load ADDRESS PORT [--flows N]              else until stdin ends

A server prints {"event": "ready"} when it serves, and a line for each
connection: peer, own, received, sha256, end.  A client prints one line with
the outcome.  The byte at each place of a stream is known beforehand, so both
ends agree on the SHA-256 without speaking.  `end` is how the other side
ended: fin, rst, timeout, or the name of an errno.
"""

import argparse
import errno
import hashlib
import json
import random
import socket
import struct
import sys
import threading
import time

BLOCK = random.Random(0x7A7).randbytes(1048573)  # prime: no period shows
CHUNK = 1 << 16
UDP_WAIT_S = 2
LINGER_RESET = struct.pack("ii", 1, 0)

print_lock = threading.Lock()


def say(**what: object) -> None:
    with print_lock:
        print(json.dumps(what), flush=True)


def endpoint(name: tuple) -> str:
    address, port = name[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def unmapped(name: tuple) -> tuple:
    """The IPv4 address inside the name of a dual-stack socket."""
    return (name[0].removeprefix("::ffff:"), name[1])


def stream(count: int):
    """The first `count` bytes that every sender sends, in pieces."""
    place = 0
    while place < count:
        at = place % len(BLOCK)
        piece = BLOCK[at : at + min(CHUNK, count - place)]
        yield piece
        place += len(piece)


def digest_of(count: int) -> str:
    digest = hashlib.sha256()
    for piece in stream(count):
        digest.update(piece)
    return digest.hexdigest()


def ending(problem: Exception) -> str:
    if isinstance(problem, TimeoutError) and problem.errno is None:
        return "timeout"
    number = getattr(problem, "errno", None) or 0
    return "rst" if number == errno.ECONNRESET else errno.errorcode.get(number, "?")


class Receiver:
    """Counts and hashes what arrives, and knows how it ended."""

    def __init__(self, s: socket.socket):
        self.socket = s
        self.count = 0
        self.digest = hashlib.sha256()
        self.end = ""

    def receive(self, limit: float = float("inf")) -> bytes:
        """The next piece; b"" at the end or at the limit."""
        if self.count >= limit:
            return b""
        try:
            piece = self.socket.recv(int(min(CHUNK, limit - self.count)))
        except OSError as problem:
            self.end = ending(problem)
            return b""
        if not piece:
            self.end = "fin"
        self.count += len(piece)
        self.digest.update(piece)
        return piece

    def receive_all(self, limit: float = float("inf")) -> None:
        while self.receive(limit):
            pass

    def report(self) -> dict:
        return {
            "received": self.count,
            "sha256": self.digest.hexdigest(),
            "end": self.end,
        }


def send_stream(s: socket.socket, count: int) -> str:
    try:
        for piece in stream(count):
            s.sendall(piece)
    except OSError as problem:
        return ending(problem)
    return ""


def close_with_reset(s: socket.socket) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    s.close()


# --- TCP server: one function a mode, (connection, receiver, bytes) ----------


def serve_echo(s: socket.socket, r: Receiver, _: int) -> None:
    while piece := r.receive():
        s.sendall(piece)
    s.shutdown(socket.SHUT_WR)


def serve_sink(s: socket.socket, r: Receiver, _: int) -> None:
    r.receive_all()
    s.shutdown(socket.SHUT_WR)


def serve_source(s: socket.socket, r: Receiver, count: int) -> None:
    send_stream(s, count)
    s.shutdown(socket.SHUT_WR)
    r.receive_all()


def serve_exchange(s: socket.socket, r: Receiver, count: int) -> None:
    sender = threading.Thread(target=send_and_finish, args=(s, count))
    sender.start()
    r.receive_all()
    sender.join()


def serve_reset(s: socket.socket, _r: Receiver, _: int) -> None:
    close_with_reset(s)


def serve_http(s: socket.socket, r: Receiver, _: int) -> None:
    """Tells the client which addresses its request came and went with."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = r.receive()
        if not piece:
            return
        head += piece
    names = (unmapped(s.getpeername()), unmapped(s.getsockname()))
    body = "client {} server {}\n".format(*map(endpoint, names)).encode()
    s.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    s.shutdown(socket.SHUT_WR)
    r.receive_all()


SERVERS = {
    "echo": serve_echo,
    "sink": serve_sink,
    "source": serve_source,
    "exchange": serve_exchange,
    "reset": serve_reset,
    "http": serve_http,
}


def send_and_finish(s: socket.socket, count: int) -> None:
    send_stream(s, count)
    s.shutdown(socket.SHUT_WR)


def serve_connection(s: socket.socket, peer: tuple, mode: str, count: int) -> None:
    own = unmapped(s.getsockname())
    receiver = Receiver(s)
    try:
        SERVERS[mode](s, receiver, count)
    except OSError as problem:
        receiver.end = receiver.end or ending(problem)
    say(event="served", peer=endpoint(peer), own=endpoint(own), **receiver.report())
    s.close()


def tcp_server(args: argparse.Namespace) -> None:
    listener = socket.create_server(
        ("::", args.port),
        family=socket.AF_INET6,
        dualstack_ipv6=True,
        backlog=4096,
    )
    say(event="ready", port=listener.getsockname()[1])
    threading.Thread(target=accept_loop, args=(listener, args), daemon=True).start()
    sys.stdin.read()


def accept_loop(listener: socket.socket, args: argparse.Namespace) -> None:
    while True:
        s, peer = listener.accept()
        s.settimeout(args.timeout)
        threading.Thread(
            target=serve_connection,
            args=(s, unmapped(peer), args.mode, args.bytes),
            daemon=True,
        ).start()


# --- TCP client ----------------------------------------------------------------


def connect(args: argparse.Namespace) -> socket.socket:
    family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(args.timeout)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if args.source_port:
        s.bind(("", args.source_port))
    s.connect((args.address, args.port))
    return s


def tcp_client(args: argparse.Namespace) -> None:
    try:
        s = connect(args)
    except OSError as problem:
        say(event="done", connected=False, end=ending(problem))
        return
    receiver = Receiver(s)
    sender = threading.Thread(target=send_part, args=(s, args))
    sender.start()
    receiver.receive_all(args.receive)
    sender.join()
    say(
        event="done",
        connected=True,
        own=endpoint(s.getsockname()),
        **receiver.report(),
    )
    close_with_reset(s) if args.end == "rst" else s.close()


def send_part(s: socket.socket, args: argparse.Namespace) -> None:
    send_stream(s, args.send)
    if args.end == "fin":
        try:
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the receiver reports how it ended


# --- UDP ---------------------------------------------------------------------------


def udp_server(args: argparse.Namespace) -> None:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", args.port))
    answers = s
    if args.answer_port:
        answers = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        answers.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        answers.bind(("::", args.answer_port))
    say(event="ready", port=s.getsockname()[1])
    threading.Thread(target=echo_loop, args=(s, answers), daemon=True).start()
    sys.stdin.read()


def echo_loop(s: socket.socket, answers: socket.socket) -> None:
    while True:
        data, peer = s.recvfrom(1 << 16)
        answers.sendto(data, peer)
        say(event="datagram", peer=endpoint(unmapped(peer)), size=len(data))


def udp_client(args: argparse.Namespace) -> None:
    family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(args.timeout)
    if args.source_port:
        s.bind(("", args.source_port))
    for size in args.sizes:
        data = BLOCK[:size]
        s.sendto(data, (args.address, args.port))
        try:
            answer, peer = s.recvfrom(1 << 16)
            say(size=size, is_equal=answer == data, answered_by=endpoint(peer))
        except OSError as problem:
            say(size=size, end=ending(problem))


# --- what others deliver to: for any destination, answering as that one -----------

TRANSPARENT = {"v4": (socket.SOL_IP, 19), "v6": (socket.IPPROTO_IPV6, 75)}
RECVORIGDSTADDR = {"v4": (socket.SOL_IP, 20), "v6": (socket.IPPROTO_IPV6, 74)}


def transparent_socket(at: tuple, kind: int) -> socket.socket:
    family = "v6" if ":" in at[0] else "v4"
    number = {"v4": socket.AF_INET, "v6": socket.AF_INET6}[family]
    s = socket.socket(number, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(*TRANSPARENT[family], 1)
    if kind == socket.SOCK_DGRAM:
        s.setsockopt(*RECVORIGDSTADDR[family], 1)
    s.bind(at)
    return s


def original_destination(ancillary: list) -> tuple:
    """(address, port) out of the one control message there is."""
    data = ancillary[0][2]  # struct sockaddr_in or sockaddr_in6
    (port,) = struct.unpack_from("!H", data, 2)
    if len(data) < 28:
        return (socket.inet_ntop(socket.AF_INET, data[4:8]), port)
    return (socket.inet_ntop(socket.AF_INET6, data[8:24]), port)


def transparent_server(args: argparse.Namespace) -> None:
    at = (args.on, args.port)
    listener = transparent_socket(at, socket.SOCK_STREAM)
    listener.listen(1024)
    datagrams = transparent_socket(at, socket.SOCK_DGRAM)
    say(event="ready")
    threading.Thread(target=accept_loop, args=(listener, args), daemon=True).start()
    threading.Thread(target=answer_loop, args=(datagrams,), daemon=True).start()
    sys.stdin.read()


def answer_loop(s: socket.socket) -> None:
    while True:
        data, ancillary, _, peer = s.recvmsg(1 << 16, 256)
        own = original_destination(ancillary)
        with transparent_socket(own, socket.SOCK_DGRAM) as answers:
            answers.sendto(data, peer[:2])
        say(event="datagram", peer=endpoint(peer), own=endpoint(own), size=len(data))


# --- load: short flows, one after the other, and datagrams ---------------------------


class Load:
    """What a patient user would notice: every failed flow, with its reason."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.flows = 0
        self.failed: list[str] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self.short_flows) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: self.flows or self.failed)
        say(event="ready")
        if not self.args.flows:
            sys.stdin.read()
            self.is_over.set()
        for thread in threads:
            thread.join()
        say(event="done", flows=self.flows, failed=self.failed)

    def short_flows(self) -> None:
        while self.wants_another():
            problem = self.one_flow()
            if problem:
                self.failed.append(problem)

    def wants_another(self) -> bool:
        """Counts it as well."""
        with self.lock:
            is_wanted = not self.is_over.is_set()
            self.flows += is_wanted
            if self.flows == self.args.flows:
                self.is_over.set()
            return is_wanted

    def one_flow(self) -> str:
        try:
            with connect(self.args) as s:
                s.sendall(BLOCK[:1000])
                s.shutdown(socket.SHUT_WR)
                receiver = Receiver(s)
                receiver.receive_all()
        except OSError as problem:
            return f"{ending(problem)} in connect or send"
        if receiver.count != 1000 or receiver.end != "fin":
            return f"{receiver.count} bytes, then {receiver.end}"
        return ""


def wait_until(condition) -> None:
    while not condition():
        time.sleep(0.001)


def load(args: argparse.Namespace) -> None:
    Load(args).run()


def sizes(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


SERVER_COMMANDS = (tcp_server, udp_server, transparent_server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for function in (*SERVER_COMMANDS, tcp_client, udp_client, load):
        command = commands.add_parser(function.__name__.replace("_", "-"))
        command.set_defaults(function=function)
        if not function.__name__.endswith("server"):
            command.add_argument("address")
        command.add_argument("port", type=int)
        command.add_argument("--timeout", type=float, default=20)
        command.add_argument("--source-port", type=int, default=0)
        command.add_argument("--mode", choices=SERVERS, default="echo")
        command.add_argument("--bytes", type=int, default=0)
        command.add_argument("--answer-port", type=int, default=0)
        command.add_argument("--on", default="127.0.0.1")
        command.add_argument("--send", type=int, default=0)
        command.add_argument("--receive", type=float, default=float("inf"))
        command.add_argument("--end", choices=("fin", "rst", "none"), default="fin")
        command.add_argument("--flows", type=int, default=0)
        command.add_argument("--sizes", type=sizes, default=[64])
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
