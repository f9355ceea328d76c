# SPDX-License-Identifier: Apache-2.0
"""K16: is nft's socket match the same as xt's?

    cli ── SYN, ACK, data, FIN, SYN again, a datagram ──► gw: PREROUTING, a listener

                   SYN or datagram to    ACK of a
                   wildcard    bound     handshake    data    SYN to TIME_WAIT
    xt_plain          -         yes         yes       yes          yes
    xt_transparent    -          T           T         T            T
    nft_two_rules     -          T           T         T            T
    xt_nowildcard     T          T           T         T            T
    nft_transparent   T          T           T         T            T
    nft_one_rule      -          T           -         T            -
    nft_wildcard_0    -         yes          -        yes           -
    nft_wildcard_1   yes         -           -         -            -
    nft_mark         yes        yes          -        yes           -

    T   yes if the listener is transparent, whoever it belongs to

So the two-rule form is xt `--transparent` in every column, also for UDP and
IPv6.  One rule alone takes wildcard listeners of other programs, or loses
requests and TIME_WAIT: wildcard and mark BREAK there, whichever value is asked.
"""

import itertools
import re
import socket
from collections.abc import Iterator

import pytest
from kernel.netfilter import counters, ruleset

from endings import end_of
from namespace import Namespace
from probe import TRANSPARENT
from wait import wait_for

PORT = 8080
CLIENT_PORTS = itertools.count(20000)  # a new one for each TIME_WAIT
LISTENER_ADDRESS = {
    ("v4", "wildcard"): "0.0.0.0",
    ("v6", "wildcard"): "::",
    ("v4", "bound"): "192.0.2.1",
    ("v6", "bound"): "2001:db8:1::1",
}

NFT = {  # the last one counts
    "nft_two_rules": ("socket wildcard 1 return", "socket transparent 1"),
    "nft_transparent": ("socket transparent 1",),
    "nft_one_rule": ("socket wildcard 0 socket transparent 1",),
    "nft_wildcard_0": ("socket wildcard 0",),
    "nft_wildcard_1": ("socket wildcard 1",),
    "nft_mark": ("socket mark 0",),
}
XT = {
    "xt_plain": "",
    "xt_transparent": "--transparent",
    "xt_nowildcard": "--transparent --nowildcard",
}
PACKETS = {
    "syn": ("tcp flags & (syn | ack) == syn", "-p tcp --tcp-flags SYN,ACK SYN"),
    "ack": ("tcp flags & (syn | ack) == ack", "-p tcp --tcp-flags SYN,ACK ACK"),
    "udp": ("meta l4proto udp", "-p udp"),
}

# The columns of the head comment, top to bottom.
LISTENER = {
    "wildcard": {"xt_nowildcard", "nft_transparent", "nft_wildcard_1", "nft_mark"},
    "bound": {*NFT, *XT} - {"nft_wildcard_1"},
}
REQUEST = TIME_WAIT = {*XT, "nft_two_rules", "nft_transparent"}
CONNECTION = LISTENER["bound"]
WITHOUT_T = {"xt_plain", "nft_wildcard_0", "nft_wildcard_1", "nft_mark"}


def nft_rules() -> str:
    chains, jumps, names = [], [], []
    for kind, (match, _) in PACKETS.items():
        names.append(f"{kind}_seen")
        jumps.append(f"th dport {PORT} {match} counter name {kind}_seen")
        for name, (*before, last) in NFT.items():
            counted = f"{kind}_{name}"
            names.append(counted)
            rules = "\n".join([*before, f"{last} counter name {counted}"])
            chains.append(f"chain {counted} {{\n{rules}\n}}")
            jumps.append(f"th dport {PORT} {match} jump {counted}")
    named = "\n".join(f"counter {name} {{ }}" for name in names)
    hook = "type filter hook prerouting priority mangle - 5;"
    base = "\n".join(["chain prerouting {", hook, *jumps, "}"])
    return "\n".join([named, *chains, base])


def xt_rules() -> str:
    rules = [
        f"-A PREROUTING {match} --dport {PORT} -m socket {options}"
        f" -m comment --comment {kind}_{name}"
        for kind, (_, match) in PACKETS.items()
        for name, options in XT.items()
    ]
    return "\n".join(["*mangle", *rules, "COMMIT", ""])


class Matches:
    """Counts, for each kind of packet, which rules matched."""

    def __init__(self, host: Namespace, iptables: str):
        self._host = host
        self._save = f"{iptables}-save"
        self._before = self._read()

    def of(self, kind: str) -> set[str]:
        """The rules that matched the one packet of this kind since the last call."""
        seen = f"{kind}_seen"
        wait_for(f"a packet: {kind}", lambda: self._new(kind)[seen])
        new = self._new(kind)
        assert new.pop(seen) == 1
        self.forget(kind)
        return {name.removeprefix(f"{kind}_") for name, n in new.items() if n}

    def forget(self, kind: str) -> None:
        """What was counted so far."""
        for name, n in self._new(kind).items():
            self._before[name] += n

    def _new(self, kind: str) -> dict[str, int]:
        now = self._read().items()
        return {name: n - self._before[name] for name, n in now if name[:3] == kind}

    def _read(self) -> dict[str, int]:
        text = self._host.run(self._save, "-c", "-t", "mangle").stdout
        lines = re.findall(r"\[(\d+):\d+\].*--comment \"?(\w+)", text)
        xt = {name: int(packets) for packets, name in lines}
        return counters(self._host) | xt


@pytest.fixture(params=["nft", "legacy"])
def matches(request, lab, family) -> Iterator[Matches]:
    """Both of one packet: nft's rules, then those of one of the two iptables."""
    iptables = {"v4": "iptables", "v6": "ip6tables"}[family] + f"-{request.param}"
    loaded = lab.gw.run(f"{iptables}-restore", input=xt_rules(), check=False)
    if loaded.returncode != 0:
        pytest.skip(f"{iptables}: {loaded.stderr.strip()}")
    with ruleset(lab.gw, "matches", nft_rules()):
        yield Matches(lab.gw, iptables)
    lab.gw.run(iptables, "-t", "mangle", "-F")


@pytest.fixture(params=["transparent", "plain"])
def is_transparent(request) -> bool:
    return request.param == "transparent"


@pytest.fixture(params=["wildcard", "bound"])
def binding(request) -> str:
    return request.param


@pytest.fixture
def serve(lab, family, binding, is_transparent, resources):
    """serve(SOCK_STREAM): a socket at PORT, of "another program"."""

    def serve(kind: int) -> socket.socket:
        s = resources.enter_context(lab.gw.new_socket(family, kind))
        s.setsockopt(*TRANSPARENT[family], is_transparent)
        s.bind((LISTENER_ADDRESS[family, binding], PORT))
        return s

    return serve


def expected(column: set[str], is_transparent: bool) -> set[str]:
    return column if is_transparent else column & WITHOUT_T


def test_tcp(lab, family, matches, serve, binding, is_transparent):
    to = (lab.gw.address(family), PORT)

    def matching(column: set[str]) -> set[str]:
        return expected(column, is_transparent)

    client_port = next(CLIENT_PORTS)
    with serve(socket.SOCK_STREAM) as listener:
        listener.listen(1)
        client = lab.cli.connect(to, client_port)
        assert matches.of("syn") == matching(LISTENER[binding])
        assert matches.of("ack") == matching(REQUEST)
        client.send(b"?")
        assert matches.of("ack") == matching(CONNECTION)
        server = listener.accept()[0]
        assert server.recv(1) == b"?"
        become_time_wait(server, client)
        matches.forget("ack")
        with lab.cli.connect(to, client_port):
            assert matches.of("syn") == matching(TIME_WAIT)
            listener.accept()[0].close()


def become_time_wait(server: socket.socket, client: socket.socket) -> None:
    """The one that closes first."""
    server.shutdown(socket.SHUT_WR)
    assert end_of(client) == "fin"
    client.close()
    assert end_of(server) == "fin"
    server.close()


def test_udp(lab, family, matches, serve, binding, is_transparent):
    with serve(socket.SOCK_DGRAM) as server, lab.cli.udp(family) as client:
        client.sendto(b"?", (lab.gw.address(family), PORT))
        assert server.recv(1) == b"?"
        column = LISTENER[binding]
        assert matches.of("udp") == expected(column, is_transparent)


def test_without_a_socket_nothing_matches(lab, family, matches):
    with lab.cli.udp(family) as client:
        client.sendto(b"?", (lab.gw.address(family), PORT))
        assert matches.of("udp") == set()
    with pytest.raises(ConnectionRefusedError):
        lab.cli.connect((lab.gw.address(family), PORT))
    assert matches.of("syn") == set()
