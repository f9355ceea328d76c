# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a lab for each module, and its gateway in two variants.

`gateway` runs every scenario twice.  [plain] is a router and nothing else:
what fails there is a fault of the scenario.  [waylay] is the same router with
waylayd.  Both must show the same; what has to differ asks `is_waylay`.
A module sets CONFIG to run its gateway with another configuration.
"""

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

import bpf_state
import waylay
from namespace import Namespace
from observers import HostState, LeakObserver, assert_same_state
from programs import Probe
from topology import Lab


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM and SIGINT end the run and clean up, and not one scenario only;
    SIGINT also in the background, where a shell has it ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = (yield).get_result()
    if report.failed:
        for daemon in waylay.living:
            report.sections.append(("log of waylayd", daemon.log))


@pytest.fixture(scope="session", autouse=True)
def bpffs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Somewhere to pin: `ip netns exec` hides the one at /sys/fs/bpf."""
    bpf_state.mount_alone(tmp_path_factory.mktemp("bpffs"))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture
def fresh_lab() -> Iterator[Lab]:
    """For a scenario that starts daemons in a module that has one already."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module", params=["plain", "waylay"])
def gateway(request: pytest.FixtureRequest, lab: Lab) -> Iterator[waylay.Gateway]:
    if request.param == "plain":
        yield waylay.Gateway(lab.gw, None)
        return
    before = HostState(lab.gw)
    text = getattr(request.module, "CONFIG", waylay.config())
    with waylay.Daemon(lab.gw, text) as daemon:
        yield waylay.Gateway(lab.gw, daemon)
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture(scope="module")
def daemon(lab):
    """One for all scenarios of a module that only ask."""
    before = HostState(lab.gw)
    with waylay.Daemon(lab.gw) as daemon:
        yield daemon
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture
def other_host(lab):
    """A namespace where the module's daemon is not in the way."""
    host = lab.add_namespace("other")
    yield host
    host.close()


@pytest.fixture
def good_file(tmp_path):
    file = tmp_path / "good.conf"
    file.write_text(waylay.config())
    return file


@pytest.fixture(params=["v4", "v6"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def leaks(lab: Lab) -> LeakObserver:
    return LeakObserver(lab.srv)


@pytest.fixture
def resources() -> Iterator[contextlib.ExitStack]:
    """Sockets and the like that a scenario closes when it is over."""
    with contextlib.ExitStack() as stack:
        yield stack


# --- probes -------------------------------------------------------------------

StartProbe = Callable[..., Probe]


@pytest.fixture
def probe(resources: contextlib.ExitStack) -> StartProbe:
    """probe(namespace, "tcp-server", 80): a server is ready on return."""

    def start(namespace: Namespace, command: str, *words: object) -> Probe:
        started = Probe(namespace, command, *words)
        resources.callback(started.close)
        return started

    return start


# --- pairs --------------------------------------------------------------------


@dataclass
class Pair:
    """Both ends of one TCP connection through the gateway."""

    client: socket.socket
    server: socket.socket


@pytest.fixture
def pair(lab: Lab, resources: contextlib.ExitStack) -> Callable[..., Pair]:
    """pair("v4"): a client connected to srv, and what srv accepted."""

    def connected(family: str, port: int = 0) -> Pair:
        with lab.srv.listen(family, port) as listener:
            to = listener.getsockname()[:2]
            client = resources.enter_context(lab.cli.connect(to))
            server = resources.enter_context(listener.accept()[0])
        server.settimeout(client.gettimeout())
        return Pair(client, server)

    return connected
