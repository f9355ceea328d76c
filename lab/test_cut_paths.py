# SPDX-License-Identifier: Apache-2.0
"""Cut-through over paths and between hosts of every kind.

Bad wires lose, delay and double frames on both sides of the gateway; ends have
or have not what TCP can agree on; links have unlike MTUs; legs have unlike
addresses.  The bytes are the same, and a capture at each end shows nothing that
its TCP did not ask for.
"""

import contextlib
import itertools
import threading

import pytest

import waylay
from cut_case import (
    SEED,
    Capture,
    Wire,
    faults_at,
    is_cut,
    joined,
    make_cut,
    packed,
)
from endings import assert_alive, assert_stream_arrives, end_of, finish
from probe import Receiver, digest_of, send_stream
from proxies import Microsocks
from test_cut import assert_both_ways
from topology import Lab
from wait import wait_for

CONFIG = waylay.config(cut="on")
MEGA = 1 << 20


# --- bad wires ------------------------------------------------------------------------

BAD = ("--lose", 1, "--late", 3, "--twice", 1)
LAN9 = CONFIG.replace("from    lan0", "from    lan0, lan9")


@pytest.fixture(scope="module", params=["plain", "waylay"])
def bad_world(request):
    """A client and a server, each behind a bad wire."""
    with Lab() as lab:
        client = Wire(lab, lab.gw, "lan9", "198.18.6", "2001:db8:6:", *BAD, "--seed", SEED)
        server = Wire(lab, lab.gw, "wan9", "198.18.5", "2001:db8:5:", *BAD, "--seed", SEED + 1)
        with contextlib.ExitStack() as stack:
            daemon = None
            if request.param == "waylay":
                daemon = stack.enter_context(waylay.Daemon(lab.gw, LAN9))
            yield waylay.Gateway(lab.gw, daemon), client.far, server.far
        print(client.close(), server.close())


@pytest.mark.parametrize("when", ["before", "in flight"])
def test_bytes_over_bad_wires(bad_world, family, resources, when):
    gateway, client_host, server_host = bad_world
    client, server = joined(client_host, server_host, family, resources)
    if when == "before":
        make_cut(gateway, client, server)
    assert_both_ways(client, server, 6 * MEGA)


def test_many_short_flows_over_bad_wires(bad_world, family, resources):
    gateway, client_host, server_host = bad_world
    for _ in range(60):
        client, server = joined(client_host, server_host, family, resources)
        for _ in range(6):
            assert_alive(client, server)
        assert_stream_arrives(client, server, 20_000)
        assert_stream_arrives(server, client, 20_000)
        client.close()
        server.close()


# --- what the ends agree on --------------------------------------------------------------

SWITCHES = {
    "timestamps": "net.ipv4.tcp_timestamps",
    "sack": "net.ipv4.tcp_sack",
    "scaling": "net.ipv4.tcp_window_scaling",
    "ecn": "net.ipv4.tcp_ecn",
}
ON = {"timestamps": 1, "sack": 1, "scaling": 1, "ecn": 1}
SIDES = ["both", "client", "server"]


@pytest.fixture(params=itertools.product(SWITCHES, SIDES), ids="-".join)
def unlike(request, lab):
    """One option is changed at one end or both: off, and ECN on."""
    name, side = request.param
    values = {SWITCHES[name]: 1 if name == "ecn" else 0}
    with contextlib.ExitStack() as stack:
        for host, word in ((lab.cli, "client"), (lab.srv, "server")):
            if side in ("both", word):
                stack.enter_context(host.sysctls(values))
        yield request.param


def test_ends_that_agree_on_other_options(lab, gateway, unlike, family, resources):
    captures = [Capture(host, "eth0") for host in (lab.cli, lab.srv)]
    for c in captures:
        resources.callback(c.close)
    client, server = joined(lab.cli, lab.srv, family, resources)
    ends = [packed(s.getsockname()[:2]) for s in (client, server)]
    for _ in range(100):
        assert_alive(client, server)
    if gateway.is_waylay:
        # Timestamps cannot be added where one leg has none.
        can = unlike[0] != "timestamps" or unlike[1] == "both"
        if can:
            make_cut(gateway, client, server)
        else:
            assert not is_cut(gateway.daemon, client.getsockname())
    assert_both_ways(client, server, 4 * MEGA)
    for capture, end in zip(captures, ends):
        segments = capture.segments()
        assert capture.lost() == 0 and len(segments) > 100
        assert faults_at(segments, end) == []


def test_capture_in_full_flight(lab, gateway, family, resources):
    """Nothing is sent that a window did not allow, and no clock goes back."""
    captures = [Capture(host, "eth0") for host in (lab.cli, lab.srv)]
    for c in captures:
        resources.callback(c.close)
    client, server = joined(lab.cli, lab.srv, family, resources)
    ends = [packed(s.getsockname()[:2]) for s in (client, server)]
    assert_both_ways(client, server, 24 * MEGA)
    for capture, end in zip(captures, ends):
        assert capture.lost() == 0
        assert faults_at(capture.segments(), end) == []


# --- MTU -------------------------------------------------------------------------------

MTUS = [(1500, 1500), (9000, 1500), (1500, 9000), (1500, 1280), (1280, 1500), (9000, 1280)]


@pytest.fixture(params=MTUS, ids=lambda m: f"{m[0]}-{m[1]}")
def mtus(request, fresh_lab):
    """Of the client's link and the server's; the switch takes what comes."""
    client, server = request.param
    for host, ifname, mtu in (
        (fresh_lab.gw, "lan0", client),
        (fresh_lab.cli, "eth0", client),
        (fresh_lab.gw, "wan0", server),
        (fresh_lab.srv, "eth0", server),
    ):
        host.ip("link", "set", ifname, "mtu", str(mtu))
    for port in ("gw", "cli", "cli2"):
        fresh_lab._switch.ip("link", "set", port, "mtu", "9000")
    fresh_lab._switch.ip("link", "set", "br0", "mtu", "9000")
    return request.param


@pytest.mark.parametrize("variant", ["plain", "waylay"])
def test_links_with_unlike_mtus(fresh_lab, mtus, variant, family, resources):
    daemon = None
    if variant == "waylay":
        daemon = resources.enter_context(waylay.Daemon(fresh_lab.gw, CONFIG))
    client, server = joined(fresh_lab.cli, fresh_lab.srv, family, resources)
    make_cut(waylay.Gateway(fresh_lab.gw, daemon), client, server)
    assert_both_ways(client, server, 8 * MEGA)


def test_a_narrow_path_beyond(fresh_lab, family, resources):
    """Its router says so by ICMP, and quotes what we have rewritten."""
    fresh_lab.add_far()
    text = CONFIG
    daemon = resources.enter_context(waylay.Daemon(fresh_lab.gw, text))
    client, server = joined(fresh_lab.cli, fresh_lab.far, family, resources)
    make_cut(waylay.Gateway(fresh_lab.gw, daemon), client, server)
    assert_both_ways(client, server, 4 * MEGA)


# --- legs with unlike addresses -----------------------------------------------------------


def test_legs_with_addresses_of_their_own(lab, gateway, family, resources):
    """Port 8081 goes by `source self`."""
    with lab.srv.listen(family, 8081) as listener:
        client = resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))
        server = resources.enter_context(listener.accept()[0])
    server.settimeout(5)
    if gateway.is_waylay:
        assert server.getpeername()[0] != client.getsockname()[0]
    make_cut(gateway, client, server)
    assert_both_ways(client, server, 16 * MEGA)


def test_through_a_socks_proxy(fresh_lab, family, resources):
    """Which stands on srv2, and is not waylay's."""
    lab = fresh_lab
    proxy = resources.enter_context(contextlib.closing(Microsocks(lab.srv2)))
    proxy.begin()
    text = CONFIG.replace("upstream myself { via direct; source self }", "").replace(
        "port 8081 -> myself", "port 8082 -> proxy"
    ) + f"\nupstream proxy {{ via socks5 {proxy.at(family)} }}\n"
    lab.srv2.ip("route", "replace", "default", "via", "203.0.113.1")
    daemon = resources.enter_context(waylay.Daemon(lab.gw, text))
    with lab.srv.listen(family, 8082) as listener:
        client = resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))
        server = resources.enter_context(listener.accept()[0])
    server.settimeout(5)
    gateway = waylay.Gateway(lab.gw, daemon)
    talk_until_cut(gateway, client, server)
    assert_moves(client, server, 16 * MEGA)
    assert_moves(server, client, 16 * MEGA)
    assert is_cut(gateway.daemon, client.getsockname())
    finish(client)
    assert end_of(server) == "fin"


def assert_moves(sender, to, size: int) -> None:
    """Without FIN: this proxy carries none in one direction alone."""
    thread = threading.Thread(target=send_stream, args=(sender, size))
    thread.start()
    receiver = Receiver(to)
    receiver.receive_all(size)
    thread.join()
    assert (receiver.count, receiver.digest.hexdigest()) == (size, digest_of(size))


def talk_until_cut(gateway, client, server) -> None:
    """The proxy's own connection passes the gateway, too: not all sockets go."""

    def talked() -> bool:
        for _ in range(4):
            assert_alive(client, server)
        return is_cut(gateway.daemon, client.getsockname())

    wait_for("the flow is cut through", talked, 10)


# --- UDP ------------------------------------------------------------------------------------


def test_datagrams_are_let_through(lab, gateway, family, resources):
    server = resources.enter_context(lab.srv.udp(family, 7300))
    client = resources.enter_context(lab.cli.udp(family, 27300))
    client.connect(server.getsockname()[:2])

    def talk() -> None:
        client.send(b"question")
        data, peer = server.recvfrom(100)
        assert (data, peer[:2]) == (b"question", client.getsockname()[:2])
        server.sendto(b"answer", peer)
        assert client.recv(100) == b"answer"

    def talked() -> bool:
        for _ in range(8):
            talk()
        return not gateway.is_waylay or is_cut(gateway.daemon, client.getsockname())

    wait_for("the datagrams pass in the packet path", talked, 10)
    for _ in range(50):
        talk()
