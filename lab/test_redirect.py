# SPDX-License-Identifier: Apache-2.0
"""Connections that somebody's NAT rules bring to `listen`: REDIRECT.

    cli ── lan0 ─ gw: redirect to :9000, waylayd listens there ─ wan0 ── srv
                                                               └ wan1 ── srv2

The rules are those of others, by nft or by iptables, for what comes from lan0
and for what the gateway itself sends.  Ports 7000 to 7099 are intercepted on
the same interface: both ways stand beside each other.  The plain gateway has
no NAT rule either, and is a router: servers must see the same addresses.
"""

import re

import pytest

import waylay
from each_engine import gateway  # noqa: F401
from endings import (
    assert_alive,
    assert_stream_arrives,
    connection_outcome,
    end_of,
    finish,
    reset,
)
from namespace import endpoint
from wait import wait_for

PORT, SELF_PORT, TAKEN_PORT = 8000, 8081, 7000
LISTEN_PORT = 9000
SHARED_PORT = 20000
QUIET_PORTS = range(10240, 32768)
PORTS, OWN_MARK = (8000, 8099), "0x2000/0x3000"
MEGA = 1 << 20
GATEWAY = {"v4": "192.0.2.1", "v6": "2001:db8:1::1"}
TOWARDS_SRV = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}

CONFIG = f"""
engine {{engine}}; workers 2
intercept nat {{{{
    listen 0.0.0.0:{LISTEN_PORT}
    redirected from 192.0.2.0/24, 198.51.100.1, 127.0.0.1
}}}}
intercept nat6 {{{{
    listen [::]:{LISTEN_PORT}
    redirected from 2001:db8:1::/64, 2001:db8:2::1, ::1
}}}}
intercept lan {{{{ from lan0; tcp 7000-7099 }}}}
upstream out    {{{{ via direct; source client }}}}
upstream myself {{{{ via direct; source self }}}}
rules {{{{ port {SELF_PORT} -> myself; default -> out }}}}
"""


def config(engine: str) -> str:
    return CONFIG.format(engine=engine)


# --- the rules of others ---------------------------------------------------------

NFT = """
table inet others {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        iifname "lan0" {proto} dport {first}-{last} redirect to :{to}
    }}
    chain output {{
        type nat hook output priority -100
        {unless} {proto} dport {first}-{last} redirect to :{to}
    }}
}}
"""


class Nft:
    """`redirect` in a table of their own."""

    def __init__(self, host, spares_waylay: bool = True, proto: str = "tcp"):
        self.host = host
        first, last = PORTS
        unless = "meta mark & 0x3000 != 0x2000" if spares_waylay else ""
        host.nft(
            NFT.format(
                proto=proto, first=first, last=last, to=LISTEN_PORT, unless=unless
            )
        )

    def close(self) -> None:
        self.host.run("nft", "delete", "table", "inet", "others")


class Iptables:
    """`-j REDIRECT` of both programs."""

    def __init__(self, host, spares_waylay: bool = True, proto: str = "tcp"):
        self.host = host
        unless = ("-m", "mark", "!", "--mark", OWN_MARK) if spares_waylay else ()
        self._rule("PREROUTING", proto, "-i", "lan0")
        self._rule("OUTPUT", proto, *unless)

    def _rule(self, chain: str, proto: str, *match: str) -> None:
        first, last = PORTS
        for program in ("iptables", "ip6tables"):
            self.host.run(
                *(program, "-t", "nat", "-A", chain, *match),
                *("-p", proto, "--dport", f"{first}:{last}"),
                *("-j", "REDIRECT", "--to-ports", str(LISTEN_PORT)),
            )

    def close(self) -> None:
        for program in ("iptables", "ip6tables"):
            self.host.run(program, "-t", "nat", "-F")


@pytest.fixture(params=[Nft, Iptables])
def nat(request, lab, gateway):
    """Rules that bring connections, where there is somebody to take them."""
    if not gateway.is_waylay:
        yield None
        return
    rules = request.param(lab.gw)
    yield rules
    rules.close()


@pytest.fixture
def nft(lab, gateway):
    if not gateway.is_waylay:
        pytest.skip("there is nothing to bring connections to")
    rules = Nft(lab.gw)
    yield rules
    rules.close()


# --- flows -----------------------------------------------------------------------


class Flow:
    """Both ends of a connection from `host` to `server`."""

    def __init__(self, host, server, family: str, port: int):
        with server.listen(family, port) as listener:
            self.client = host.connect(listener.getsockname()[:2])
            self.server, peer = listener.accept()
        self.server.settimeout(5)
        self.peer = peer[:2]
        self.own = self.client.getsockname()[:2]

    def __enter__(self) -> "Flow":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()


def record_of(daemon, server, family: str) -> dict:
    """The living flow to it; NAT may have changed the client's port."""
    to = endpoint(server.address(family), PORT)
    return next(f for f in daemon.flows() if f["server"] == to)


def counter(gateway, name: str) -> int:
    return gateway.daemon.status()["counters"][name]


def test_the_destination_is_what_the_client_called(lab, gateway, nat, family, leaks):
    with Flow(lab.cli, lab.srv, family, PORT) as flow:
        assert flow.peer[0] == lab.cli.address(family)
        assert flow.client.getpeername()[0] == lab.srv.address(family)
        assert_alive(flow.client, flow.server)
        if gateway.is_waylay:
            record = record_of(gateway.daemon, lab.srv, family)
            assert lab.cli.address(family) in record["client"]
            assert record["source"] == endpoint(*flow.peer)
            assert flow.peer[1] in QUIET_PORTS  # the client uses no such
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def test_streams_both_ways_are_intact(lab, gateway, nat, family):
    with Flow(lab.cli, lab.srv, family, PORT) as flow:
        assert_stream_arrives(flow.client, flow.server, 5 * MEGA)
        assert_stream_arrives(flow.server, flow.client, 5 * MEGA)


def test_a_reset_is_carried(lab, gateway, nat, family):
    with Flow(lab.cli, lab.srv, family, PORT) as flow:
        assert_alive(flow.client, flow.server)
        reset(flow.server)
        assert end_of(flow.client) == "rst"


def test_the_gateways_own_address_if_the_rule_says_so(lab, gateway, nat, family):
    with Flow(lab.cli, lab.srv, family, SELF_PORT) as flow:
        expected = TOWARDS_SRV if gateway.is_waylay else {family: lab.cli.address(family)}
        assert flow.peer[0] == expected[family]
        assert_alive(flow.client, flow.server)


@pytest.mark.parametrize("port", [PORT, SELF_PORT])
def test_what_the_gateway_itself_opens(lab, gateway, nat, family, port):
    """From its OUTPUT; our own legs carry the mark that the rule spares."""
    with Flow(lab.gw, lab.srv, family, port) as flow:
        assert flow.peer[0] == TOWARDS_SRV[family]
        assert_stream_arrives(flow.server, flow.client, MEGA)
        finish(flow.client)
        if gateway.is_waylay:
            server = endpoint(lab.srv.address(family), port)
            gateway.daemon.wait_ended(
                server=server, source=endpoint(*flow.peer), end="finished"
            )


def test_an_intercept_on_the_same_interface(lab, gateway, nat, family):
    """Its answers to clients are kept from conntrack, those of NAT are not."""
    with Flow(lab.cli, lab.srv, family, TAKEN_PORT) as flow:
        assert flow.peer == flow.own
        assert_alive(flow.client, flow.server)


def test_many_short_flows(lab, gateway, nat, family, probe):
    probe(lab.srv, "tcp-server", PORT + 1)
    load = probe(
        *(lab.cli, "load", lab.srv.address(family), PORT + 1),
        *("--flows", 300, "--timeout", 3),
    )
    report = load.line()
    assert (report["flows"], report["failed"]) == (300, [])


# --- the rules of the manual page -----------------------------------------------------

MANUAL = waylay.ROOT / "man/waylay.conf.5.scd"
MANUAL_RULES = re.compile(r"```\n(table inet to_waylay \{\n.*?\n\})\n```", re.DOTALL)


def test_the_rules_of_the_manual(fresh_lab, family):
    """As they stand there: for eth1, port 80 and the default mark."""
    lab = fresh_lab
    client = lab.add_client_link("eth1")
    (rules,) = MANUAL_RULES.findall(MANUAL.read_text())
    lab.gw.nft(rules)
    any_source = "intercept a {{ listen {}:9000; redirected from {} }}\n"
    text = any_source.format("0.0.0.0", "0.0.0.0/0") + any_source.format("[::]", "::/0")
    text = text.replace("intercept a", "intercept b", 1)
    text = f"engine {waylay.ENGINE}; {text}"
    strict = ("--strict-sandbox",)  # what asks NAT and chance is allowed to
    with waylay.Daemon(lab.gw, text, options=strict) as daemon:
        for host in (client, lab.gw):
            with Flow(host, lab.srv, family, 80) as flow:
                assert_alive(flow.client, flow.server)
                assert flow.peer[1] in QUIET_PORTS
                assert len(daemon.flows()) == 1
        to = (lab.gw.address(family), 80)  # the gateway's own: left alone
        with lab.gw.listen(family, 80) as listener, client.connect(to) as one:
            with listener.accept()[0] as other:
                assert_alive(one, other)


# --- who is refused ------------------------------------------------------------------


def refused(gateway, name: str, connect) -> None:
    """RST, counted, and no leg was opened."""
    before, legs = counter(gateway, name), counter(gateway, "tcp_connected")
    assert connection_outcome(connect) == "rst"
    assert counter(gateway, name) == before + 1
    assert counter(gateway, "tcp_connected") == legs


def test_T01_who_calls_the_listener_itself(lab, gateway, nft, family):
    """Tracked, but by no NAT rule."""
    to = (GATEWAY[family], LISTEN_PORT)
    refused(gateway, "direct_hit", lambda: lab.cli.connect(to))


def test_T01_who_calls_the_listener_and_nobody_tracks(fresh_lab, family):
    """There is no NAT rule, and no entry that could tell a destination."""
    host = fresh_lab.gw
    host.nft(
        "table inet untracked { chain c { type filter hook prerouting "
        f"priority -400; tcp dport {LISTEN_PORT} notrack; }}; }}"
    )
    with waylay.Daemon(host, config(waylay.ENGINE)) as daemon:
        to = (GATEWAY[family], LISTEN_PORT)
        alone = waylay.Gateway(host, daemon)
        refused(alone, "direct_hit", lambda: fresh_lab.cli.connect(to))


def test_who_is_not_listed(lab, gateway, nft, family):
    to = ({"v4": "203.0.113.1", "v6": "2001:db8:3::1"}[family], LISTEN_PORT)
    refused(gateway, "header_stranger", lambda: lab.srv2.connect(to))
    gateway.daemon.wait_log("`redirected from`")


def test_T07_what_only_the_gateway_can_reach(lab, gateway, nft, family, resources):
    """Its own loopback, by the rule for what it sends."""
    loopback = {"v4": "127.0.0.1", "v6": "::1"}[family]
    listener = resources.enter_context(lab.gw.listen(family, PORT, loopback))
    listener.settimeout(0)
    refused(gateway, "direct_hit", lambda: lab.gw.connect((loopback, PORT)))
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_T04_rules_that_bring_our_own_legs_back(lab, gateway, family):
    """No mark is spared: the circle is bounded, comes undone, and is told."""
    if not gateway.is_waylay:
        pytest.skip("there is nothing to go round")
    rules = Nft(lab.gw, spares_waylay=False)
    try:
        before = counter(gateway, "loop")
        to = (lab.srv.address(family), PORT)
        assert connection_outcome(lambda: lab.gw.connect(to)) == "rst"
        assert counter(gateway, "loop") > before
        wait_for("no flow is left", lambda: not gateway.daemon.flows())
        gateway.daemon.wait_log("would have come back to waylay")
    finally:
        rules.close()
    with Flow(lab.gw, lab.srv, family, PORT) as flow:  # it has recovered
        assert_alive(flow.client, flow.server)


# --- what NAT cannot do -----------------------------------------------------------------


def test_U25_one_client_port_to_two_servers(lab, gateway, nat, family, resources):
    """After NAT both would be one connection.  This kernel keeps them apart:
    it changes the client's port of the second, and we see that one."""
    for server, can_see_port in ((lab.srv, True), (lab.srv2, not gateway.is_waylay)):
        listener = resources.enter_context(server.listen(family, PORT))
        to = listener.getsockname()[:2]
        client = resources.enter_context(lab.cli.connect(to, source_port=SHARED_PORT))
        other = resources.enter_context(listener.accept()[0])
        other.settimeout(5)
        assert_alive(client, other)
        if gateway.is_waylay:
            flows = {f["server"]: f["client"] for f in gateway.daemon.flows()}
            seen = flows[endpoint(*to)] == endpoint(*client.getsockname()[:2])
            assert seen == can_see_port


def test_udp_does_not_come_this_way(lab, gateway, family, resources):
    """Nobody listens: its destination would be lost."""
    if not gateway.is_waylay:
        pytest.skip("there is nothing to bring datagrams to")
    rules = Nft(lab.gw, proto="udp")
    try:
        client = resources.enter_context(lab.cli.udp(family))
        client.connect((lab.srv.address(family), PORT))
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
    finally:
        rules.close()


def test_the_log_says_so_once(gateway):
    if not gateway.is_waylay:
        pytest.skip("it has no log")
    said = [line for line in gateway.daemon.lines if "NAT may change" in line]
    assert len(said) == 1, gateway.daemon.log
