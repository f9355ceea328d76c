# SPDX-License-Identifier: Apache-2.0
"""Each engine, and what the gateway itself sends: `from host`.

    gw: a program ── waylay ── wan0 ── srv        cli ── lan0 ── gw: a service

A program has the address that it would have anyhow, its server sees the same
one, and the gateway's own services are reached as ever.  Only the list of
flows, and the source port at the server, tell of waylay.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import waylay
from each_engine import gateway  # noqa: F401
from endings import assert_alive, assert_stream_arrives
from namespace import endpoint
from programs import PROBE

OWN = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}  # what routing chooses
NOBODY = 65534
CGROUP = f"waylay-lab-{os.getpid()}"

# `ip netns exec` hides the one of this host.
WRAPPER = ("sh", "-c", 'mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"', "sh")


def config(engine: str) -> str:
    return f"""
    engine {engine}
    workers 2
    intercept host {{
        from host
        tcp any
        udp any
        except user {NOBODY}
        except cgroup {CGROUP}
    }}
    """


@pytest.fixture(scope="module", autouse=True)
def cgroup() -> Iterator[Path | None]:
    """Of which the configuration makes an exception; None: there is no cgroup2."""
    lines = map(str.split, Path("/proc/thread-self/mounts").read_text().splitlines())
    roots = [Path(words[1]) for words in lines if words[2] == "cgroup2"]
    if not roots or not os.access(roots[0], os.W_OK):
        yield None
        return
    directory = roots[0] / CGROUP
    directory.mkdir()
    yield directory
    directory.rmdir()


def is_listed(daemon: waylay.Daemon, client: str, server: str) -> bool:
    flows = daemon.flows() + daemon.ended()
    return any((f["client"], f["server"]) == (client, server) for f in flows)


def assert_listed(gateway, own: tuple, to: tuple) -> None:
    if gateway.is_waylay:
        assert is_listed(gateway.daemon, endpoint(*own[:2]), endpoint(*to[:2]))


# --- programs of the gateway ----------------------------------------------------


def test_a_connection_of_the_gateway(lab, gateway, family, resources):
    listener = resources.enter_context(lab.srv.listen(family, 80))
    to = listener.getsockname()[:2]
    client = resources.enter_context(lab.gw.connect(to))
    server, peer = listener.accept()
    resources.enter_context(server)
    server.settimeout(5)
    assert client.getsockname()[0] == peer[0] == OWN[family]
    assert client.getpeername()[:2] == to
    assert_listed(gateway, client.getsockname(), to)
    assert_stream_arrives(client, server, 1 << 20)
    assert_stream_arrives(server, client, 1 << 20)


def ask(client: socket.socket, server: socket.socket) -> tuple:
    """A datagram and its answer; whom the server saw."""
    client.sendto(b"question", server.getsockname())
    data, peer = server.recvfrom(100)
    assert data == b"question"
    server.sendto(b"answer", peer)
    data, answered_by = client.recvfrom(100)
    assert (data, answered_by[:2]) == (b"answer", server.getsockname()[:2])
    return peer


def unshared_udp(host, family: str) -> socket.socket:
    """As most programs have it: nobody else may bind its port."""
    s = host.new_socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return s


@pytest.mark.parametrize("kind", ["unconnected", "connected"])
def test_a_datagram_of_the_gateway(lab, gateway, family, resources, kind):
    server = resources.enter_context(lab.srv.udp(family, 5000))
    client = resources.enter_context(unshared_udp(lab.gw, family))
    if kind == "connected":
        client.connect(server.getsockname()[:2])
        assert client.getsockname()[0] == OWN[family]
    for _ in range(3):
        assert ask(client, server)[0] == OWN[family]
    name = (OWN[family], client.getsockname()[1])
    assert_listed(gateway, name, server.getsockname())


def test_a_datagram_of_a_socket_that_shares_its_port(fresh_lab, family, resources):
    """SO_REUSEADDR lets the relay bind the same name: it must not, for then
    answers reach the relay only."""
    lab = fresh_lab
    server = resources.enter_context(lab.srv.udp(family, 5000))
    client = resources.enter_context(lab.gw.new_socket(family, socket.SOCK_DGRAM))
    client.settimeout(1)
    with waylay.Daemon(lab.gw, config(waylay.ENGINE), wrapper=WRAPPER):
        assert ask(client, server)[0] == OWN[family]


def test_a_bound_socket_keeps_its_address(lab, gateway, family, resources):
    """That of another interface; its port is taken as long as it lives, so the
    server leg has another one."""
    lan = lab.gw.address(family)
    listener = resources.enter_context(lab.srv.listen(family, 80))
    to = listener.getsockname()[:2]
    client = resources.enter_context(lab.gw.connect(to, source_port=20100))
    server, peer = listener.accept()
    resources.enter_context(server)
    assert client.getsockname()[:2] == (lan, 20100)
    assert peer[0] == lan
    assert (peer[1] == 20100) != gateway.is_waylay
    assert_alive(client, server)
    assert_listed(gateway, client.getsockname(), to)


def test_a_refused_connection_ends(lab, gateway, family):
    """With waylay after it was accepted: the known limit of a relay."""
    problem = (ConnectionRefusedError, ConnectionResetError)
    with pytest.raises(problem):
        with lab.gw.connect((lab.srv.address(family), 81)) as client:
            client.recv(1)
            raise AssertionError("a clean end")


# --- exceptions -----------------------------------------------------------------


def run_client(lab, family: str, inner=(), outer=()) -> tuple[str, str]:
    """A program on the gateway; its own name, and that of its server.

    `inner` and `outer` are commands that start it, in its network namespace
    and around that.
    """
    to = lab.srv.address(family)
    program = ("/usr/bin/python3", "-B", PROBE, "tcp-client", to, "80", "--send", "9")
    command = (*outer, "ip", "netns", "exec", lab.gw.name, *inner, *program)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["received"], report["end"]) == (9, "fin"), report
    assert report["own"].startswith(endpoint(OWN[family], 0)[:-1])
    return report["own"], endpoint(to, 80)


@pytest.fixture
def server(lab, probe):
    probe(lab.srv, "tcp-server", 80)


def test_without_an_exception_a_program_is_relayed(lab, gateway, family, server):
    own, to = run_client(lab, family)
    if gateway.is_waylay:
        gateway.daemon.wait_ended(client=own, server=to)


def test_a_user_is_excepted(lab, gateway, family, server):
    user = ("setpriv", f"--reuid={NOBODY}", "--clear-groups")
    own, to = run_client(lab, family, inner=user)
    if gateway.is_waylay:
        assert not is_listed(gateway.daemon, own, to)


def test_a_cgroup_is_excepted(lab, gateway, family, server, cgroup):
    if not cgroup:
        pytest.skip("no cgroup2 that can be written to")
    script = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    own, to = run_client(lab, family, outer=("sh", "-c", script, str(cgroup)))
    if gateway.is_waylay:
        assert not is_listed(gateway.daemon, own, to)


# --- services of the gateway ----------------------------------------------------


@pytest.mark.parametrize("side", ["lan", "wan"])
def test_a_service_of_the_gateway_answers_a_client(
    lab, gateway, family, side, resources
):
    """Its answers are not this host's own new flows."""
    own = {"lan": lab.gw.address(family), "wan": OWN[family]}[side]
    listener = resources.enter_context(lab.gw.listen(family, 22, own))
    client = resources.enter_context(lab.cli.connect((own, 22)))
    service, peer = listener.accept()
    resources.enter_context(service)
    service.settimeout(5)
    assert peer[:2] == client.getsockname()[:2]
    assert_stream_arrives(client, service, 100_000)
    assert_stream_arrives(service, client, 100_000)
    echo = resources.enter_context(lab.gw.new_socket(family, socket.SOCK_DGRAM))
    echo.bind((own, 7))
    asking = resources.enter_context(lab.cli.udp(family))
    for _ in range(3):
        asking.sendto(b"question", (own, 7))
        data, peer = echo.recvfrom(100)
        assert peer[0] == lab.cli.address(family)
        echo.sendto(data, peer)
        data, answered_by = asking.recvfrom(100)
        assert (data, answered_by[:2]) == (b"question", (own, 7))
    if gateway.is_waylay:
        clients = {f["client"] for f in gateway.daemon.flows()}
        assert not {endpoint(own, 22), endpoint(own, 7)} & clients


def test_the_gateway_speaks_with_itself(lab, gateway, family, resources):
    listener = resources.enter_context(lab.gw.listen(family, 22))
    client = resources.enter_context(lab.gw.connect(listener.getsockname()[:2]))
    service = resources.enter_context(listener.accept()[0])
    assert service.getpeername()[:2] == client.getsockname()[:2]
    assert_alive(client, service)


def test_a_client_is_still_forwarded(lab, gateway, family, leaks, pair):
    """No intercept names lan0."""
    ends = pair(family)
    assert_alive(ends.client, ends.server)
    assert leaks.forwarded() > 0 and leaks.own() == 0
