#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A program with libwaylay, for scenarios: tells each client where it goes.

usage: library_server.py [--wildcard] [--onward] [--udp] NAME=VALUE...

NAME=VALUE are settings of waylay_intercept_set(); without any, nothing is
intercepted and the listener has port 9000 on all addresses.  With --wildcard
the listener is an ordinary transparent socket on ::, for both families.  With
--onward what the client gets is what the server has said.  With --udp each
datagram is answered by where it went, from there.  "ready" on standard error,
then a JSON line for each connection on standard output.  SIGTERM ends it.
"""

import contextlib
import ctypes
import json
import select
import signal
import socket
import sys

WAYS = ("plain", "tproxy", "redirect")
PORT = 9000
IPV6_TRANSPARENT = 75

library = ctypes.CDLL("libwaylay.so.0")
library.waylay_intercept_new.restype = ctypes.c_void_p


class Error(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("code", ctypes.c_int),
        ("text", ctypes.c_char * 1012),
    ]


class Datagram(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("bytes", ctypes.c_void_p),
        ("capacity", ctypes.c_size_t),
        ("len", ctypes.c_size_t),
        ("source", ctypes.c_ubyte * 128),
        ("to", ctypes.c_ubyte * 128),
    ]


error = Error(size=ctypes.sizeof(Error))


def must(result: int) -> int:
    if result < 0:
        sys.exit(error.text.decode())
    return result


def raw(address: str, port: int) -> bytes:
    """A struct sockaddr_in or sockaddr_in6."""
    head = port.to_bytes(2, "big")
    if ":" not in address:
        family = socket.AF_INET.to_bytes(2, sys.byteorder)
        return family + head + socket.inet_pton(socket.AF_INET, address) + bytes(8)
    family = socket.AF_INET6.to_bytes(2, sys.byteorder)
    ip = socket.inet_pton(socket.AF_INET6, address)
    return family + head + bytes(4) + ip + bytes(4)


def cooked(ss: bytes) -> tuple[str, int]:
    port = int.from_bytes(ss[2:4], "big")
    if int.from_bytes(ss[:2], sys.byteorder) == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, ss[4:8]), port
    return socket.inet_ntop(socket.AF_INET6, ss[8:24]), port


def open_listeners(words: list[str], is_fixed: bool) -> list[socket.socket]:
    if "--wildcard" in words:
        s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("::", PORT))
        s.listen()
        return [s]
    hosts, port = ("127.0.0.1", "::1"), 0
    if is_fixed:
        hosts, port = ("0.0.0.0", "::"), PORT
    is_udp = "--udp" in words
    listen = library.waylay_listen_udp if is_udp else library.waylay_listen_tcp
    return [
        socket.socket(fileno=must(listen(raw(host, port), None, ctypes.byref(error))))
        for host in hosts
    ]


def intercept(listeners: list[socket.socket], settings: list[str]) -> ctypes.c_void_p:
    take = ctypes.c_void_p(library.waylay_intercept_new())
    for setting in settings:
        name, value = setting.encode().split(b"=", 1)
        must(library.waylay_intercept_set(take, name, value, ctypes.byref(error)))
    for s in listeners:
        must(library.waylay_intercept_deliver(take, s.fileno(), ctypes.byref(error)))
    must(library.waylay_intercept_install(take, ctypes.byref(error)))
    return take


def ask_onward(to: tuple[str, int], question: bytes) -> bytes:
    fd = must(
        library.waylay_connect(
            socket.SOCK_STREAM, None, raw(*to), None, ctypes.byref(error)
        )
    )
    with socket.socket(fileno=fd) as s:
        s.sendall(question)
        return s.recv(100)


def serve(client: socket.socket, is_onward: bool) -> None:
    ss = ctypes.create_string_buffer(128)
    way = must(library.waylay_destination(client.fileno(), ss, ctypes.byref(error)))
    to = cooked(ss.raw)
    answer = f"{WAYS[way]} {to[0]} {to[1]}".encode()
    if is_onward:
        answer = ask_onward(to, client.recv(100))
    client.sendall(answer)
    print(json.dumps({"way": WAYS[way], "to": to}), flush=True)


def answer(listener: socket.socket, sender: int) -> None:
    """Where it went, from there."""
    room = ctypes.create_string_buffer(100)
    d = Datagram(ctypes.sizeof(Datagram), ctypes.addressof(room), len(room))
    must(library.waylay_recv(listener.fileno(), ctypes.byref(d), ctypes.byref(error)))
    room.value = "{} {}".format(*cooked(bytes(d.to))).encode()
    back = Datagram(d.size, d.bytes, d.capacity, len(room.value), d.to, d.source)
    must(library.waylay_send(sender, ctypes.byref(back), ctypes.byref(error)))


def end(*_: object) -> None:
    raise SystemExit


def main() -> None:
    words = sys.argv[1:]
    settings = [word for word in words if "=" in word]
    signal.signal(signal.SIGTERM, end)
    listeners = open_listeners(words, not settings)
    take = intercept(listeners, settings) if settings else None
    try:
        print("ready", file=sys.stderr, flush=True)
        serve_all(listeners, words)
    finally:
        library.waylay_intercept_free(take)


def serve_all(listeners: list[socket.socket], words: list[str]) -> None:
    senders = {}
    if "--udp" in words:
        for s in listeners:
            fd = library.waylay_sender(s.family, None, ctypes.byref(error))
            senders[s] = must(fd)
    while True:
        for s in select.select(listeners, [], [])[0]:
            if s in senders:
                answer(s, senders[s])
                continue
            with s.accept()[0] as client, contextlib.suppress(BrokenPipeError):
                serve(client, "--onward" in words)


if __name__ == "__main__":
    main()
