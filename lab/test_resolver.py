# SPDX-License-Identifier: Apache-2.0
"""A proxy that is given by its name.

    cli ── lan0 ─ gw: waylayd, waylay-resolver ─┬─ wan0 ── srv   a proxy, and
                                                │                the servers
                                                └─ wan1 ── srv2  a proxy

name.lab is srv2 at first.  Both name servers can be asked by the gateway; its
/etc/resolv.conf and /etc/hosts are the daemon's own (host_files.py).  All of it
is about a proxy, so there is no plain gateway.
"""

import os
import signal
from pathlib import Path

import pytest

import proxies
import waylay
from endings import assert_alive, connection_outcome
from host_files import Etc
from namespace import Namespace
from observers import HostState, assert_same_state
from programs import NAME, NameServer

FAR_PORT, NOBODY_PORT = 8001, 8002
UNKNOWN = "nobody.lab"
RESOLVER = "waylay-resolver"

# T05: what the gateway asks itself is refused, and so would be the resolver.
CONFIG = f"""
engine {waylay.ENGINE}; workers 1; on-failure closed
intercept lan {{ from lan0; tcp any }}
intercept self {{ from host; udp 53; tcp 53 }}
upstream far    {{ via socks5 {NAME}:1080 }}
upstream nobody {{ via socks5 {UNKNOWN}:1080 }}
rules {{
    intercept self    -> reject
    port {FAR_PORT}   -> far
    port {NOBODY_PORT} -> nobody
    default           -> reject
}}
"""


def name_server(asked: Namespace, answer: Namespace, resources) -> NameServer:
    """At `asked`, it says that the name is at `answer`."""
    server = NameServer(asked, answer.v4, answer.v6, "--local=/lab/")
    resources.callback(server.close)
    return server


@pytest.fixture(scope="module", autouse=True)
def farm(lab):
    """A proxy at srv and one at srv2; the server sees which one it was."""
    farm = [proxies.Microsocks(lab.srv), proxies.Microsocks(lab.srv2)]
    before = HostState(lab.gw)
    yield
    assert_same_state(before, HostState(lab.gw))
    for proxy in farm:
        proxy.close()


@pytest.fixture
def etc():
    with Etc() as etc:
        yield etc


@pytest.fixture
def start(lab, etc, resources):
    """start(): a daemon that sees this /etc."""

    def started(text: str = CONFIG) -> waylay.Daemon:
        daemon = waylay.Daemon(lab.gw, text, wrapper=etc.wrapper)
        return resources.enter_context(daemon)

    return started


def assert_leads_to(lab, proxy: Namespace) -> None:
    """Flows of both families work, and their server sees this host."""
    for family in ("v4", "v6"):
        assert_flow_leads_to(lab, family, proxy)


def assert_flow_leads_to(lab, family: str, proxy: Namespace) -> None:
    to = (lab.srv.address(family), FAR_PORT)
    with lab.srv.listen(family, FAR_PORT) as listener, lab.cli.connect(to) as client:
        server, peer = listener.accept()
        with server:
            assert peer[0] == proxy.address(family)
            assert_alive(client, server)


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def found(host: Namespace) -> str:
    """The log's line; only addresses of this host's are in it."""
    return rf"upstream far: {NAME} is {host.v4}, {host.v6}$"


def test_the_name_leads_to_the_proxy(lab, etc, start, family, resources):
    server = name_server(lab.srv, lab.srv2, resources)
    etc.resolve_by(lab.srv.address(family))
    daemon = start()
    daemon.wait_log(found(lab.srv2))
    assert NAME in server.wait_line("query")
    assert_leads_to(lab, lab.srv2)
    ended = daemon.wait_ended(upstream="far")
    assert ended["end"] == "finished"
    rows = daemon.ask("upstream")["upstreams"]
    far = next(row for row in rows if row["name"] == "far")
    assert sorted(far["addresses"]) == [f"{lab.srv2.v4}:1080", f"[{lab.srv2.v6}]:1080"]


def test_a_host_of_the_hosts_file_is_not_asked_for(lab, etc, start):
    """There is no name server at all."""
    etc.write("hosts", f"{lab.srv2.v4} {NAME}\n{lab.srv2.v6} other {NAME}\n")
    daemon = start()
    daemon.wait_log(found(lab.srv2))
    assert_leads_to(lab, lab.srv2)


CHANGES = {
    "resolv.conf": lambda lab, etc: etc.resolve_by(lab.srv2.v4),
    "hosts": lambda lab, etc: etc.write(
        "hosts", f"{lab.srv.v4} {NAME}\n{lab.srv.v6} {NAME}\n"
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_T05_another_address_is_used_at_once(lab, etc, start, resources, what):
    """A running flow keeps the proxy it has."""
    name_server(lab.srv, lab.srv2, resources)
    name_server(lab.srv2, lab.srv, resources)
    etc.resolve_by(lab.srv.v4)
    daemon = start()
    daemon.wait_log(found(lab.srv2))
    to = (lab.srv.v4, FAR_PORT)
    with lab.srv.listen("v4", FAR_PORT) as listener:
        client = resources.enter_context(lab.cli.connect(to))
        server = resources.enter_context(listener.accept()[0])
    server.settimeout(5)
    CHANGES[what](lab, etc)
    daemon.wait_log("has changed: looking names up anew")
    daemon.wait_log(found(lab.srv))
    assert_leads_to(lab, lab.srv)
    assert_alive(client, server)


def test_T05_its_questions_are_not_intercepted(lab, etc, start, resources):
    """Those of other programs are, so the intercept is there."""
    name_server(lab.srv, lab.srv2, resources)
    etc.resolve_by(lab.srv.v4)
    assert asks_in_vain(lab) is False
    daemon = start()
    daemon.wait_log(found(lab.srv2))
    assert asks_in_vain(lab) is True


def asks_in_vain(lab) -> bool:
    words = ("dig", "+short", "+time=2", "+tries=1", f"@{lab.srv.v4}", NAME, "A")
    done = lab.gw.run(*words, check=False)
    return done.stdout.strip() != lab.srv2.v4


def test_F41_a_name_that_nobody_knows(lab, etc, start, family, resources):
    name_server(lab.srv, lab.srv2, resources)
    etc.resolve_by(lab.srv.v4)
    daemon = start()
    daemon.wait_log(
        rf"warning: upstream nobody: cannot look {UNKNOWN} up: "
        "Domain name not found; flows through it fail until it is found"
    )
    to = (lab.srv.address(family), NOBODY_PORT)
    with lab.srv.listen(family, NOBODY_PORT) as listener:
        listener.settimeout(0)
        assert connection_outcome(lambda: lab.cli.connect(to)) == "rst"
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert daemon.wait_ended(upstream="nobody")["end"] == "upstream-unreachable"
    assert_leads_to(lab, lab.srv2)  # others are not concerned


def test_a_name_that_becomes_known(lab, etc, start):
    daemon = start(CONFIG.replace(UNKNOWN, "late.lab"))
    daemon.wait_log(rf"upstream far: cannot look {NAME} up")
    etc.write("hosts", f"{lab.srv2.v4} {NAME}\n{lab.srv2.v6} {NAME}\n")
    daemon.wait_log(found(lab.srv2))
    assert_leads_to(lab, lab.srv2)


def test_a_resolver_that_dies_takes_nothing_with_it(lab, etc, start):
    etc.write("hosts", f"{lab.srv2.v4} {NAME}\n{lab.srv2.v6} {NAME}\n")
    daemon = start()
    daemon.wait_log(found(lab.srv2))
    (resolver,) = [p for p in daemon.processes() if name_of(p) == RESOLVER]
    os.kill(resolver, signal.SIGKILL)
    daemon.wait_log(rf"resolver {resolver} was killed by signal 9")
    assert_leads_to(lab, lab.srv2)
    assert daemon.serving_workers()


def test_without_a_name_there_is_no_resolver(lab, start):
    daemon = start(CONFIG.replace(NAME, lab.srv2.v4).replace(UNKNOWN, lab.srv.v4))
    names = [name_of(p) for p in daemon.processes()]
    assert "waylay-worker" in names
    assert RESOLVER not in names
