# SPDX-License-Identifier: Apache-2.0
"""The data plane: what it takes, what it leaves alone, in odd kernels too.

The module's gateway intercepts lan0 and the late interface lan9, except
everything to srv2, port 9090, and all from cli2.  `far` lies behind a path
MTU of 1300; see topology.py.
"""

import ipaddress
import socket
from collections.abc import Iterator

import pytest

import waylay
from endings import assert_stream_arrives, connection_outcome
from namespace import Namespace, family_of
from observers import LeakObserver
from topology import Lab
from wait import wait_for

CONFIG = waylay.config(
    excepts="""
    except  dst 203.0.113.0/24, 2001:db8:3::/64
    except  src 192.0.2.11, 2001:db8:1::11
    except  port 9090"""
).replace("lan0", "lan0, lan9")

MEGA = 1 << 20


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """With `far` from the beginning: it adds an interface to the gateway."""
    with Lab() as lab:
        lab.add_far()
        yield lab


@pytest.fixture
def far(lab) -> Namespace:
    return lab.far


def assert_tcp_works(client: Namespace, server: Namespace, family: str, port=80):
    with server.listen(family, port) as listener:
        with client.connect(listener.getsockname()[:2]) as c:
            s, peer = listener.accept()
            with s:
                assert peer[0] == client.address(family)
                assert_stream_arrives(c, s, 100_000)
                assert_stream_arrives(s, c, 100_000)


def assert_udp_works(client: Namespace, server: Namespace, family: str, port=5000):
    with server.udp(family, port) as s, client.udp(family) as c:
        c.sendto(b"question", s.getsockname())
        data, peer = s.recvfrom(100)
        assert (data, peer[0]) == (b"question", client.address(family))
        s.sendto(b"answer", peer)
        assert c.recvfrom(100)[1][:2] == s.getsockname()[:2]


# --- kernels that are set up differently --------------------------------------

SETTINGS = {
    "F23_K4_src_valid_mark": {"net.ipv4.conf.all.src_valid_mark": 1},
    "F23_K4_rp_filter_strict": {
        "net.ipv4.conf.all.rp_filter": 1,
        "net.ipv4.conf.lan0.rp_filter": 1,
        "net.ipv4.conf.wan0.rp_filter": 1,
    },
    "F23_K4_both": {
        "net.ipv4.conf.all.src_valid_mark": 1,
        "net.ipv4.conf.all.rp_filter": 1,
    },
    "F23_rp_filter_loose": {"net.ipv4.conf.all.rp_filter": 2},
    "K10_syn_cookies_always": {"net.ipv4.tcp_syncookies": 2},
    "K10_no_syn_cookies": {"net.ipv4.tcp_syncookies": 0},
    "K18_marks_are_reflected": {
        "net.ipv4.tcp_fwmark_accept": 1,
        "net.ipv4.fwmark_reflect": 1,
        "net.ipv6.fwmark_reflect": 1,
    },
    "no_timestamps": {"net.ipv4.tcp_timestamps": 0},
    "no_early_demux": {"net.ipv4.ip_early_demux": 0},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_it_works_with_sysctls(lab, gateway, family, settings):
    with lab.gw.sysctls(settings):
        assert_tcp_works(lab.cli, lab.srv, family)
        assert_udp_works(lab.cli, lab.srv, family)


TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
SEND_QUEUE, REPAIR_OFF_NO_PROBE = 2, -1


def start_at(s: socket.socket, sequence: int) -> None:
    for name, value in (
        (TCP_REPAIR, 1),
        (TCP_REPAIR_QUEUE, SEND_QUEUE),
        (TCP_QUEUE_SEQ, sequence),
        (TCP_REPAIR, REPAIR_OFF_NO_PROBE),
    ):
        s.setsockopt(socket.IPPROTO_TCP, name, value)


HOOKS = {"prerouting": -150, "input": 0, "forward": 0, "output": 0}


@pytest.mark.parametrize("hook", HOOKS)
def test_K15_a_firewall_that_drops_invalid_harms_no_flow(
    lab, gateway, family, hook, resources
):
    """Both legs have one five-tuple.  Where the client's sequence numbers lie
    ahead of those of the server leg, conntrack calls its packets invalid; the
    kernel gives alike numbers to all namespaces of one machine, so they are
    set here, once round the circle."""
    lab.gw.nft(
        f"""table inet firewall {{
            chain c {{
                type filter hook {hook} priority {HOOKS[hook]}
                ct state invalid drop
            }}
        }}"""
    )
    resources.callback(lab.gw.nft, "delete table inet firewall")
    listener = resources.enter_context(lab.srv.listen(family, 80))
    for sequence in range(-3 << 29, 4 << 29, 1 << 29):  # as setsockopt wants it
        with lab.cli.new_socket(family, socket.SOCK_STREAM) as client:
            start_at(client, sequence)
            client.connect(listener.getsockname()[:2])
            client.settimeout(5)
            with listener.accept()[0] as server:
                server.settimeout(5)
                assert_stream_arrives(client, server, 100_000)
                assert_stream_arrives(server, client, 100_000)


def test_K15_what_the_gateway_masquerades_works_and_is_masqueraded(
    lab, gateway, family, resources
):
    """A home router: the server sees the router, with waylay and without."""
    lab.gw.nft(
        """table inet router {
            chain c {
                type nat hook postrouting priority srcnat
                oifname "wan0" masquerade
            }
        }"""
    )
    resources.callback(lab.gw.nft, "delete table inet router")
    seen = gateway_address(lab, family, "wan")
    with lab.srv.listen(family, 80) as listener:
        with lab.cli.connect(listener.getsockname()[:2]) as client:
            server, peer = listener.accept()
            with server:
                assert peer[0] == seen
                assert_stream_arrives(client, server, MEGA)
                assert_stream_arrives(server, client, MEGA)
    with lab.srv.udp(family, 5000) as server, lab.cli.udp(family) as client:
        for _ in range(3):
            client.sendto(b"question", server.getsockname())
            data, peer = server.recvfrom(100)
            assert (data, peer[0]) == (b"question", seen)
            server.sendto(b"answer", peer)
            assert client.recvfrom(100)[1][:2] == server.getsockname()[:2]


# --- path MTU -----------------------------------------------------------------


def test_F25_K3_an_upload_adapts_to_a_narrow_path(lab, gateway, family, far, resources):
    listener = resources.enter_context(far.listen(family, 80))
    client = resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))
    server, peer = listener.accept()
    resources.enter_context(server)
    server.settimeout(5)
    assert peer[0] == lab.cli.address(family)
    assert_stream_arrives(client, server, 5 * MEGA)


def test_F25_datagrams_adapt_to_a_narrow_path(lab, gateway, family, far, resources):
    """The first is lost, as without a proxy; its sender tries again."""
    server = resources.enter_context(far.udp(family, 5000))
    client = resources.enter_context(lab.cli.udp(family))
    server.settimeout(0.2)

    def arrives() -> bytes:
        try:
            client.sendto(bytes(1400), server.getsockname())
            return server.recv(2000)
        except (TimeoutError, OSError):
            return b""

    assert wait_for("a datagram of 1400 bytes", arrives) == bytes(1400)


# --- what is left alone -------------------------------------------------------


@pytest.mark.parametrize("address", ["lan", "wan"])
def test_own_services_stay_reachable_tcp(lab, gateway, family, address, resources):
    own = gateway_address(lab, family, address)
    listener = resources.enter_context(lab.gw.listen(family, 22, own))
    client = resources.enter_context(lab.cli.connect((own, 22)))
    service, peer = listener.accept()
    resources.enter_context(service)
    assert peer[0] == lab.cli.address(family)
    assert service.getsockname()[0] == own
    assert_stream_arrives(client, service, 1000)


@pytest.mark.parametrize("address", ["lan", "wan"])
def test_own_services_stay_reachable_udp(lab, gateway, family, address, resources):
    own = gateway_address(lab, family, address)
    service = resources.enter_context(lab.gw.new_socket(family, socket.SOCK_DGRAM))
    service.bind((own, 123))
    client = resources.enter_context(lab.cli.udp(family))
    client.sendto(b"time?", (own, 123))
    data, peer = service.recvfrom(10)
    service.sendto(data, peer)
    assert client.recvfrom(10)[1][:2] == (own, 123)


def test_an_unused_port_of_the_gateway_is_refused(lab, gateway, family):
    with pytest.raises(ConnectionRefusedError):
        lab.cli.connect((gateway_address(lab, family, "lan"), 23))


def gateway_address(lab, family: str, side: str) -> str:
    wan = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}
    return lab.gw.address(family) if side == "lan" else wan[family]


EXCEPTS = {
    "dst": lambda lab: (lab.cli, lab.srv2, 80),
    "src": lambda lab: (lab.cli2, lab.srv, 80),
    "port": lambda lab: (lab.cli, lab.srv, 9090),
}


@pytest.mark.parametrize("which", EXCEPTS)
def test_what_is_excepted_is_merely_forwarded(lab, gateway, family, which):
    client, server, port = EXCEPTS[which](lab)
    leaks = LeakObserver(server)
    assert_tcp_works(client, server, family, port)
    assert_udp_works(client, server, family, port)
    assert leaks.forwarded() > 0
    assert leaks.own() == 0


def test_what_is_not_excepted_never_passes_by(lab, gateway, family, leaks):
    assert_tcp_works(lab.cli, lab.srv, family)
    assert_udp_works(lab.cli, lab.srv, family)
    assert (leaks.forwarded() == 0) == gateway.is_waylay
    assert (leaks.own() > 0) == gateway.is_waylay


def test_traffic_of_the_gateway_itself_is_left_alone(lab, gateway, family, resources):
    listener = resources.enter_context(lab.srv.listen(family, 80))
    resources.enter_context(lab.gw.connect(listener.getsockname()[:2]))
    server, peer = listener.accept()
    resources.enter_context(server)
    assert peer[0] == {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}[family]


def test_connections_from_the_server_side_pass(lab, gateway, family, resources):
    """wan0 is not intercepted, even though its packets go to a client."""
    listener = resources.enter_context(lab.cli.listen(family, 8000))
    resources.enter_context(lab.srv.connect(listener.getsockname()[:2]))
    accepted, peer = listener.accept()
    resources.enter_context(accepted)
    assert peer[0] == lab.srv.address(family)


# --- interfaces that come and go ----------------------------------------------


def test_F20_an_interface_that_appears_later_is_intercepted(lab, gateway):
    """Twice: the second time it is another interface of the same name."""
    leaks = LeakObserver(lab.srv)
    if gateway.is_waylay:
        gateway.daemon.wait_log("waiting for interface lan9")
    for _ in range(2):
        client = lab.add_client_link("lan9")
        try:
            if gateway.is_waylay:
                wait_for("lan9 in status", lambda: is_present(gateway.daemon, "lan9"))
            leaks.reset()
            for family in ("v4", "v6"):
                assert_tcp_works(client, lab.srv, family)
                assert_udp_works(client, lab.srv, family)
            assert bool(leaks.own()) == gateway.is_waylay
            assert bool(leaks.forwarded()) != gateway.is_waylay
        finally:
            lab.gw.ip("link", "del", "lan9")
            client.close()
        if gateway.is_waylay:
            wait_for("lan9 gone", lambda: not is_present(gateway.daemon, "lan9"))


def is_present(daemon: waylay.Daemon, ifname: str) -> bool:
    return any(
        i["name"] == ifname and i["is_present"]
        for intercept in daemon.status()["intercepts"]
        for i in intercept["interfaces"]
    )


# --- attacks on the listeners (waylay only: a plain gateway has none) ---------


def own_addresses(lab) -> list[str]:
    return [
        *("192.0.2.1", "198.51.100.1", "203.0.113.1"),
        *("2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1"),
    ]


def listeners(lab, option: str) -> list[tuple[str, int]]:
    """Every socket on the gateway that waits: option -t (TCP) or -u (UDP)."""
    text = lab.gw.run("ss", "-Hln", option).stdout
    names = (line.split()[3].rpartition(":") for line in text.splitlines())
    return [(address.strip("[]"), int(port)) for address, _, port in names]


@pytest.mark.parametrize("origin", ["cli", "gw"])
def test_T01_T03_a_direct_connection_to_a_listener_is_refused(lab, gateway, origin):
    origin = getattr(lab, origin)
    loopback = ["127.0.0.1", "::1"] if origin is lab.gw else []
    ports = {port for _, port in listeners(lab, "-t")} or {15001}
    for address in own_addresses(lab) + loopback:
        for port in ports:
            outcome = connection_outcome(lambda: origin.connect((address, port)))
            assert outcome in ("ECONNREFUSED", "rst"), (address, port)
    if gateway.is_waylay:
        assert_no_leg(gateway.daemon, ports)


def assert_no_leg(daemon: waylay.Daemon, ports: set[int]) -> None:
    """No flow, living or ended, has a listener as its server."""
    for flow in daemon.ended() + daemon.flows():
        assert int(flow["server"].rpartition(":")[2]) not in ports, flow


@pytest.mark.parametrize("size", [0, 1, 1400, 8000])
def test_T02_a_datagram_to_a_listener_is_not_answered(lab, gateway, size):
    """Neither by data nor by ICMP; the plain gateway answers port unreachable."""
    if not gateway.is_waylay:
        assert answers_to_datagram(lab, ("127.0.0.1", 15001), size)
        return
    waiting = listeners(lab, "-u")
    assert waiting
    for listener in waiting:
        assert not answers_to_datagram(lab, listener, size)
    assert_no_leg(gateway.daemon, {port for _, port in waiting})


def answers_to_datagram(lab, to: tuple[str, int], size: int) -> str:
    """Sent by the gateway itself, the only host that reaches a loopback address."""
    with lab.gw.udp(family_of(to[0])) as s:
        s.connect(to)
        s.send(bytes(size))
        assert_udp_works(lab.cli, lab.srv, "v4")  # time enough for an answer
        s.setblocking(False)
        try:
            return repr(s.recv(10))
        except BlockingIOError:
            return ""
        except OSError as problem:
            return str(problem)


# --- destinations that are nobody's server ------------------------------------

SPECIAL = [
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3"),
    *("224.0.0.1", "224.0.0.251", "239.1.1.1"),
    *("255.255.255.255", "192.0.2.255", "198.51.100.255"),
    *("::1", "::", "ff02::1", "ff02::fb", "ff0e::1", "fe80::1"),
    "::ffff:127.0.0.1",
]
ANSWERS = """
table inet answers
delete table inet answers
table inet answers {
    counter syn_acks { }
    chain prerouting {
        type filter hook prerouting priority -450;
        tcp dport 5555 tcp flags & (syn | ack) == syn | ack counter name syn_acks
    }
}
"""


@pytest.mark.parametrize("destination", SPECIAL)
def test_T07_special_destinations_are_not_relayed(lab, gateway, resources, destination):
    canary = resources.enter_context(lab.gw.listen("v4", 8088, "127.0.0.1"))
    lab.cli.nft(ANSWERS)
    send_raw(lab, destination, 8088)
    assert_tcp_works(lab.cli, lab.srv, "v4")  # all before it has been handled
    counters = lab.cli.run("nft", "list", "counters", "table", "inet", "answers")
    assert "packets 0" in counters.stdout
    canary.setblocking(False)
    with pytest.raises(BlockingIOError):
        canary.accept()
    if gateway.is_waylay:
        servers = [f["server"] for f in gateway.daemon.ended() + gateway.daemon.flows()]
        assert not [s for s in servers if s.endswith(":8088")]


def send_raw(lab, destination: str, port: int) -> None:
    """A SYN and a datagram that no routing table of the client would send."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    mac = lab.gw.run("cat", "/sys/class/net/lan0/address").stdout.strip()
    is_v6 = ipaddress.ip_address(destination).version == 6
    source = lab.cli.v6 if is_v6 else lab.cli.v4
    network = (IPv6 if is_v6 else IP)(src=source, dst=destination)
    with lab.cli.inside():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with wire:
            wire.bind(("eth0", 0))
            for transport in (TCP(sport=5555, dport=port), UDP(sport=5555, dport=port)):
                wire.send(bytes(Ether(dst=mac) / network / transport))
