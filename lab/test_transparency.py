# SPDX-License-Identifier: Apache-2.0
"""Nobody notices: addresses, bytes and boundaries arrive as they were sent."""

import socket

import pytest

from cut_case import sockets_of
from endings import assert_urgent_in_line
from namespace import endpoint
from probe import digest_of
from programs import NAME, NameServer
from wait import wait_for

LARGE = 64 << 20
UDP_SIZES = [0, 1, 1472, 8192, 65507]
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])


# --- urgent data --------------------------------------------------------------


def test_R_TCP_11_urgent_data_stay_in_line(gateway, family, pair):
    ends = pair(family)
    for _ in range(20):
        assert_urgent_in_line(ends.client, ends.server)
        assert_urgent_in_line(ends.server, ends.client)


# --- addresses ----------------------------------------------------------------


def test_tcp_keeps_both_addresses(lab, gateway, family, resources):
    listener = resources.enter_context(lab.srv.listen(family, 80))
    client = resources.enter_context(
        lab.cli.connect((lab.srv.address(family), 80), source_port=20000)
    )
    server, peer = listener.accept()
    resources.enter_context(server)
    assert peer[:2] == (lab.cli.address(family), 20000)
    assert server.getsockname()[:2] == (lab.srv.address(family), 80)
    assert client.getpeername()[:2] == (lab.srv.address(family), 80)


def test_udp_keeps_both_addresses(lab, gateway, family, resources):
    server = resources.enter_context(lab.srv.udp(family, 5000))
    client = resources.enter_context(lab.cli.udp(family, 20000))
    client.sendto(b"question", server.getsockname())
    data, peer = server.recvfrom(100)
    assert (data, peer[:2]) == (b"question", (lab.cli.address(family), 20000))
    server.sendto(b"answer", peer)
    data, peer = client.recvfrom(100)
    assert (data, peer[:2]) == (b"answer", (lab.srv.address(family), 5000))


def test_packets_reach_the_server_from_where_they_should(
    lab, gateway, family, leaks, pair
):
    ends = pair(family)
    ends.client.sendall(b"x")
    assert ends.server.recv(1) == b"x"
    assert bool(leaks.forwarded()) != gateway.is_waylay
    assert bool(leaks.own()) == gateway.is_waylay


def test_source_self_shows_the_gateway(lab, gateway, family, resources):
    listener = resources.enter_context(lab.srv.listen(family, 8081))
    resources.enter_context(lab.cli.connect((lab.srv.address(family), 8081)))
    server, peer = listener.accept()
    resources.enter_context(server)
    gateways = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}
    clients = {"v4": lab.cli.v4, "v6": lab.cli.v6}
    assert peer[0] == (gateways if gateway.is_waylay else clients)[family]


def test_two_clients_use_the_same_port(lab, gateway, family, resources):
    listener = resources.enter_context(lab.srv.listen(family, 80))
    peers = set()
    for client in (lab.cli, lab.cli2):
        to = (lab.srv.address(family), 80)
        resources.enter_context(client.connect(to, source_port=20001))
        server, peer = listener.accept()
        resources.enter_context(server)
        peers.add(peer[:2])
    assert peers == {(c.address(family), 20001) for c in (lab.cli, lab.cli2)}


def test_F51_one_client_port_to_two_servers_tcp(lab, gateway, family, resources):
    for server in (lab.srv, lab.srv2):
        listener = resources.enter_context(server.listen(family, 80))
        to = (server.address(family), 80)
        client = resources.enter_context(lab.cli.connect(to, source_port=20002))
        accepted, peer = listener.accept()
        resources.enter_context(accepted)
        assert peer[:2] == (lab.cli.address(family), 20002)
        accepted.sendall(server.name.encode())
        assert client.recv(100) == server.name.encode()


def test_F51_one_client_port_to_two_servers_udp(lab, gateway, family, resources):
    client = resources.enter_context(lab.cli.udp(family, 20003))
    servers = [resources.enter_context(s.udp(family, 53)) for s in (lab.srv, lab.srv2)]
    for server in servers:
        client.sendto(b"who?", server.getsockname())
        data, peer = server.recvfrom(100)
        assert (data, peer[:2]) == (b"who?", (lab.cli.address(family), 20003))
    for server in servers:
        server.sendto(b"I", (lab.cli.address(family), 20003))
        assert client.recvfrom(100)[1][:2] == server.getsockname()[:2]


@pytest.mark.parametrize("first_to_close", ["server", "client resets"])
def test_F51_a_client_port_is_used_again_at_once(
    lab, gateway, family, resources, first_to_close
):
    listener = resources.enter_context(lab.srv.listen(family, 80))
    for _ in range(5):
        to = (lab.srv.address(family), 80)
        wait_carried(gateway.host, 20004)
        with lab.cli.connect(to, source_port=20004) as client:
            server, peer = listener.accept()
            assert peer[:2] == (lab.cli.address(family), 20004)
            if first_to_close == "server":
                server.close()
                assert client.recv(1) == b""
                continue
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with server, pytest.raises(ConnectionResetError):
            server.recv(1)


RESET = b"\1\0\0\0\0\0\0\0"  # struct linger {1, 0}


def wait_carried(host, port: int) -> None:
    """Until the end of the last flow has reached its other side.  Before that
    its server leg has the port still, and a new one gets another (T06)."""
    wait_for(
        "no socket but in TIME_WAIT",
        lambda: all(s.split()[3] == TIME_WAIT for s in sockets_of(host, port)),
    )


TIME_WAIT = "06"  # as /proc/net/tcp has it


# --- real programs ------------------------------------------------------------


def test_curl_and_the_http_server_agree_on_addresses(lab, gateway, family, probe):
    probe(lab.srv, "tcp-server", 8080, "--mode", "http")
    to = endpoint(lab.srv.address(family), 8080)
    done = lab.cli.run(
        *("curl", "-sS", "-g", "--max-time", "10", f"http://{to}/"),
        *("--write-out", "%{local_ip} %{local_port} %{remote_ip} %{remote_port}"),
    )
    page, _, names = done.stdout.rpartition("\n")
    own_ip, own_port, peer_ip, peer_port = names.split()
    assert own_ip == lab.cli.address(family)
    assert endpoint(peer_ip, int(peer_port)) == to
    assert page == f"client {endpoint(own_ip, int(own_port))} server {to}"


@pytest.fixture(scope="module")
def name_server(lab):
    server = NameServer(lab.srv, lab.srv.v4, lab.srv.v6)
    yield server
    server.close()


@BOTH_PROTOCOLS
def test_dig_asks_a_name_server(lab, gateway, family, name_server, protocol):
    server = lab.srv.address(family)
    transport = "+tcp" if protocol == "tcp" else "+notcp"
    answer = lab.cli.run(
        *("dig", f"@{server}", transport, "+short", "+tries=1", "+timeout=5"),
        *(NAME, "A" if family == "v4" else "AAAA"),
    )
    assert answer.stdout.strip() == server
    question = name_server.wait_line("query[")
    assert f" {lab.cli.address(family)}/" in question


def test_F52_the_server_speaks_first(pair, gateway, family):
    ends = pair(family)
    ends.server.sendall(b"220 ready\r\n")
    assert ends.client.recv(100) == b"220 ready\r\n"


# --- bytes --------------------------------------------------------------------


def test_64_MiB_each_way_at_once_are_intact(lab, gateway, family, probe):
    server = probe(lab.srv, "tcp-server", 9000, "--mode", "exchange", "--bytes", LARGE)
    to = lab.srv.address(family)
    client = probe(lab.cli, "tcp-client", to, 9000, "--send", LARGE)
    for end in (client, server):
        report = end.line()
        assert report["received"] == LARGE
        assert report["sha256"] == digest_of(LARGE)
        assert report["end"] == "fin"


def test_500_short_flows_all_succeed(lab, gateway, family, probe):
    probe(lab.srv, "tcp-server", 9001, "--mode", "echo")
    client = probe(
        lab.cli, "load", lab.srv.address(family), 9001, "--flows", 500
    )
    report = client.line()
    assert (report["flows"], report["failed"]) == (500, [])


@pytest.mark.parametrize("size", UDP_SIZES)
def test_F26_datagrams_keep_their_boundaries(lab, gateway, family, probe, size):
    probe(lab.srv, "udp-server", 9002)
    to = lab.srv.address(family)
    client = probe(lab.cli, "udp-client", to, 9002, "--sizes", f"{size},{size}")
    for _ in range(2):
        report = client.line()
        assert report.get("is_equal"), report
        assert report["answered_by"] == endpoint(to, 9002)


def test_a_hundred_datagrams_stay_in_order(lab, gateway, family, resources):
    server = resources.enter_context(lab.srv.udp(family, 9003))
    client = resources.enter_context(lab.cli.udp(family))
    client.connect(server.getsockname())
    for number in range(100):
        client.send(b"%d" % number)
    assert [server.recv(10) for _ in range(100)] == [b"%d" % n for n in range(100)]


# --- UDP beyond question and answer -------------------------------------------


def test_F53_an_answer_from_another_port_arrives(lab, gateway, family, probe):
    probe(lab.srv, "udp-server", 9004, "--answer-port", 9005)
    to = lab.srv.address(family)
    report = probe(lab.cli, "udp-client", to, 9004).line()
    assert report.get("answered_by") == endpoint(to, 9005), report


def test_F53_an_unsolicited_datagram_arrives(lab, gateway, family, resources):
    client = resources.enter_context(lab.cli.udp(family, 20005))
    server = resources.enter_context(lab.srv.udp(family, 9006))
    server.sendto(b"news", client.getsockname())
    data, peer = client.recvfrom(10)
    assert (data, peer[:2]) == (b"news", server.getsockname()[:2])


def test_F53_port_unreachable_reaches_the_client(lab, gateway, family, resources):
    client = resources.enter_context(lab.cli.udp(family))
    client.connect((lab.srv.address(family), 9007))
    with pytest.raises(ConnectionRefusedError):
        client.send(b"anybody?")
        client.recv(10)
