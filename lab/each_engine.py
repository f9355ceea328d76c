# SPDX-License-Identifier: Apache-2.0
"""Fixtures for scenarios that every engine has to pass.

`gateway` is that of conftest.py with one variant for each engine: [plain] has
no waylay, [ebpf], [nft] and [iptables] must show the same.  A module may have
config(engine), the configuration of its gateway, and WRAPPER, which starts it.
Where the kernel forces a difference, the scenario asks `engine_of(gateway)` and
says why.

ENGINE and `start_waylay` are for scenarios with a daemon of their own.
"""

import shutil
from collections.abc import Callable, Iterator

import pytest

import bpf_state
import waylay
from endings import assert_alive
from observers import HostState, LeakObserver, assert_same_state
from topology import Lab

ENGINES = ("ebpf", "nft", "iptables")
FAMILIES = ("v4", "v6")
ENGINE = pytest.mark.parametrize("engine", ENGINES)

StartDaemon = Callable[..., waylay.Daemon]


def require(engine: str) -> None:
    """Skip what cannot be here; what is here must work."""
    if engine == "ebpf" and not bpf_state.mounted():
        pytest.skip("this kernel has no bpffs")
    if engine in ("nft", "iptables") and not shutil.which(engine):
        pytest.skip(f"{engine} is not installed")


@pytest.fixture(scope="module", params=["plain", *ENGINES])
def gateway(request: pytest.FixtureRequest, lab: Lab) -> Iterator[waylay.Gateway]:
    if request.param == "plain":
        yield waylay.Gateway(lab.gw, None)
        return
    require(request.param)
    before = HostState(lab.gw)
    text = getattr(request.module, "config", usual_config)(request.param)
    wrapper = getattr(request.module, "WRAPPER", ())
    with waylay.Daemon(lab.gw, text, wrapper=wrapper) as daemon:
        assert daemon.status()["engine"] == request.param
        yield waylay.Gateway(lab.gw, daemon)
    assert_same_state(before, HostState(lab.gw))


def usual_config(engine: str) -> str:
    return waylay.config(engine=engine)


def engine_of(gateway: waylay.Gateway) -> str:
    return gateway.daemon.status()["engine"] if gateway.daemon else "plain"


@pytest.fixture
def clean_host(lab: Lab) -> Iterator[HostState]:
    before = HostState(lab.gw)
    yield before
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture
def start_waylay(lab, clean_host, resources) -> StartDaemon:
    """start_waylay("ebpf", "closed"): a serving daemon."""

    def started(engine: str, on_failure: str = "open", **how) -> waylay.Daemon:
        require(engine)
        text = waylay.config(on_failure, engine=engine, **how)
        return resources.enter_context(waylay.Daemon(lab.gw, text))

    return started


# --- traffic --------------------------------------------------------------------


def assert_relayed(lab, client, family: str, port: int = 80) -> None:
    """TCP and UDP, by nobody but waylay; the server sees the client."""
    assert_flows(lab, client, family, port, is_relayed=True)


def assert_forwarded(lab, client, family: str, port: int = 80) -> None:
    assert_flows(lab, client, family, port, is_relayed=False)


def assert_flows(lab, client, family, port, is_relayed: bool) -> None:
    leaks = LeakObserver(lab.srv)
    talk_tcp(client, lab.srv, family, port)
    talk_udp(client, lab.srv, family, port)
    assert (leaks.forwarded() == 0, leaks.own() > 0) == (is_relayed, is_relayed)


def talk_tcp(client, server, family: str, port: int = 80) -> None:
    with server.listen(family, port) as listener:
        with client.connect(listener.getsockname()[:2]) as one:
            other, peer = listener.accept()
            with other:
                other.settimeout(5)
                assert peer[:2] == one.getsockname()[:2]
                assert_alive(one, other)


def talk_udp(client, server, family: str, port: int = 80) -> None:
    with server.udp(family, port) as s, client.udp(family) as c:
        c.sendto(b"question", s.getsockname())
        data, peer = s.recvfrom(100)
        assert (data, peer[:1]) == (b"question", (client.address(family),))
        s.sendto(b"answer", peer)
        assert c.recvfrom(100)[1][:2] == s.getsockname()[:2]
