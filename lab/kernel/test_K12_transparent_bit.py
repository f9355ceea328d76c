# SPDX-License-Identifier: Apache-2.0
"""K12: can a BPF program at TC read whether a socket is transparent?

ANSWER: yes, for every kind of socket that a lookup finds, and a listener's bit
is the request's, the connection's and TIME_WAIT's.  TCP has a cast for each
kind.  UDP over IPv6 has one; over IPv4 it needs bpf_rdonly_cast (6.2), or no
cast at all: the socket's address, made a number by way of a map value, and
bpf_probe_read_kernel (tried on 6.18; no part of it is new).  The number of the
bit must come from kernel BTF: the next one, INET_FLAGS_IS_ICSK, calls every
TCP socket transparent.
"""

import socket

import pytest

from kernel.bpf import KINDS
from probe import TRANSPARENT
from wait import wait_for

PORT = 8012
INSPECT = (f"set port {PORT}", "ingress lan0 inspect")
THE_BIT = "enum transparent_bit INET_FLAGS_TRANSPARENT"
A_WRONG_BIT = "enum transparent_bit INET_FLAGS_IS_ICSK"


@pytest.fixture
def inspect(toolbox, lab, resources):
    def start(bit: str):
        started = toolbox.start(lab.gw, "transparent", *INSPECT, bit)
        return resources.enter_context(started)

    return start


@pytest.fixture(params=[True, False], ids=["transparent", "ordinary"])
def is_transparent(request) -> bool:
    return request.param


@pytest.fixture
def bind(lab, family, resources):
    """A socket on the gateway's own address, so that each kind can stand there."""

    def bound(protocol: str, is_transparent: bool) -> socket.socket:
        s = resources.enter_context(lab.gw.new_socket(family, KINDS[protocol]))
        s.setsockopt(*TRANSPARENT[family], is_transparent)
        s.bind((lab.gw.address(family), PORT))
        return s

    return bound


def life_of_a_connection(lab, listener) -> None:
    """The client's packets meet listener, request, connection and TIME_WAIT."""
    listener.listen(8)
    to = listener.getsockname()[:2]
    with lab.cli.connect(to) as client:
        source_port = client.getsockname()[1]
        with listener.accept()[0] as accepted:
            client.sendall(b"?")
            assert accepted.recv(1) == b"?"
        assert client.recv(1) == b""
    words = ("state", "time-wait", "sport", "=", f":{PORT}")
    wait_for("TIME_WAIT", lambda: lab.gw.run("ss", "-Htan", *words).stdout)
    with lab.cli.connect(to, source_port):
        listener.accept()[0].close()
    lab.gw.run("ss", "-KHta", *words)


@pytest.mark.parametrize("kind", ["listening", "request", "full", "time_wait"])
def test_K12_tcp(lab, inspect, bind, is_transparent, kind):
    programs = inspect(THE_BIT)
    life_of_a_connection(lab, bind("tcp", is_transparent))
    yes, no = programs[f"{kind}:1"], programs[f"{kind}:0"]
    assert (yes > 0, no > 0) == (is_transparent, not is_transparent)


@pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "bound"])
def test_K12_udp(lab, inspect, bind, family, is_transparent, is_connected, resources):
    programs = inspect(THE_BIT)
    receiver = bind("udp", is_transparent)
    sender = resources.enter_context(lab.cli.udp(family))
    sender.bind((lab.cli.address(family), 0))
    if is_connected:
        receiver.connect(sender.getsockname()[:2])
    sender.sendto(b"?", receiver.getsockname()[:2])
    assert receiver.recv(1) == b"?"

    expected = (1, 0) if is_transparent else (0, 1)
    kinds = {"v4": ["udp4", "udp4_by_address"], "v6": ["udp6"]}[family]
    for kind in kinds:
        assert (programs[f"{kind}:1"], programs[f"{kind}:0"]) == expected, kind
    assert programs["udp4_as_udp6"] == 0


def test_K12_a_wrong_bit_takes_every_socket(lab, inspect, bind):
    """The negative twin, and why a socket that is not transparent must be tried."""
    programs = inspect(A_WRONG_BIT)
    life_of_a_connection(lab, bind("tcp", False))
    assert programs["full:1"] > 0 and programs["full:0"] == 0
    assert programs["listening:1"] > 0
    assert programs["request:1"] == 0 and programs["request:0"] > 0


def test_K12_no_such_enumerator(toolbox, lab):
    """The loader refuses to guess."""
    with pytest.raises(AssertionError):
        toolbox.start(
            *(lab.gw, "transparent", *INSPECT),
            "enum transparent_bit INET_FLAGS_NOT_THERE",
        )
