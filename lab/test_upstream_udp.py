# SPDX-License-Identifier: Apache-2.0
"""UDP through real proxies.

    cli ── lan0 ─ gw: waylayd ─ wan1 ── srv2: danted, ss-local
                       └─────── wan0 ── srv: a UDP server

The server port chooses the proxy.  The plain gateway takes the same datagrams
to srv itself.  What proxies do wrong is in test_upstream_udp_faults.py.
"""

import pytest

import proxies
import waylay
from datagrams import client, server
from topology import NETS, UP

SERVER_PORTS = {proxies.Danted: 8001, proxies.Shadowsocks: 8002}
PROXY_PORTS = {proxies.Danted: 1080, proxies.Shadowsocks: 1084}

UPSTREAMS = "\n".join(
    f"upstream {kind.__name__}-{f} {{ via socks5 {UP[f]}:{port}; udp on }}"
    for kind, port in PROXY_PORTS.items()
    for f in UP
)
RULES = "\n".join(
    f"dst {NETS[f]} port {port} -> {kind.__name__}-{f}"
    for kind, port in SERVER_PORTS.items()
    for f in UP
)
CONFIG = f"""
engine {waylay.ENGINE}; workers 1; on-failure closed
intercept lan {{ from lan0; udp any }}
{UPSTREAMS}
rules {{
{RULES}
default -> direct
}}
"""


@pytest.fixture(scope="module", params=PROXY_PORTS)
def real(request, lab):
    kind = request.param
    proxy = kind(lab.srv2, port=PROXY_PORTS[kind])
    proxy.server_port = SERVER_PORTS[kind]
    yield proxy
    proxy.close()


def test_datagrams_go_both_ways(lab, gateway, real, family, resources):
    far = server(lab, family, resources, real.server_port)
    near = client(lab, resources, far)
    for size in (1, 0, 1200, 1400):
        near.send(bytes(size))
        question, peer = far.recvfrom(2000)
        assert len(question) == size
        believed = lab.srv2 if gateway.is_waylay else lab.cli
        assert peer[0] == believed.address(family)
        far.sendto(bytes(size), peer[:2])
        assert len(near.recv(2000)) == size


def test_many_datagrams_at_once_arrive_in_order(lab, gateway, real, family, resources):
    """More than what is held while the association opens would lose some: 12."""
    far = server(lab, family, resources, real.server_port)
    near = client(lab, resources, far)
    for number in range(12):
        near.send(bytes([number]))
    assert [far.recv(10)[0] for _ in range(12)] == list(range(12))


# ss-server takes a port for each server.
@pytest.mark.parametrize("real", [proxies.Danted], indirect=True)
def test_a_client_socket_keeps_its_address(lab, gateway, real, family, resources):
    """R-NAT-3: two servers see the same client address and port."""
    one = server(lab, family, resources, real.server_port)
    near = resources.enter_context(lab.cli.udp(family))
    seen = set()
    for _ in range(2):
        near.sendto(b"?", one.getsockname()[:2])
        seen.add(one.recvfrom(10)[1][:2])
    assert len(seen) == 1
