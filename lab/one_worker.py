# SPDX-License-Identifier: Apache-2.0
"""Fixtures for scenarios with a daemon of their own that has one worker.

With one worker, limits "per worker" are limits.  `start` runs a scenario
twice, as `gateway` does elsewhere: [plain] starts nothing and gives None.
Import the fixtures by name; `start` needs `start_waylay` and `clean_host`.
"""

import select
import socket
from collections.abc import Callable

import pytest

import waylay
from observers import HostState, assert_same_state

MEGA = 1 << 20
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])
WHO = pytest.mark.parametrize("who", ["client", "server"])
ON_FAILURE = pytest.mark.parametrize("on_failure", ["open", "closed"])
ANY = {"v4": "0.0.0.0", "v6": "::"}

StartDaemon = Callable[..., waylay.Daemon | None]


@pytest.fixture
def clean_host(lab):
    before = HostState(lab.gw)
    yield
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture
def start_waylay(lab, clean_host, resources) -> StartDaemon:
    """start_waylay("limits { ... }"): a serving daemon."""

    def started(more: str = "", on_failure: str = "open") -> waylay.Daemon:
        text = waylay.config(on_failure, more=more, workers=1)
        return resources.enter_context(waylay.Daemon(lab.gw, text))

    return started


@pytest.fixture(params=["plain", "waylay"])
def start(request, start_waylay) -> StartDaemon:
    """The same; None on the plain gateway."""
    return start_waylay if request.param == "waylay" else lambda *_, **__: None


@pytest.fixture
def udp_server(lab, family, resources) -> Callable[[int], socket.socket]:
    """udp_server(5000): a socket of srv."""
    return lambda port: resources.enter_context(lab.srv.udp(family, port))


def counters(daemon: waylay.Daemon) -> dict[str, int]:
    return daemon.status()["counters"]


def is_empty(s: socket.socket) -> bool:
    return not select.select([s], [], [], 0)[0]


def ask(client: socket.socket, server: socket.socket) -> tuple:
    """A datagram and its answer; whom the server saw."""
    client.sendto(b"question", server.getsockname())
    data, peer = server.recvfrom(100)
    assert data == b"question"
    server.sendto(b"answer", peer)
    data, answered_by = client.recvfrom(100)
    assert (data, answered_by[:2]) == (b"answer", server.getsockname()[:2])
    return peer[:2]
