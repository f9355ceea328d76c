# SPDX-License-Identifier: Apache-2.0
"""Traffic goes to another program: `deliver`, and what if nobody is there.

    cli ── lan0 ─ gw: program on 127.0.0.1:3129 and [::1]:3129 ─ wan0 ── srv

The program is a transparent listener that answers by itself, so nothing of
what it takes reaches srv.  On the plain gateway the same program is srv's
own server: it must see and show the same addresses, with each engine.  HAProxy
is a program that goes on to the server, and its answers must find back to it.
"""

import contextlib
import shutil
import socket

import pytest

import waylay
from each_engine import ENGINE, gateway, require  # noqa: F401
from endings import assert_stream_arrives, connection_outcome
from namespace import Namespace, endpoint
from observers import HostState, LeakObserver, assert_same_state
from probe import digest_of
from programs import HAProxy, Probe
from wait import wait_for
from waylay import EXIT_FAILED, EXIT_OK

PROGRAM_PORT = 3129
HAPROXY_PORT = 3143
HAPROXY_SERVER_PORTS = "8000-8099"
SERVER_PORT = 5000
OWN_PORT = 5001
EXCEPTED_PORT = 9090
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
GATEWAY = {"v4": "192.0.2.1", "v6": "2001:db8:1::1"}
ANY_SOURCE = {"v4": "0.0.0.0", "v6": "[::]:0"}
FAMILIES = ("v4", "v6")
MEGA = 1 << 20

PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])


def delivering(
    family: str,
    name: str = "other",
    port: int = PROGRAM_PORT,
    selects: str = "tcp any; udp any",
    more: str = "",
    at: str = "",
) -> str:
    """An intercept that delivers to `port`, of the family's loopback address if
    no other one is said."""
    return f"""
    intercept {name}-{family} {{
        from lan0; {selects}
        except port {EXCEPTED_PORT}
        deliver {endpoint(at or LOOPBACK[family], port)}
        {more}
    }}
    """


def written(
    *intercepts: str, on_failure: str = "open", engine: str = waylay.ENGINE
) -> str:
    general = f"engine {engine}; on-failure {on_failure}; workers 1"
    return "\n".join((general, *intercepts))


def config(engine: str) -> str:
    """Of the module's gateway.  HAProxy's and the gateway's own address come
    first: the first intercept that selects a packet takes it."""
    own = f"tcp {OWN_PORT}; udp {OWN_PORT}"
    return written(
        *(
            delivering(f, "haproxy", HAPROXY_PORT, f"tcp {HAPROXY_SERVER_PORTS}")
            for f in FAMILIES
        ),
        *(delivering(f, "own", selects=own, at=GATEWAY[f]) for f in FAMILIES),
        *(delivering(f) for f in FAMILIES),
        engine=engine,
    )


# --- addresses ----------------------------------------------------------------


@pytest.fixture
def program(lab, gateway, family, probe) -> Probe:
    """Who gets the client's flows to srv, port 5000."""
    if gateway.is_waylay:
        return start_program(probe, lab.gw, family)
    own = lab.srv.address(family)
    return probe(lab.srv, "transparent-server", SERVER_PORT, "--on", own)


def start_program(probe, host: Namespace, family: str) -> Probe:
    own = LOOPBACK[family]
    return probe(host, "transparent-server", PROGRAM_PORT, "--on", own)


def test_tcp_keeps_both_addresses(lab, gateway, family, program, leaks):
    to = (lab.srv.address(family), SERVER_PORT)
    with lab.cli.connect(to, source_port=20000) as client:
        client.sendall(b"question")
        assert client.recv(100) == b"question"
    taken = program.line()
    assert taken["peer"] == endpoint(lab.cli.address(family), 20000)
    assert taken["own"] == endpoint(*to)
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def test_udp_keeps_both_addresses(lab, gateway, family, program, resources):
    to = (lab.srv.address(family), SERVER_PORT)
    client = resources.enter_context(lab.cli.udp(family, 20000))
    leaks = LeakObserver(lab.srv)
    for question in (b"one", b"two"):  # the second meets no socket of the first
        client.sendto(question, to)
        answer, peer = client.recvfrom(100)
        assert (answer, peer[:2]) == (question, to)
        taken = program.line()
        assert taken["peer"] == endpoint(lab.cli.address(family), 20000)
        assert taken["own"] == endpoint(*to)
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def test_a_program_on_an_address_of_the_gateway(
    lab, gateway, family, probe, resources, leaks
):
    """Not on loopback: other hosts could reach it, too."""
    host, at, port = lab.srv, lab.srv.address(family), OWN_PORT
    if gateway.is_waylay:
        host, at, port = lab.gw, GATEWAY[family], PROGRAM_PORT
    program = probe(host, "transparent-server", port, "--on", at)
    to = (lab.srv.address(family), OWN_PORT)
    with lab.cli.connect(to) as client:
        client.sendall(b"question")
        assert client.recv(100) == b"question"
    assert program.line()["own"] == endpoint(*to)
    one = resources.enter_context(lab.cli.udp(family))
    one.sendto(b"question", to)
    answer, peer = one.recvfrom(100)
    assert (answer, peer[:2]) == (b"question", to)
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def test_a_stream_both_ways_is_intact(lab, gateway, family, program, probe):
    to = lab.srv.address(family)
    client = probe(lab.cli, "tcp-client", to, SERVER_PORT, "--send", 8 * MEGA)
    report = client.line()
    assert (report["received"], report["end"]) == (8 * MEGA, "fin")
    assert report["sha256"] == digest_of(8 * MEGA)


def test_what_is_excepted_passes_the_program(
    lab, gateway, family, program, pair, leaks
):
    ends = pair(family, EXCEPTED_PORT)
    assert ends.server.getpeername()[0] == lab.cli.address(family)
    assert_stream_arrives(ends.client, ends.server, 100_000)
    assert leaks.forwarded() > 0 and leaks.own() == 0


def test_delivered_flows_are_not_relayed(lab, gateway, family, program):
    """They are not in waylay's books, and status says where they go."""
    with lab.cli.connect((lab.srv.address(family), SERVER_PORT)) as client:
        client.sendall(b"?")
        assert client.recv(1) == b"?"
        if gateway.is_waylay:
            assert gateway.daemon.flows() == []
    if gateway.is_waylay:
        assert_books_are_empty(gateway.daemon)


def assert_books_are_empty(daemon: waylay.Daemon) -> None:
    status = daemon.status()
    assert status["counters"]["tcp_accepted"] == 0
    assert [i["deliver"] for i in status["intercepts"]] == [
        *(endpoint(LOOPBACK[f], HAPROXY_PORT) for f in FAMILIES),
        *(endpoint(GATEWAY[f], PROGRAM_PORT) for f in FAMILIES),
        *(endpoint(LOOPBACK[f], PROGRAM_PORT) for f in FAMILIES),
    ]


# --- another family -----------------------------------------------------------


def test_one_family_is_delivered_the_other_passes(fresh_lab, family, probe):
    lab = fresh_lab
    leaks = LeakObserver(lab.srv)
    other = {"v4": "v6", "v6": "v4"}[family]
    text = written(delivering(family), on_failure="closed")
    with waylay.Daemon(lab.gw, text):
        program = start_program(probe, lab.gw, family)
        probe(lab.srv, "tcp-server", SERVER_PORT)
        talk(lab, family)
        assert program.line()["event"] == "served"
        assert leaks.forwarded() == 0
        talk(lab, other)
        assert leaks.forwarded() > 0


def talk(lab, family: str) -> None:
    with lab.cli.connect((lab.srv.address(family), SERVER_PORT)) as client:
        client.sendall(b"?")
        assert client.recv(1) == b"?"


# --- the program dies ---------------------------------------------------------


def impatient(lab, family: str) -> socket.socket:
    s = lab.cli.new_socket(family, socket.SOCK_STREAM)
    s.settimeout(0.3)
    try:
        s.connect((lab.srv.address(family), SERVER_PORT))
    except OSError:
        s.close()
        raise
    return s


def can_connect(lab, family: str) -> bool:
    with contextlib.suppress(OSError), impatient(lab, family):
        return True
    return False


def send_datagram(lab, family: str) -> None:
    with lab.cli.udp(family) as s:
        s.sendto(b"anybody?", (lab.srv.address(family), SERVER_PORT))


def ping(lab, family: str) -> None:
    """Never intercepted: all that was sent before it has been handled."""
    lab.cli.run("ping", "-c", "1", "-W", "5", lab.srv.address(family))


@ENGINE
def test_F03_open_is_direct_while_the_program_is_gone(fresh_lab, family, probe, engine):
    require(engine)
    if engine == "iptables":
        pytest.skip("iptables cannot ask whether another program listens")
    lab = fresh_lab
    probe(lab.srv, "tcp-server", SERVER_PORT)
    leaks = LeakObserver(lab.srv)
    intercepts = [delivering(f) for f in FAMILIES]
    text = written(*intercepts, on_failure="open", engine=engine)
    with waylay.Daemon(lab.gw, text):
        program = start_program(probe, lab.gw, family)
        talk(lab, family)
        assert leaks.forwarded() == 0
        program.close()
        talk(lab, family)
        passed = leaks.forwarded()
        assert passed > 0
        send_datagram(lab, family)
        wait_for("the datagram", lambda: leaks.forwarded() > passed)
        again = start_program(probe, lab.gw, family)
        leaks.reset()
        talk(lab, family)
        assert again.line()["event"] == "served"
        assert leaks.forwarded() == 0


@ENGINE
def test_F02_closed_lets_nothing_out_while_the_program_is_gone(
    fresh_lab, family, probe, engine
):
    require(engine)
    lab = fresh_lab
    probe(lab.srv, "tcp-server", SERVER_PORT)
    leaks = LeakObserver(lab.srv)
    intercepts = [delivering(f) for f in FAMILIES]
    text = written(*intercepts, on_failure="closed", engine=engine)
    with waylay.Daemon(lab.gw, text):
        program = start_program(probe, lab.gw, family)
        old = lab.cli.connect((lab.srv.address(family), SERVER_PORT))
        program.close()
        with old, contextlib.suppress(OSError):
            old.sendall(b"still there?")
        send_datagram(lab, family)
        outcome = connection_outcome(lambda: impatient(lab, family))
        ping(lab, family)
        assert outcome == "timeout"
        assert leaks.forwarded() == 0
        start_program(probe, lab.gw, family)
        wait_for("the program is back", lambda: can_connect(lab, family))
        assert leaks.forwarded() == 0


# --- require-listener ---------------------------------------------------------


def requiring(family: str, protocol: str, is_required: bool = True) -> str:
    word = "yes" if is_required else "no"
    return written(
        delivering(
            family, selects=f"{protocol} any", more=f"require-listener {word}"
        )
    )


def assert_refused(host, family: str, resources, text: str) -> None:
    """It does not start, and says why."""
    daemon = waylay.Daemon(host, text)
    resources.callback(daemon.close)
    daemon.launch()
    wait_for(
        "an end or a start",
        lambda: not daemon.is_running() or "ready:" in daemon.log,
    )
    assert not daemon.is_running(), "it has started"
    assert daemon.wait_end() == EXIT_FAILED
    assert_sentence(daemon.log, family)


def assert_sentence(text: str, family: str) -> None:
    """It names the intercept and the address."""
    assert f"other-{family}" in text
    assert endpoint(LOOPBACK[family], PROGRAM_PORT) in text


@pytest.fixture
def host(other_host):
    """A host that is the same before and after."""
    before = HostState(other_host)
    yield other_host
    assert_same_state(before, HostState(other_host))


@PROTOCOLS
def test_without_a_required_listener_it_does_not_start(
    host, family, resources, protocol
):
    assert_refused(host, family, resources, requiring(family, protocol))


@PROTOCOLS
def test_with_its_required_listener_it_starts(host, family, probe, protocol):
    start_program(probe, host, family)
    with waylay.Daemon(host, requiring(family, protocol)) as daemon:
        assert daemon.status()["generation"] == 1


def test_a_listener_that_is_not_required_may_be_missing(host, family):
    with waylay.Daemon(host, requiring(family, "tcp", False)) as daemon:
        assert daemon.status()["generation"] == 1


def test_the_other_protocol_alone_is_no_listener(host, family, resources):
    """TCP and UDP are selected, and only TCP is listened to."""
    resources.enter_context(host.listen(family, PROGRAM_PORT, LOOPBACK[family]))
    text = written(delivering(family, more="require-listener yes"))
    assert_refused(host, family, resources, text)


@PROTOCOLS
def test_without_a_required_listener_a_reload_is_refused(host, family, probe, protocol):
    with waylay.Daemon(host, requiring(family, protocol, False)) as daemon:
        before = HostState(host)
        daemon.write_config(requiring(family, protocol))
        done = daemon.reload()
        assert done.returncode == EXIT_FAILED
        assert_sentence(done.stderr, family)
        assert daemon.status()["generation"] == 1
        assert_same_state(before, HostState(host))
        start_program(probe, host, family)
        assert daemon.reload().returncode == EXIT_OK


# --- HAProxy ------------------------------------------------------------------


@pytest.fixture(scope="module")
def haproxy(lab, gateway, tmp_path_factory):
    if not shutil.which("haproxy"):
        pytest.skip("haproxy is not installed")
    if not gateway.is_waylay:
        yield None
        return
    file = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    binds = {endpoint(LOOPBACK[f], HAPROXY_PORT): ANY_SOURCE[f] for f in FAMILIES}
    proxy = HAProxy(lab.gw, file, binds)
    yield proxy
    proxy.close()


def test_haproxy_speaks_from_the_clients_address(
    lab, gateway, family, haproxy, pair, leaks
):
    """Its server's answers go to the client's address: waylay diverts them."""
    ends = pair(family, 8000)
    assert ends.server.getpeername()[0] == lab.cli.address(family)
    assert ends.client.getpeername()[:2] == (lab.srv.address(family), 8000)
    assert_stream_arrives(ends.client, ends.server, 5 * MEGA)
    assert_stream_arrives(ends.server, ends.client, 5 * MEGA)
    assert (leaks.forwarded() == 0) == gateway.is_waylay
    assert bool(leaks.own()) == gateway.is_waylay


def test_haproxy_serves_many_short_flows(lab, gateway, family, haproxy, probe):
    probe(lab.srv, "tcp-server", 8001)
    to = lab.srv.address(family)
    load = probe(lab.cli, "load", to, 8001, "--flows", 100, "--timeout", 2)
    report = load.line()
    assert (report["flows"], report["failed"]) == (100, [])
