# SPDX-License-Identifier: Apache-2.0
"""`waylay config example squid`: both halves as they are printed.

    client ── eth1 ─ gw: squid on 127.0.0.1:3129 and [::1]:3129 ─ wan0 ── srv
    192.168.1.10                                            198.51.100.10:80
    fd00:1::10                                              2001:db8:2::10

The server answers with the addresses that it sees, Squid's mark on an answer
is the header Via, and its own log says who asked.  On the plain gateway
requests go to the server by themselves: only Via must be missing.  Which engine
is the one word of the printed text that differs.
"""

import http.client
import re
import socket
import threading

import pytest

import printed
import waylay
from each_engine import ENGINE, gateway, require  # noqa: F401
from endings import connection_outcome
from namespace import Namespace, endpoint
from observers import HostState, LeakObserver, assert_same_state
from topology import Lab, set_client_ttl
from wait import wait_for

PORT = 80
GATEWAY = {"v4": "192.168.1.1", "v6": "fd00:1::1"}


def config(engine: str) -> str:
    text = printed.example("squid")[0]
    assert text.count("auto") == 1
    return text.replace("auto", engine)


def add_client(lab: Lab) -> Namespace:
    """Behind the interface that the example names."""
    client = lab.add_namespace("eth1")
    lab.add_link(lab.gw, "eth1", client, "192.168.1", "fd00:1:")
    set_client_ttl(client)
    return client


@pytest.fixture(scope="module", autouse=True)
def client(lab):
    return add_client(lab)


@pytest.fixture(scope="module")
def squid(lab, gateway):
    if not gateway.is_waylay:
        yield None
        return
    squid = printed.TransparentSquid(lab.gw)
    yield squid
    squid.close()


@pytest.fixture
def origin(lab, probe):
    return probe(lab.srv, "tcp-server", PORT, "--mode", "http")


# --- requests ------------------------------------------------------------------------


class Answer:
    """To one request from `client` to the server's own address."""

    def __init__(self, client: Namespace, address: str, timeout: float = 5):
        family = "v6" if ":" in address else "v4"
        with client.new_socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(timeout)
            s.connect((address, PORT))
            self.own = s.getsockname()[:2]
            self.peer = s.getpeername()[:2]
            name = f"[{address}]" if ":" in address else address
            s.sendall(f"GET /x HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            response = http.client.HTTPResponse(s)
            response.begin()
            self.status = response.status
            self.via = response.getheader("Via", "")
            self.text = response.read().decode()


def test_the_server_sees_the_client(lab, client, gateway, squid, origin, family, leaks):
    to = lab.srv.address(family)
    answer = Answer(client, to)
    assert answer.status == 200
    assert answer.peer == (to, PORT)
    seen, _, server = answer.text.removeprefix("client ").partition(" server ")
    assert seen.rpartition(":")[0].strip("[]") == client.address(family)
    assert server.strip() == endpoint(to, PORT)
    assert ("squid" in answer.via) == gateway.is_waylay
    assert (leaks.forwarded() == 0) == gateway.is_waylay


def test_squids_log_shows_the_client(lab, client, gateway, squid, origin, family):
    """And where Squid went: it writes a line when the answer is gone."""
    to = lab.srv.address(family)
    Answer(client, to)
    if gateway.is_waylay:
        who, went = re.escape(client.address(family)), re.escape(to)
        line = re.compile(rf" {who} .* ORIGINAL_DST/\[?{went}\]? ")
        wait_for("the line", lambda: line.search(squid.access_log))


def test_many_requests(lab, client, gateway, squid, origin, family):
    answers = [Answer(client, lab.srv.address(family)) for _ in range(100)]
    assert {a.status for a in answers} == {200}
    assert {"squid" in a.via for a in answers} == {gateway.is_waylay}


def test_other_ports_pass(lab, client, gateway, squid, family, leaks):
    with lab.srv.listen(family, 8000) as listener:
        with client.connect(listener.getsockname()[:2]) as one:
            with listener.accept()[0] as other:
                assert other.getpeername()[:2] == one.getsockname()[:2]
    assert leaks.forwarded() > 0


def test_T07_the_gateway_itself_is_not_reached_by_squid(
    lab, client, gateway, squid, family
):
    """Not by its address, and not by a port of Squid's own."""
    for port in (PORT, printed.TransparentSquid.port):
        to = (GATEWAY[family], port)
        assert connection_outcome(lambda: client.connect(to)) == "ECONNREFUSED"


# --- Squid dies ------------------------------------------------------------------------


CLIENTS = 8


class Requests(threading.Thread):
    """One after the other, until told to stop; what became of each."""

    def __init__(self, client: Namespace, address: str):
        super().__init__()
        self.client, self.address = client, address
        self.outcomes: list[str] = []
        self.is_over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.is_over.is_set():
            self.outcomes.append(self._one())

    def _one(self) -> str:
        try:
            answer = Answer(self.client, self.address, timeout=1)
        except (OSError, http.client.HTTPException):
            return "failed"
        return "squid" if "squid" in answer.via else "direct"


class Load:
    """Some of them at once."""

    def __init__(self, client: Namespace, address: str):
        self._all = [Requests(client, address) for _ in range(CLIENTS)]

    @property
    def outcomes(self) -> list[str]:
        return [outcome for one in self._all for outcome in one.outcomes]

    def wait(self, outcome: str) -> None:
        """Each of them has had it, from now on."""
        marks = [len(one.outcomes) for one in self._all]

        def have_all() -> bool:
            news = [one.outcomes[mark:] for one, mark in zip(self._all, marks)]
            return all(outcome in new for new in news)

        wait_for(f"requests that are {outcome}", have_all, 10)

    def close(self) -> None:
        for one in self._all:
            one.is_over.set()
        for one in self._all:
            one.join()


@pytest.fixture
def killing(fresh_lab, family, probe, resources):
    """killing("ebpf", "open", "direct"): Squid is killed twice under load."""
    lab = fresh_lab

    def run(engine: str, on_failure: str, meanwhile: str) -> tuple:
        require(engine)
        client = add_client(lab)
        probe(lab.srv, "tcp-server", PORT, "--mode", "http")
        before = HostState(lab.gw)
        text = config(engine).replace("on-failure  open", f"on-failure {on_failure}")
        with waylay.Daemon(lab.gw, text):
            squid = printed.TransparentSquid(lab.gw)
            leaks = LeakObserver(lab.srv)
            load = Load(client, lab.srv.address(family))
            resources.callback(load.close)
            for _ in range(2):
                load.wait("squid")
                squid.close()
                load.wait(meanwhile)
                squid = printed.TransparentSquid(lab.gw)
            load.wait("squid")
            load.close()
            squid.close()
        assert_same_state(before, HostState(lab.gw))
        return load.outcomes, leaks.forwarded()

    return run


@ENGINE
def test_F02_closed_while_squid_is_gone(killing, engine):
    outcomes, forwarded = killing(engine, "closed", "failed")
    assert "direct" not in outcomes
    assert forwarded == 0


@ENGINE
def test_F03_open_while_squid_is_gone(killing, engine):
    if engine == "iptables":
        pytest.skip("iptables cannot ask whether another program listens")
    _, forwarded = killing(engine, "open", "direct")
    assert forwarded > 0
