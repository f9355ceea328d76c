# SPDX-License-Identifier: Apache-2.0
"""Packets handed to other programs, by texts that are used as they stand.

    client ── eth1 ─────────┐                   ┌─ wan0 ── srv   SOCKS5 server
    192.168.1.10            ├─ gw: waylayd,     │                198.51.100.10
    fd00:1::10              │  squid, haproxy,  ├─ wan1 ── srv2  10.0.0.5:8080
    app ── veth-apps1 ──────┘  redsocks         │
                                                └─ wan2 ── rtr2: waylayd ── far

`waylay config example` prints both halves for HAProxy and redsocks (for Squid:
test_squid.py); doc/examples/handoff.conf is the example of the documents.  Here
each of them runs unchanged, but for the word `auto` where an engine is asked
for.  What a router without waylay shows is in test_delivery.py.
"""

import pytest

import printed
import proxies
import waylay
from each_engine import require
from endings import assert_alive, assert_stream_arrives
from namespace import Namespace, endpoint
from observers import HostState, LeakObserver, assert_same_state
from test_squid import Answer, add_client
from topology import Lab, set_client_ttl

EXAMPLE = waylay.ROOT / "doc/examples/handoff.conf"
MEGA = 1 << 20
APP = "10.0.0.5"

ENGINE = pytest.mark.parametrize("engine", ["auto", "ebpf", "nft", "iptables"])


@pytest.fixture(scope="module")
def client(lab):
    return add_client(lab)


@pytest.fixture
def clean_host(lab, client):
    before = HostState(lab.gw)
    yield
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture
def start(lab, clean_host, resources):
    """start(text, engine): a serving daemon with this text."""

    def started(text: str, engine: str = "auto") -> waylay.Daemon:
        if engine != "auto":
            require(engine)
        assert text.count("auto") == 1
        text = text.replace("auto", engine)
        return resources.enter_context(waylay.Daemon(lab.gw, text))

    return started


@pytest.fixture
def run(resources):
    """run(proxies.Danted, host): ended when the scenario is."""

    def started(kind, host: Namespace, *how) -> proxies.Proxy:
        proxy = kind(host, *how)
        resources.callback(proxy.close)
        return proxy

    return started


class Flow:
    """Both ends of a connection to `server`."""

    def __init__(self, client: Namespace, server: Namespace, family: str, port: int):
        with server.listen(family, port) as listener:
            self.client = client.connect(listener.getsockname()[:2])
            self.server, peer = listener.accept()
        self.server.settimeout(5)
        self.peer, self.own = peer[:2], self.client.getsockname()[:2]

    def __enter__(self) -> "Flow":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()


# --- as they are printed ----------------------------------------------------------


@ENGINE
def test_haproxy(lab, client, start, run, family, engine):
    start(printed.example("haproxy")[0], engine)
    run(printed.TransparentHAProxy, lab.gw)
    leaks = LeakObserver(lab.srv)
    with Flow(client, lab.srv, family, 443) as flow:
        assert flow.peer[0] == client.address(family)
        assert flow.client.getpeername()[0] == lab.srv.address(family)
        assert_stream_arrives(flow.client, flow.server, 2 * MEGA)
        assert_stream_arrives(flow.server, flow.client, 2 * MEGA)
    assert leaks.forwarded() == 0 and leaks.own() > 0


NAT = """
table inet others {
    chain prerouting {
        type nat hook prerouting priority dstnat
        iifname "eth1" meta l4proto tcp redirect to :12345
    }
}
"""


@pytest.fixture
def nat_of_redsocks(lab):
    """What its users have, by its own README."""
    lab.gw.nft(NAT)
    yield
    lab.gw.run("nft", "delete", "table", "inet", "others")


@ENGINE
def test_redsocks_tcp(
    lab, client, clean_host, nat_of_redsocks, start, run, family, engine
):
    """NAT rules stay as they are; waylay has the port."""
    start(printed.example("redsocks")[0], engine)
    run(proxies.Danted, lab.srv)
    with Flow(client, lab.srv2, family, 8000) as flow:
        assert flow.peer[0] == lab.srv.address(family)
        assert flow.client.getpeername()[0] == lab.srv2.address(family)
        assert_stream_arrives(flow.server, flow.client, 2 * MEGA)


@ENGINE
def test_redsocks_udp(lab, client, start, run, resources, engine):
    """Its own part, a transparent UDP program."""
    start(printed.example("redsocks")[0], engine)
    run(proxies.Danted, lab.srv)
    run(printed.Redudp, lab.gw)
    leaks = LeakObserver(lab.srv2)
    for port in (5000, 5001):
        server = resources.enter_context(lab.srv2.udp("v4", port))
        one = resources.enter_context(client.udp("v4"))
        one.sendto(b"question", server.getsockname())
        data, peer = server.recvfrom(100)
        assert (data, peer[0]) == (b"question", lab.srv.v4)
        server.sendto(b"answer", peer)
        data, who = one.recvfrom(100)
        assert (data, who) == (b"answer", server.getsockname())
    assert leaks.forwarded() == 0


# --- the example of the documents ---------------------------------------------------


@pytest.fixture(scope="module")
def app(lab):
    """A server that cannot do TPROXY: it reads PROXY headers."""
    lab.srv2.ip("address", "add", f"{APP}/32", "dev", "lo")
    lab.gw.ip("route", "add", APP, "via", lab.srv2.v4)
    receiver = proxies.HAProxyReceiver(lab.srv2, "", 8080)
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def meshed(lab):
    """A client behind an interface of the mesh."""
    client = lab.add_namespace("apps")
    lab.add_link(lab.gw, "veth-apps1", client, "198.18.5", "2001:db8:5:")
    set_client_ttl(client)
    return client


@pytest.fixture(scope="module")
def handoff(lab, client, meshed, app):
    """Squid comes first: the example requires its listener."""
    before = HostState(lab.gw)
    squid = printed.TransparentSquid(lab.gw)
    haproxy = printed.TransparentHAProxy(lab.gw)
    with waylay.Daemon(lab.gw, EXAMPLE.read_text()) as daemon:
        yield daemon
    haproxy.close()
    squid.close()
    assert_same_state(before, HostState(lab.gw))


def test_example_is_valid(handoff):
    assert "warning" not in handoff.log
    assert handoff.status()["intercepts"][0]["deliver"] == "127.0.0.1:3129"


def test_example_needs_squid(other_host):
    """`require-listener yes`, and nobody is there."""
    daemon = waylay.Daemon(other_host, EXAMPLE.read_text())
    try:
        daemon.launch()
        assert daemon.wait_end() == waylay.EXIT_FAILED
        assert "intercept web delivers to 127.0.0.1:3129/tcp" in daemon.log
    finally:
        daemon.close()


def test_example_web(lab, client, handoff, probe):
    probe(lab.srv, "tcp-server", 80, "--mode", "http")
    answer = Answer(client, lab.srv.v4)
    assert "squid" in answer.via
    assert f"client {client.v4}:" in answer.text


def test_example_tls(lab, client, handoff, leaks):
    with Flow(client, lab.srv, "v4", 443) as flow:
        assert flow.peer[0] == client.v4
        assert_alive(flow.client, flow.server)
    assert leaks.forwarded() == 0


def test_example_mesh(lab, meshed, handoff, probe):
    """Any port but two goes to whoever listens for the mesh."""
    program = probe(lab.gw, "transparent-server", 15006, "--on", "127.0.0.1")
    with meshed.connect((lab.srv.v4, 7777)) as one:
        one.sendall(b"?")
        assert one.recv(1) == b"?"
        own = one.getsockname()
    taken = program.line()
    assert (taken["peer"], taken["own"]) == (
        endpoint(*own),
        endpoint(lab.srv.v4, 7777),
    )
    with Flow(meshed, lab.srv, "v4", 9095) as flow:
        assert flow.peer == flow.own


def test_example_legacy(lab, client, handoff):
    """waylay's relay takes it, and tells the server who its client is."""
    to = (lab.srv.v4, 8080)
    with client.connect(to) as one:
        one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        text = b""
        while piece := one.recv(1000):
            text += piece
        own = one.getsockname()
    assert f"client {endpoint(*own)} server {endpoint(*to)}".encode() in text


def test_example_everything_else_passes(lab, client, handoff, family, leaks):
    with Flow(client, lab.srv, family, 5000) as flow:
        assert flow.peer == flow.own
    assert leaks.forwarded() > 0


# --- a second waylayd behind the first ----------------------------------------------

SECOND = """
engine {engine}
intercept all {{ from eth0; tcp any; udp any }}
upstream out {{ via direct; source client }}
rules {{ default -> out }}
"""


@pytest.fixture(scope="module")
def row():
    """Two gateways, each with a waylayd that speaks with clients' addresses."""
    with Lab() as lab:
        lab.add_far()
        yield lab


@ENGINE
def test_T04_two_in_a_row(row, family, engine, resources):
    """Each has the flow once; the server sees the client itself."""
    lab = row
    if engine != "auto":
        require(engine)
    first = resources.enter_context(
        waylay.Daemon(lab.gw, waylay.config(engine=engine))
    )
    second = resources.enter_context(
        waylay.Daemon(lab.rtr2, SECOND.format(engine=engine))
    )
    leaks = LeakObserver(lab.far)
    with Flow(lab.cli, lab.far, family, 8000) as flow:
        assert flow.peer == flow.own
        assert_stream_arrives(flow.client, flow.server, MEGA)
        for daemon in (first, second):
            assert [f["client"] for f in daemon.flows()] == [endpoint(*flow.own)]
    ask = resources.enter_context(lab.cli.udp(family))
    answer = resources.enter_context(lab.far.udp(family, 5000))
    ask.sendto(b"question", answer.getsockname())
    data, peer = answer.recvfrom(100)
    assert (data, peer[0]) == (b"question", lab.cli.address(family))
    assert peer[1] == ask.getsockname()[1]
    answer.sendto(b"answer", peer)
    assert ask.recvfrom(100)[1][:2] == answer.getsockname()[:2]
    assert leaks.forwarded() == 0
    for daemon in (first, second):
        counters = daemon.status()["counters"]
        assert counters["loop"] == 0
        assert (counters["tcp_accepted"], counters["udp_flows"]) == (1, 1)
