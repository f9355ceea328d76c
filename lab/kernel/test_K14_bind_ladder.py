# SPDX-License-Identifier: Apache-2.0
"""K14: when can the server leg have the client's address *and* port?

    cli:p ══ leg one ══ gw ══ leg two, bound to cli:p ══ srv:80 or srv2:80

bind() is in the way of whatever else on the gateway holds port p.  A wildcard
listener blocks it always, also with SO_REUSEADDR on both sides, and [::]
without V6ONLY blocks IPv4 too; a listener bound to another address never
does.  Sockets that do not listen get on if both have SO_REUSEADDR, so one
client port reaches two servers at once; that holds for accepted sockets too,
which inherit it from the listener.  The other way round it is as strict: a
bound leg keeps a service from starting on its port, unless both have
SO_REUSEADDR.

Who closes first has TIME_WAIT.  It does not hinder a leg that has bound the
port and had timestamps: connect() takes the four-tuple over at once, whatever
tcp_tw_reuse says (that rules only ports the kernel chooses).  Without
timestamps, switched off at either end, connect() is EADDRNOTAVAIL and
tcp_tw_reuse=1 is no cure; another server, or the server or a reset ending the
connection, is.  A server that has not closed yet loses its old connection by
the takeover, with RST.  IPv6 as IPv4.
"""

import contextlib
import itertools
import socket

import pytest

from endings import assert_alive, finish, reset
from kernel.sockets import (
    LOOPBACK,
    PORT,
    accept,
    interception,
    leg,
    listener,
    outcome,
    transparent,
)
from namespace import Namespace, family_of
from probe import TRANSPARENT, ending
from wait import wait_for

ANY = {"v4": "0.0.0.0", "v6": "::"}
IP_BIND_ADDRESS_NO_PORT = 24
TW_REUSE_DELAY = "net.ipv4.tcp_tw_reuse_delay"  # of Linux 6.14, was one second

ports = itertools.count(20000)


def reuse(s: socket.socket, is_on: bool) -> None:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, is_on)


@pytest.fixture
def port() -> int:
    return next(ports)


@pytest.fixture
def holder(lab, resources):
    """A socket of the gateway that has a port already."""

    def bound(address: str, port: int, is_reuse: bool) -> socket.socket:
        s = resources.enter_context(
            lab.gw.new_socket(family_of(address), socket.SOCK_STREAM)
        )
        reuse(s, is_reuse)
        if family_of(address) == "v6":
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.setsockopt(*TRANSPARENT[family_of(address)], 1)
        s.bind((address, port))
        return s

    return bound


@pytest.fixture
def bind_leg(lab, family, resources):
    """The outcome of bind() to the client's address and this port."""

    def bind(port: int, is_reuse: bool = True) -> str:
        s = resources.enter_context(transparent(lab.gw, family))
        reuse(s, is_reuse)
        return outcome(s.bind, (lab.cli.address(family), port))

    return bind


# --- against a listener -------------------------------------------------------


@pytest.mark.parametrize("is_reuse", [True, False], ids=["reuseaddr", "strict"])
def test_wildcard_listener_blocks_always(family, port, holder, bind_leg, is_reuse):
    holder(ANY[family], port, is_reuse).listen()
    assert bind_leg(port) == "EADDRINUSE"
    assert bind_leg(next(ports)) == ""


def test_listener_on_another_address_does_not_block(family, port, holder, bind_leg):
    holder(LOOPBACK[family], port, False).listen()
    assert bind_leg(port, is_reuse=False) == ""


@pytest.mark.parametrize("is_v6only, expected", [(0, "EADDRINUSE"), (1, "")])
def test_dual_stack_listener_blocks_ipv4(lab, port, resources, is_v6only, expected):
    s = resources.enter_context(lab.gw.new_socket("v6", socket.SOCK_STREAM))
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, is_v6only)
    s.bind(("::", port))
    s.listen()
    of_v4 = resources.enter_context(transparent(lab.gw, "v4"))
    assert outcome(of_v4.bind, (lab.cli.v4, port)) == expected


def test_any_port_is_the_next_step_of_the_ladder(lab, family, port, holder, resources):
    """The client's address is free on all other ports."""
    holder(ANY[family], port, True).listen()
    to_server = resources.enter_context(lab.srv.listen(family, 80))
    resources.enter_context(interception(lab.gw))
    s = resources.enter_context(transparent(lab.gw, family))
    s.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    s.bind((lab.cli.address(family), 0))
    s.connect(to_server.getsockname())
    peer = to_server.accept()[1]
    assert peer[0] == lab.cli.address(family) and peer[1] not in (0, port)


@pytest.mark.parametrize(
    "leg_reuse, service_reuse, expected",
    [
        (True, True, ""),
        (True, False, "EADDRINUSE"),
        (False, True, "EADDRINUSE"),
    ],
)
def test_leg_keeps_a_service_from_starting(
    family, port, holder, bind_leg, leg_reuse, service_reuse, expected
):
    assert bind_leg(port, leg_reuse) == ""
    assert outcome(holder, ANY[family], port, service_reuse) == expected


# --- pairs that do not listen -------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_both_need_reuseaddr(port, bind_leg, first, second):
    assert bind_leg(port, first) == ""
    assert bind_leg(port, second) == ("" if first and second else "EADDRINUSE")


@pytest.mark.parametrize("is_reuse, expected", [(True, ""), (False, "EADDRINUSE")])
def test_accepted_sockets_inherit_it(
    lab, family, port, resources, is_reuse, expected
):
    """A flow *to* srv:p holds srv:p, where a flow *from* srv:p wants to be."""
    keep = resources.enter_context
    keep(interception(lab.gw))
    intercepting = keep(transparent(lab.gw, family))
    reuse(intercepting, is_reuse)
    intercepting.bind((LOOPBACK[family], PORT))
    intercepting.listen()
    keep(lab.cli.connect((lab.srv.address(family), port)))
    keep(accept(intercepting))
    of_server = keep(transparent(lab.gw, family))
    assert outcome(of_server.bind, (lab.srv.address(family), port)) == expected


def test_one_client_port_to_two_servers(lab, family, port, resources):
    keep = resources.enter_context
    intercepting = keep(listener(lab.gw, family))
    keep(interception(lab.gw))
    flows = []
    for server in (lab.srv, lab.srv2):
        to_server = keep(server.listen(family, 80))
        client = keep(lab.cli.connect(to_server.getsockname(), port))
        one = keep(accept(intercepting))
        two = keep(leg(lab.gw, one.getpeername(), one.getsockname()))
        end = keep(accept(to_server))
        assert end.getpeername()[:2] == (lab.cli.address(family), port)
        flows += [(client, one), (two, end)]
    for a, b in flows:
        assert_alive(a, b)


def test_one_client_port_to_one_server_only_once(lab, family, port, resources):
    to_server = resources.enter_context(lab.srv.listen(family, 80))
    resources.enter_context(interception(lab.gw))
    source, to = (lab.cli.address(family), port), to_server.getsockname()
    resources.enter_context(leg(lab.gw, source, to))
    assert outcome(leg, lab.gw, source, to) == "EADDRNOTAVAIL"


# --- TIME_WAIT on the server leg ----------------------------------------------


class Server:
    """srv:80, and legs to it in the client's name."""

    def __init__(self, lab, family: str, resources):
        self._gw: Namespace = lab.gw
        self._client = lab.cli.address(family)
        self._listener = resources.enter_context(lab.srv.listen(family, 80))

    def open(self, port: int) -> tuple[socket.socket, socket.socket]:
        ours = leg(self._gw, (self._client, port), self._listener.getsockname())
        return ours, accept(self._listener)

    def close_one(self, port: int, who: str) -> None:
        """A connection that `who` ends first: leg, server, or a reset."""
        ours, theirs = self.open(port)
        if who == "reset":
            reset(ours)
        else:
            first, second = (theirs, ours) if who == "server" else (ours, theirs)
            finish(first)
            assert second.recv(1) == b""
            finish(second)
            assert first.recv(1) == b""
            ours.close()
        theirs.close()

    def again(self, port: int) -> str:
        """The outcome of another flow of that port; it must work, if it begins."""
        try:
            ours, theirs = self.open(port)
        except OSError as problem:
            return ending(problem)
        with ours, theirs:
            assert_alive(ours, theirs)
        return ""


@pytest.fixture
def server(lab, family, resources):
    resources.enter_context(interception(lab.gw))
    return Server(lab, family, resources)


@pytest.fixture(params=[0, 1, 2], ids=["reuse0", "reuse1", "reuse2"])
def tw_reuse(request, lab, resources):
    values = {"net.ipv4.tcp_tw_reuse": request.param}
    with contextlib.suppress(FileNotFoundError):
        lab.gw.sysctl(TW_REUSE_DELAY)
        values[TW_REUSE_DELAY] = 1
    resources.enter_context(lab.gw.sysctls(values))


def is_in(state: str, host: Namespace, port: int) -> bool:
    return bool(host.run("ss", "-Htan", "state", state, f"sport = :{port}").stdout)


def test_time_wait_with_timestamps_is_taken_over(lab, server, port, tw_reuse):
    server.close_one(port, "leg")
    assert is_in("time-wait", lab.gw, port)
    assert server.again(port) == ""


@pytest.mark.parametrize("without", ["gw", "srv"])
def test_time_wait_without_timestamps_stays(
    lab, server, port, tw_reuse, without, resources
):
    off = {"net.ipv4.tcp_timestamps": 0}
    with getattr(lab, without).sysctls(off):
        server.close_one(port, "leg")
    assert server.again(next(ports)) == ""
    assert server.again(port) == "EADDRNOTAVAIL"


@pytest.mark.parametrize("who", ["server", "reset"])
def test_no_time_wait_if_the_leg_is_not_first(lab, server, port, who):
    with lab.gw.sysctls({"net.ipv4.tcp_timestamps": 0}):
        server.close_one(port, who)
    assert not is_in("time-wait", lab.gw, port)
    assert server.again(port) == ""


def test_time_wait_is_no_matter_of_bind(lab, family, server, port, bind_leg):
    with lab.gw.sysctls({"net.ipv4.tcp_timestamps": 0}):
        server.close_one(port, "leg")
    assert bind_leg(port, is_reuse=False) == "EADDRINUSE"
    assert bind_leg(port) == ""
    with lab.srv2.listen(family, 80) as another:
        source = (lab.cli.address(family), port)
        leg(lab.gw, source, another.getsockname()).close()


def test_takeover_resets_a_server_that_has_not_closed(lab, server, port):
    ours, half_closed = server.open(port)
    with half_closed:
        ours.close()
        assert half_closed.recv(1) == b""
        wait_for("the ACK of FIN", lambda: is_in("fin-wait-2", lab.gw, port))
        assert server.again(port) == ""
        assert outcome(half_closed.send, b"x") == "EPIPE"  # RST in CLOSE_WAIT
