# SPDX-License-Identifier: Apache-2.0
"""Groups: who is chosen, who is tried next, who is down, what the operator says.

    cli ── lan0 ─ gw: waylayd ─ wan1 ── srv2: SOCKS5 proxies of the test's own,
                                              which answer as the server would

A proxy here counts its connections and echoes.  There is no plain gateway,
since all of it is about proxies that a router does not have.
"""

import contextlib
import socket

import pytest

import scripted
import waylay
from endings import connection_outcome, end_of
from scripted import REQUEST_OK, Scripted
from topology import UP
from wait import wait_for

PORTS = {"one": 1081, "two": 1082, "three": 1083}
CHECK_PORT = 7777
SERVER_PORT = 8000


def config(group: str, more: str = "", family: str = "v4") -> str:
    upstreams = "\n".join(
        f"upstream {name} {{ via socks5 {UP[family]}:{port} }}"
        for name, port in PORTS.items()
    )
    return f"""
    engine {waylay.ENGINE}; workers 1; on-failure closed
    timeouts {{ connect 3s; upstream 500ms }}
    intercept lan {{ from lan0; tcp any }}
    {upstreams}
    {more}
    group all {{ members one, two, three; {group} }}
    rules {{ default -> all }}
    """


class Farm:
    """The three proxies; each can be there or not."""

    def __init__(self, lab, family: str):
        self.lab, self.family = lab, family
        self.proxies: dict[str, Scripted] = {}
        self.checks = dict.fromkeys(PORTS, 0)
        self.flows = dict.fromkeys(PORTS, 0)

    def __enter__(self) -> "Farm":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.proxies):
            self.stop(name)

    def start(self, *names: str) -> None:
        for name in names:
            self.proxies[name] = Scripted(
                *(self.lab.srv2, self.family, PORTS[name]),
                lambda s, name=name: self._serve(s, name),
            )

    def stop(self, name: str) -> None:
        self.proxies.pop(name).__exit__()

    def _serve(self, s: socket.socket, name: str) -> None:
        request = self.proxies[name].socks_request(s)
        is_check = request[-2:] == CHECK_PORT.to_bytes(2, "big")
        (self.checks if is_check else self.flows)[name] += 1
        s.sendall(REQUEST_OK)
        scripted.echo(s)


@pytest.fixture
def farm(lab, family):
    with Farm(lab, family) as farm:
        yield farm


@contextlib.contextmanager
def gateway(lab, group: str, more: str = "", family: str = "v4"):
    with waylay.Daemon(lab.gw, config(group, more, family)) as daemon:
        yield daemon


def talk(lab, family: str, resources=None) -> socket.socket:
    """A flow that works; it is the caller's to close."""
    client = lab.cli.connect((lab.srv.address(family), SERVER_PORT))
    client.sendall(b"?")
    assert client.recv(1) == b"?"
    return client


def health_of(daemon, name: str) -> str:
    rows = daemon.ask("upstream")["upstreams"]
    return next(row for row in rows if row["name"] == name)["health"]


def wait_health(daemon, **wanted: str) -> None:
    wait_for(
        f"health {wanted}",
        lambda: all(health_of(daemon, n) == h for n, h in wanted.items()),
        10,
    )


# --- balance -------------------------------------------------------------------


def test_first_is_the_first_that_works(lab, farm, family):
    farm.start("two", "three")
    with gateway(lab, "balance first", family=family) as daemon:
        for _ in range(3):
            talk(lab, family).close()
        assert farm.flows == {"one": 0, "two": 3, "three": 0}
        assert daemon.wait_ended(upstream="two")["attempts"] == 2


def test_round_robin_gives_everybody_the_same(lab, farm, family):
    farm.start(*PORTS)
    with gateway(lab, "balance round-robin", family=family):
        for _ in range(9):
            talk(lab, family).close()
    assert farm.flows == dict.fromkeys(PORTS, 3)


def test_least_conn_goes_where_least_are(lab, farm, family):
    farm.start(*PORTS)
    with contextlib.ExitStack() as held:
        with gateway(lab, "balance least-conn", family=family):
            for _ in range(6):
                held.enter_context(talk(lab, family))
            assert farm.flows == dict.fromkeys(PORTS, 2)


def test_hash_client_keeps_a_client_where_it_is(lab, farm, family):
    farm.start(*PORTS)
    with gateway(lab, "balance hash client", family=family):
        for _ in range(6):
            talk(lab, family).close()
    assert sorted(farm.flows.values()) == [0, 0, 6]


# --- who does not answer ------------------------------------------------------------


def test_F41_the_next_member_is_tried_and_no_byte_is_lost(lab, farm, family):
    """The client's first bytes were there before any member failed."""
    farm.start("three")
    with gateway(lab, "balance first", family=family) as daemon:
        with lab.cli.connect((lab.srv.address(family), SERVER_PORT)) as client:
            client.sendall(b"first words")
            assert client.recv(100) == b"first words"
        assert farm.flows["three"] == 1
        assert daemon.wait_ended(upstream="three")["attempts"] == 3


def test_F41_a_member_that_hangs_is_passed_by(lab, farm, family):
    """It takes the connection and says nothing: `timeouts upstream` ends it."""
    farm.start("two")
    with Scripted(lab.srv2, family, PORTS["one"], lambda s: s.recv(1) and s.recv(1000)):
        with gateway(lab, "balance first", family=family) as daemon:
            talk(lab, family).close()
            assert daemon.wait_ended(upstream="two")["attempts"] == 2


def test_nobody_is_left_and_the_fallback_is_reject(lab, farm, family):
    with gateway(lab, "balance first", family=family) as daemon:
        to = (lab.srv.address(family), SERVER_PORT)
        with lab.srv.listen(family, SERVER_PORT) as listener:
            listener.settimeout(0)
            assert connection_outcome(lambda: lab.cli.connect(to)) == "rst"
            with pytest.raises(BlockingIOError):
                listener.accept()
        assert daemon.status()["counters"]["upstream_none"] == 1


def test_the_fallback_is_direct_if_that_is_said(lab, farm, family):
    with gateway(lab, "fallback direct", family=family):
        with lab.srv.listen(family, SERVER_PORT) as listener:
            with lab.cli.connect((lab.srv.address(family), SERVER_PORT)):
                server, peer = listener.accept()
                assert peer[0] == lab.cli.address(family)
                server.close()


def test_the_fallback_is_another_group(lab, farm, family):
    more = "group spare { members three }"
    text = config("members one, two; fallback spare", more, family)
    text = text.replace("members one, two, three; members", "members")
    farm.start("three")
    with waylay.Daemon(lab.gw, text):
        talk(lab, family).close()
    assert farm.flows["three"] == 1


# --- health --------------------------------------------------------------------------

HEALTH = (
    f"balance first; health connect 198.51.100.10:{CHECK_PORT} "
    "every 200ms timeout 150ms rise 2 fall 2"
)


def test_health_finds_who_is_down_and_who_is_back(lab, farm, family):
    farm.start("one", "two")
    with gateway(lab, HEALTH, family=family) as daemon:
        wait_health(daemon, one="up", two="up", three="down")
        farm.stop("one")
        wait_health(daemon, one="down")
        daemon.wait_log(r"upstream one is down")
        before = dict(farm.flows)
        talk(lab, family).close()
        assert farm.flows["two"] == before["two"] + 1
        assert daemon.wait_ended(upstream="two")["attempts"] == 1
        farm.start("one")
        wait_health(daemon, one="up")
        daemon.wait_log(r"upstream one is up")
        talk(lab, family).close()
        assert farm.flows["one"] == before["one"] + 1


# --- what the operator says --------------------------------------------------------------


def test_drain_lets_running_flows_be(lab, farm, family):
    farm.start("one", "two")
    with gateway(lab, "balance first", family=family) as daemon:
        with talk(lab, family) as running:
            assert daemon.tool("upstream", "drain", "one").returncode == 0
            talk(lab, family).close()
            assert farm.flows == {"one": 1, "two": 1, "three": 0}
            running.sendall(b"still?")
            assert running.recv(100) == b"still?"
            assert daemon.tool("upstream", "enable", "one").returncode == 0
            talk(lab, family).close()
            assert farm.flows["one"] == 2


def test_disable_ends_running_flows(lab, farm, family):
    farm.start("one", "two")
    with gateway(lab, "balance first", family=family) as daemon:
        with talk(lab, family) as running:
            assert daemon.tool("upstream", "disable", "one").returncode == 0
            assert end_of(running) == "rst"
            assert daemon.wait_ended(upstream="one")["end"] == "upstream-disabled"
        talk(lab, family).close()
        assert farm.flows["two"] == 1


def test_nobody_is_enabled_and_nobody_complains(lab, farm, family):
    """The operator knows; a group whose members are down is another matter."""
    with gateway(lab, "balance first", family=family) as daemon:
        to = (lab.srv.address(family), SERVER_PORT)
        for name in PORTS:
            daemon.tool("upstream", "disable", name)
        assert connection_outcome(lambda: lab.cli.connect(to)) == "rst"
        assert daemon.wait_ended(upstream="all")["end"] == "upstream-disabled"
        assert daemon.status()["counters"]["upstream_none"] == 0


def test_what_was_said_outlives_a_reload(lab, farm, family):
    farm.start("one", "two")
    with gateway(lab, "balance first", family=family) as daemon:
        daemon.tool("upstream", "drain", "one")
        assert daemon.reload().returncode == 0
        talk(lab, family).close()
        assert farm.flows == {"one": 0, "two": 1, "three": 0}


def test_an_unknown_upstream_is_refused_with_a_hint(lab):
    with gateway(lab, "balance first") as daemon:
        done = daemon.tool("upstream", "drain", "tow")
        assert done.returncode == waylay.EXIT_USAGE
        assert "two" in done.stderr


# --- loops -----------------------------------------------------------------------------------


def test_T04_a_proxy_whose_own_traffic_is_intercepted(lab, family):
    """srv2's connections are sent to srv2: refused, no chain of flows."""
    text = f"""
    engine {waylay.ENGINE}; workers 1
    intercept wan {{ from wan1; tcp any }}
    upstream up {{ via socks5 {UP[family]}:1080 }}
    rules {{ default -> up }}
    """
    with waylay.Daemon(lab.gw, text) as daemon:
        to = (lab.srv.address(family), SERVER_PORT)
        with Scripted(lab.srv2, family, 1080, lambda s: s.recv(100)) as proxy:
            assert connection_outcome(lambda: lab.srv2.connect(to)) == "rst"
            assert proxy.connections == 0
        assert daemon.status()["counters"]["loop"] == 1
        assert daemon.wait_ended(upstream="up")["end"] == "loop"
        daemon.wait_log("loop|come back")
