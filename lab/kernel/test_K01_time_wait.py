# SPDX-License-Identifier: Apache-2.0
"""K1: a client reuses its port while our side holds TIME_WAIT.

Our accepted socket closed first, so it stays for 60 s; the client is free to
ask again from the same port.

ANSWER: mark + sk_lookup reopens like nft and xt: TIME_WAIT goes, the listener
gets the SYN.  A listener given by bpf_sk_assign is refused without a word, SYN
after SYN, while TIME_WAIT is there: since Linux 6.10 a request may not be hashed
beside it.  One difference stays: nft and xt hand over any SYN, the kernel's own
judgement behind the hybrid turns an old sequence number away.

And: when interception ends, TIME_WAIT stays in the way of the forwarded flow.
Early demux puts it on the packet, and what has a socket is not forwarded: the
SYN is lost, for up to 60 s.  With ip_early_demux=0 it goes on.
"""

import contextlib
import json
import socket

import pytest

from kernel.packets import PacketSender, syn
from wait import wait_for

NO_EARLY_DEMUX = {"net.ipv4.ip_early_demux": 0}  # IPv6 obeys it as well
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_SEND_QUEUE, TCP_REPAIR_OFF_SILENTLY = 2, -1
REOPENING = ("hybrid", "nft", "xt_nft", "xt_legacy")


def time_waits(host) -> list[str]:
    words = ("state", "time-wait", "sport", "=", ":80")
    return host.run("ss", "-Htan", *words).stdout.splitlines()


@pytest.fixture
def forget(lab):
    """One client port after the other; what is left over ends here."""
    yield
    lab.gw.run("ss", "-KHta", "state", "time-wait")


@pytest.fixture
def used_port(forget, lab, server):
    """used_port(interception): a client's port, and TIME_WAIT behind it."""

    def use(interception) -> int:
        with lab.cli.connect(server.getsockname()[:2]) as client:
            port = client.getsockname()[1]
            interception.listener.accept()[0].close()
            assert client.recv(1) == b""
        wait_for("TIME_WAIT", lambda: time_waits(lab.gw))
        return port

    return use


@pytest.fixture
def mute(lab):
    """The client's kernel answers nothing to packets it did not ask for."""
    lab.cli.nft(
        """table inet mute {
            counter acks { }
            chain in {
                type filter hook prerouting priority raw;
                tcp sport 80 tcp flags & (syn | ack | fin | rst) == ack \\
                    counter name acks
            }
            chain out {
                type filter hook output priority raw;
                tcp dport 80 tcp flags & rst == rst drop
            }
        }"""
    )
    yield lab.cli
    lab.cli.nft("delete table inet mute")


def challenges_received(host) -> int:
    text = host.run("nft", "-j", "list", "counter", "inet", "mute", "acks").stdout
    return json.loads(text)["nftables"][1]["counter"]["packets"]


@contextlib.contextmanager
def asking(lab, server, family: str, port: int):
    """A client in SYN_SENT, or further."""
    with lab.cli.new_socket(family, socket.SOCK_STREAM, port) as client:
        client.setblocking(False)
        client.connect_ex(server.getsockname()[:2])
        yield client


def accept_from(listener: socket.socket, port: int) -> None:
    accepted, peer = listener.accept()
    accepted.close()
    assert peer[1] == port


@pytest.mark.parametrize("engine", REOPENING)
def test_K01_the_listener_gets_the_syn(
    lab, intercept, engine, family, server, used_port
):
    interception = intercept(engine, family)
    port = used_port(interception)
    with asking(lab, server, family, port):
        accept_from(interception.listener, port)
    if engine == "hybrid":
        assert interception.programs["time_waits"] == 1


def test_K01_an_assigned_listener_is_refused(
    lab, intercept, family, server, used_port
):
    interception = intercept("assign", family)
    port = used_port(interception)
    programs = interception.programs
    interception.listener.setblocking(False)
    with asking(lab, server, family, port) as client:
        wait_for("a SYN again", lambda: programs["time_waits"] == 2)
        assert programs["assigned"] == programs["syns"] == 3
        assert programs["refused"] == 0  # the helper itself says yes
        with pytest.raises(OSError):
            client.getpeername()
        with pytest.raises(BlockingIOError):
            interception.listener.accept()
    assert time_waits(lab.gw)


def test_K01_without_time_wait_the_same_assignment_works(
    lab, intercept, family, server, used_port
):
    interception = intercept("assign", family)
    port = used_port(interception)
    lab.gw.run("ss", "-KHta", "state", "time-wait")
    assert not time_waits(lab.gw)
    with asking(lab, server, family, port):
        accept_from(interception.listener, port)


def test_K01_without_an_engine_the_syn_goes_on_to_the_server(
    lab, intercept, family, server, used_port
):
    with intercept("hybrid", family) as interception:
        port = used_port(interception)
    with lab.gw.sysctls(NO_EARLY_DEMUX), asking(lab, server, family, port):
        accept_from(server, port)
    assert time_waits(lab.gw)


def test_K01_without_an_engine_early_demux_swallows_the_syn(
    lab, intercept, family, server, used_port, leaks, resources
):
    with intercept("hybrid", family) as interception:
        port = used_port(interception)
    fence = resources.enter_context(lab.srv.udp(family, 9))
    with asking(lab, server, family, port), lab.cli.udp(family) as sender:
        sender.sendto(b"fence", fence.getsockname()[:2])
        fence.recv(100)  # on the same wire, so the SYN is decided
    assert leaks.forwarded() == 1  # the fence


# --- a SYN that could be an old one ---------------------------------------------


def next_sequence(s: socket.socket) -> int:
    """Of the byte it would send now."""
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
    number = s.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_SILENTLY)
    return number & 0xFFFFFFFF


@pytest.mark.parametrize("engine", REOPENING)
def test_K01_an_old_syn(
    lab, intercept, engine, family, server, forget, mute, resources
):
    interception = intercept(engine, family)
    with lab.cli.connect(server.getsockname()[:2]) as client:
        source, to = client.getsockname()[:2], client.getpeername()[:2]
        old = (next_sequence(client) - 1000) & 0xFFFFFFFF
        interception.listener.accept()[0].close()
        assert client.recv(1) == b""
    wait_for("TIME_WAIT", lambda: time_waits(lab.gw))

    sender = resources.enter_context(PacketSender(lab.cli, family))
    challenges = challenges_received(mute)
    sender.send(syn(source, to, old), to[0])
    if engine == "hybrid":
        wait_for("an ACK in answer", lambda: challenges_received(mute) > challenges)
        assert time_waits(lab.gw)
    else:
        wait_for("TIME_WAIT removed", lambda: not time_waits(lab.gw))
