# SPDX-License-Identifier: Apache-2.0
"""Each engine, and a server of the gateway itself that sees the true client.

    srv2 ── wan1 ─ gw: waylayd, listen :9000 ──> a server, 127.0.0.1:8087
                                                 and [::1]:8087

The server's answers to an address that is elsewhere stay on this host: that is
what rule 7704 is for.  On the plain gateway the sender talks to the server
itself, and what it says of its client is data.
"""

import itertools

import pytest

from each_engine import ENGINES, gateway  # noqa: F401
from endings import assert_stream_arrives
from wait import wait_for

LISTEN_PORT, SERVER_PORT = 9000, 8087
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
GATEWAY = {"v4": "203.0.113.1", "v6": "2001:db8:3::1"}
CLIENT = {"v4": "192.0.2.77", "v6": "2001:db8:1::77"}
PRIORITY = "7704"
MEGA = 1 << 20
ONLY_WAYLAY = pytest.mark.parametrize("gateway", ENGINES, indirect=True)

client_ports = itertools.count(40000)  # none twice: TIME_WAIT


def config(engine: str) -> str:
    return f"""
    engine {engine}
    workers 2
    intercept lan {{ from lan0; tcp any }}
    intercept web4 {{
        listen 0.0.0.0:{LISTEN_PORT}; proxy-protocol from 203.0.113.0/24
    }}
    intercept web6 {{
        listen [::]:{LISTEN_PORT}; proxy-protocol from 2001:db8:3::/64
    }}
    upstream own4 {{ via direct; source client; to 127.0.0.1:{SERVER_PORT} }}
    upstream own6 {{ via direct; source client; to [::1]:{SERVER_PORT} }}
    rules {{
        intercept web4 -> own4
        intercept web6 -> own6
    }}
    """


@pytest.fixture
def server(lab, gateway, family, resources):  # noqa: F811
    address = LOOPBACK[family] if gateway.is_waylay else GATEWAY[family]
    return resources.enter_context(lab.gw.listen(family, SERVER_PORT, address))


def header(family: str, port: int) -> bytes:
    kind = {"v4": "TCP4", "v6": "TCP6"}[family]
    words = (kind, CLIENT[family], GATEWAY[family], port, LISTEN_PORT)
    return ("PROXY " + " ".join(map(str, words)) + "\r\n").encode()


def talk(lab, gateway, server, family: str) -> None:  # noqa: F811
    """A long stream each way; the server's client is who the header says."""
    port = LISTEN_PORT if gateway.is_waylay else SERVER_PORT
    for is_up in (True, False):
        said = header(family, client_port := next(client_ports))
        with lab.srv2.connect((GATEWAY[family], port)) as sender:
            sender.sendall(said)
            served, peer = server.accept()
            with served:
                served.settimeout(5)
                if gateway.is_waylay:
                    assert peer[:2] == (CLIENT[family], client_port)
                else:
                    assert served.recv(200) == said
                ends = (sender, served) if is_up else (served, sender)
                assert_stream_arrives(*ends, MEGA)


def rules_of(lab, family: str) -> list[str]:
    lines = lab.gw.ip({"v4": "-4", "v6": "-6"}[family], "rule").splitlines()
    return [line for line in lines if line.startswith(f"{PRIORITY}:")]


def test_the_answers_find_back(lab, gateway, server, family):  # noqa: F811
    talk(lab, gateway, server, family)


def test_one_rule_a_family(lab, gateway, family):  # noqa: F811
    rules = rules_of(lab, family)
    assert len(rules) == (1 if gateway.is_waylay else 0)
    for rule in rules:
        assert f"from {LOOPBACK[family]} " in rule and "iif lo" in rule


def test_loopback_to_loopback_is_as_ever(lab, gateway, server, family):  # noqa: F811
    """A program of the gateway's own that uses the server."""
    name = server.getsockname()[:2]
    with lab.gw.connect(name) as client:
        served, peer = server.accept()
        with served:
            served.settimeout(5)
            assert peer[0] == name[0]
            assert_stream_arrives(served, client, MEGA)


@ONLY_WAYLAY
def test_F23_the_rule_is_restored(lab, gateway, server, family):  # noqa: F811
    lab.gw.ip({"v4": "-4", "v6": "-6"}[family], "rule", "del", "pref", PRIORITY)
    wait_for("it is back", lambda: len(rules_of(lab, family)) == 1)
    talk(lab, gateway, server, family)


@ONLY_WAYLAY
def test_it_is_gone_after_a_reload_that_needs_it_no_more(lab, gateway):  # noqa: F811
    daemon = gateway.daemon
    text = daemon.config_file.read_text()
    try:
        daemon.write_config(text.replace("source client; ", "source self; "))
        assert daemon.reload().returncode == 0
        assert rules_of(lab, "v4") + rules_of(lab, "v6") == []
    finally:
        daemon.write_config(text)
        assert daemon.reload().returncode == 0
    assert len(rules_of(lab, "v4") + rules_of(lab, "v6")) == 2
