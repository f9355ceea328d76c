# SPDX-License-Identifier: Apache-2.0
"""Gigabytes through flows that are cut through: `make soak`.

2 GB each way with SHA-256, over clean paths and over paths that lose one packet
in a hundred, with links of unlike MTUs, with the daemon killed and started again
in the middle, and thousands of short flows beside.  WAYLAY_SOAK_BYTES makes it
shorter or longer.
"""

import contextlib
import os
import threading

import pytest

import waylay
from cut_case import joined, make_cut
from endings import assert_alive, assert_stream_arrives
from test_cut import assert_both_ways, wait_cut
from topology import Lab

BYTES = int(os.environ.get("WAYLAY_SOAK_BYTES", str(2 << 30)))
CONFIG = waylay.config(cut="on")
LOSS = """
table inet loss {
    chain input {
        type filter hook input priority 0;
        meta l4proto tcp numgen random mod 100 == 0 counter drop
    }
}
"""


@pytest.fixture
def world():
    with Lab() as lab, waylay.Daemon(lab.gw, CONFIG) as daemon:
        yield lab, waylay.Gateway(lab.gw, daemon)


@pytest.mark.parametrize("loss", ["clean", "lossy"])
@pytest.mark.parametrize("when", ["before", "in flight"])
def test_two_gigabytes_each_way(world, family, resources, loss, when):
    lab, gateway = world
    if loss == "lossy":
        for host in (lab.cli, lab.srv):
            host.nft(LOSS)
    client, server = joined(lab.cli, lab.srv, family, resources)
    if when == "before":
        make_cut(gateway, client, server)
    assert_both_ways(client, server, BYTES)


@pytest.mark.parametrize("client_mtu,server_mtu", [(9000, 1500), (1500, 1280), (1280, 9000)])
def test_unlike_mtus(world, family, resources, client_mtu, server_mtu):
    lab, gateway = world
    for host, ifname, mtu in (
        (lab.gw, "lan0", client_mtu),
        (lab.cli, "eth0", client_mtu),
        (lab.gw, "wan0", server_mtu),
        (lab.srv, "eth0", server_mtu),
    ):
        host.ip("link", "set", ifname, "mtu", str(mtu))
    client, server = joined(lab.cli, lab.srv, family, resources)
    make_cut(gateway, client, server)
    assert_both_ways(client, server, BYTES)


def test_the_daemon_is_killed_in_the_middle(world, family, resources):
    lab, gateway = world
    client, server = joined(lab.cli, lab.srv, family, resources)
    make_cut(gateway, client, server)
    transfer = threading.Thread(target=assert_both_ways, args=(client, server, BYTES))
    transfer.start()
    for _ in range(5):
        gateway.daemon.kill()
        gateway.daemon.start()
        wait_cut(gateway, client.getsockname())
    transfer.join()


def test_thousands_of_short_flows(world, family, resources):
    """Cut at every moment of a short life."""
    lab, gateway = world
    for n in range(3000):
        with contextlib.ExitStack() as one:
            client, server = joined(lab.cli, lab.srv, family, one)
            for _ in range(n % 40):
                assert_alive(client, server)
            size = (n * 7919) % 400_000
            assert_stream_arrives(client, server, size)
            assert_stream_arrives(server, client, size // 3)
