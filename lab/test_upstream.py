# SPDX-License-Identifier: Apache-2.0
"""TCP through real proxies: every kind, both families, with and without users.

    cli ── lan0 ─ gw: waylayd ─ wan1 ── srv2: the proxies
                       └─────── wan0 ── srv: what the client wanted

The server port of a flow chooses its proxy; each proxy is reached by IPv4 for
IPv4 flows and by IPv6 for IPv6 flows.  On the plain gateway the client talks
to srv itself: what arrives must be the same, but for who srv believes it is.
"""

from pathlib import Path

import pytest

import proxies
import waylay
from endings import assert_alive, assert_stream_arrives, connection_outcome, end_of
from namespace import Namespace
from observers import HostState, assert_same_state
from proxies import PASSWORD, USER, Proxy
from topology import NETS, UP, Lab
from wait import wait_for

MEGA = 1 << 20
WRONG = "wr0ng-one"
REFUSED_PORT = 9  # by the rules of danted and squid

# Name, what it is, its user; the number of the row gives both ports.
ROWS = [
    *((kind.__name__.lower(), kind, "") for kind in (*proxies.SOCKS, *proxies.CONNECT)),
    *((f"{kind.__name__.lower()}-user", kind, USER) for kind in proxies.ASKING),
]
NAMES = [name for name, _, _ in ROWS]


def server_port(name: str) -> int:
    return 8001 + NAMES.index(name)


def proxy_port(name: str) -> int:
    return 3001 + 10 * NAMES.index(name)


def upstreams(passwords: Path) -> str:
    """Each proxy once by IPv4 and once by IPv6, and once with a wrong password."""
    text = []
    for name, kind, user in ROWS:
        for family, host in UP.items():
            for what in ("right", "wrong") if user else ("right",):
                secret = f"user {USER}; password file:{passwords}/{what}"
                text.append(
                    f"upstream {name}-{family}-{what} {{ via {kind.via} "
                    f"{host}:{proxy_port(name)}; {secret if user else ''} }}"
                )
    return "\n".join(text)


def rules() -> str:
    text = []
    for name, _, user in ROWS:
        for family, net in NETS.items():
            port = server_port(name)
            text.append(f"dst {net} port {port} -> {name}-{family}-right")
            if user:
                text.append(f"dst {net} port {port + 100} -> {name}-{family}-wrong")
    return "\n".join(text)


def config(passwords: Path) -> str:
    return f"""
    engine {waylay.ENGINE}; workers 1
    intercept lan {{ from lan0; tcp any }}
    {upstreams(passwords)}
    rules {{
        {rules()}
        default -> direct
    }}
    """


@pytest.fixture(scope="module")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("passwords")
    for name, text in (("right", PASSWORD), ("wrong", WRONG)):
        file = directory / name
        file.write_text(text + "\n")
        file.chmod(0o600)
    return directory


# For scenarios about what a plain router does not have.
ONLY_WAYLAY = pytest.mark.parametrize("gateway", ["waylay"], indirect=True)
WITH_USER = [row for row in ROWS if row[2]]


@pytest.fixture(scope="module", params=["plain", "waylay"])
def gateway(request: pytest.FixtureRequest, lab: Lab, passwords: Path):
    if request.param == "plain":
        yield waylay.Gateway(lab.gw, None)
        return
    before = HostState(lab.gw)
    with waylay.Daemon(lab.gw, config(passwords)) as daemon:
        yield waylay.Gateway(lab.gw, daemon)
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture(scope="module", params=ROWS, ids=NAMES)
def proxy(request: pytest.FixtureRequest, lab: Lab):
    name, kind, user = request.param
    started: Proxy = kind(lab.srv2, user, proxy_port(name))
    started.name = name
    yield started
    started.close()


class Ends:
    """Both ends of a connection from cli to srv."""

    def __init__(self, lab: Lab, family: str, port: int):
        with lab.srv.listen(family, port) as listener:
            self.client = lab.cli.connect((lab.srv.address(family), port))
            self.client.sendall(b"!")  # some speak only when there is something
            self.server, self.peer = listener.accept()
        self.server.settimeout(self.client.gettimeout())
        assert self.server.recv(1) == b"!"

    def __enter__(self) -> "Ends":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()


def believed_client(lab: Lab, gateway: waylay.Gateway, family: str) -> str:
    host: Namespace = lab.srv2 if gateway.is_waylay else lab.cli
    return host.address(family)


def test_bytes_go_both_ways(lab, gateway, proxy, family):
    with Ends(lab, family, server_port(proxy.name)) as ends:
        assert ends.peer[0] == believed_client(lab, gateway, family)
        assert_alive(ends.client, ends.server)
        assert_alive(ends.server, ends.client)


def test_a_long_stream_arrives_whole(lab, gateway, proxy, family):
    with Ends(lab, family, server_port(proxy.name)) as ends:
        assert_stream_arrives(ends.server, ends.client, 3 * MEGA)
    with Ends(lab, family, server_port(proxy.name)) as ends:
        assert_stream_arrives(ends.client, ends.server, 3 * MEGA)


def test_F40_a_closed_port_is_no_empty_answer(lab, gateway, proxy, family):
    """Whoever cannot be reached: the client sees an error, or at least an end."""
    to = (lab.srv.address(family), server_port(proxy.name))
    outcome = connection_outcome(lambda: lab.cli.connect(to))
    if not gateway.is_waylay:
        assert outcome == "ECONNREFUSED"
    elif isinstance(proxy, (proxies.SshTunnel, proxies.Shadowsocks)):
        assert outcome in ("rst", "fin")  # they say yes before they know
    else:
        assert outcome == "rst"
        ended = gateway.daemon.wait_ended(upstream=f"{proxy.name}-{family}-right")
        assert ended["end"] in ("server-refused", "server-unreachable",
                                "upstream-refused")


@ONLY_WAYLAY
@pytest.mark.parametrize(
    "proxy", WITH_USER, ids=[name for name, _, _ in WITH_USER], indirect=True
)
def test_F41_a_wrong_password_reaches_nobody(lab, gateway, proxy, family, resources):
    port = server_port(proxy.name) + 100
    listener = resources.enter_context(lab.srv.listen(family, port))
    listener.settimeout(0)
    to = (lab.srv.address(family), port)
    assert connection_outcome(lambda: lab.cli.connect(to)) == "rst"
    ended = gateway.daemon.wait_ended(upstream=f"{proxy.name}-{family}-wrong")
    assert ended["end"] == "upstream-auth"
    with pytest.raises(BlockingIOError):
        listener.accept()


@ONLY_WAYLAY
def test_T22_no_secret_is_shown(lab, gateway, passwords):
    """Neither by the log nor by any command."""
    said = [gateway.daemon.log]
    for words in (("status",), ("flows", "--ended", "1000"), ("config", "show"),
                  ("upstream",), ("rules", "show")):
        for more in ((), ("--json",)):
            done = gateway.daemon.tool(*more, *words)
            said += [done.stdout, done.stderr]
    for text in said:
        assert PASSWORD not in text and WRONG not in text
    assert str(passwords) in gateway.daemon.tool("config", "show").stdout


@ONLY_WAYLAY
def test_what_is_dead_ends_with_rst(lab, gateway, family):
    """Nobody listens at the proxy's address: never direct, never silent."""
    name = NAMES[0]
    to = (lab.srv.address(family), server_port(name))
    with lab.srv.listen(family, to[1]) as listener:
        listener.settimeout(0)
        assert connection_outcome(lambda: lab.cli.connect(to)) == "rst"
        with pytest.raises(BlockingIOError):
            listener.accept()
    gateway.daemon.wait_ended(
        upstream=f"{name}-{family}-right", end="upstream-unreachable"
    )


@ONLY_WAYLAY
def test_a_proxy_that_is_killed_ends_its_flows(lab, gateway, family):
    name = "microsocks"
    proxy = proxies.Microsocks(lab.srv2, port=proxy_port(name))
    with Ends(lab, family, server_port(name)) as ends:
        proxy.close()
        assert end_of(ends.client) in ("rst", "fin")
    wait_for("no flow is left", lambda: gateway.daemon.flows() == [])
