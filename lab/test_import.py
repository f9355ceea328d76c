# SPDX-License-Identifier: Apache-2.0
"""The kernel document's commands, and what `waylay import` makes of them.

    cli ── lan0 ─ gw: program on *:50080 ─ wan0 ── srv

Documentation/networking/tproxy gives these commands, for TCP port 80.  On one
gateway they are executed as they stand.  On the others the imported
configuration is in force, with each engine; with engine ebpf there is no rule
of netfilter at all.  Clients must not be able to tell which gateway it is.
"""

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import waylay
from each_engine import ENGINES, require
from endings import connection_outcome
from namespace import Namespace, endpoint
from observers import (
    HostState,
    LeakObserver,
    assert_same_state,
    read_legacy_rules,
    read_ruleset,
)
from probe import digest_of
from programs import Probe
from topology import Lab

DOCUMENT = {
    "v4": """\
iptables -t mangle -N DIVERT
iptables -t mangle -A PREROUTING -p tcp -m socket -j DIVERT
iptables -t mangle -A DIVERT -j MARK --set-mark 1
iptables -t mangle -A DIVERT -j ACCEPT
ip rule add fwmark 1 lookup 100
ip route add local 0.0.0.0/0 dev lo table 100
iptables -t mangle -A PREROUTING -p tcp --dport 80 -j TPROXY \\
  --tproxy-mark 0x1/0x1 --on-port 50080
""",
    "v6": """\
ip6tables -t mangle -N DIVERT
ip6tables -t mangle -A PREROUTING -p tcp -m socket -j DIVERT
ip6tables -t mangle -A DIVERT -j MARK --set-mark 1
ip6tables -t mangle -A DIVERT -j ACCEPT
ip -6 rule add fwmark 1 lookup 100
ip -6 route add local ::/0 dev lo table 100
ip6tables -t mangle -A PREROUTING -p tcp --dport 80 -j TPROXY \\
  --tproxy-mark 0x1/0x1 --on-port 50080
""",
}
PROGRAM_PORT = 50080
ANY = {"v4": "0.0.0.0", "v6": "::"}
OTHER = {"v4": "v6", "v6": "v4"}
MEGA = 1 << 20
EXIT_NOT_EXPRESSED = 6


@dataclass
class Side:
    """A network whose gateway obeys the document in one way or another."""

    lab: Lab
    family: str
    is_netfilter: bool

    def server(self, port: int) -> tuple[str, int]:
        return (self.lab.srv.address(self.family), port)


def imported(host: Namespace, commands: str) -> str:
    done = host.run(waylay.WAYLAY, "import", input=commands, check=False)
    assert done.returncode == waylay.EXIT_OK, done.stderr
    assert done.stderr.endswith(
        "8 lines: 2 expressed, 6 plumbing, 0 not about interception, 0 not expressed\n"
    )
    return done.stdout


def assert_no_netfilter(host: Namespace) -> None:
    assert read_ruleset(host) == []
    assert list(read_legacy_rules(host)) == []


@contextlib.contextmanager
def obeying(host: Namespace, commands: str, way: str) -> Iterator[None]:
    if way == "document":
        host.run("sh", "-e", "-c", commands)
        yield
        return
    require(way)
    text = imported(host, commands)
    before = HostState(host)
    text = text.replace("engine     auto", f"engine     {way}")
    with waylay.Daemon(host, text) as daemon:
        assert daemon.status()["engine"] == way
        if way == "ebpf":
            assert_no_netfilter(host)
        yield
    assert_same_state(before, HostState(host))


@pytest.fixture(
    scope="module",
    params=[(way, f) for f in DOCUMENT for way in ("document", *ENGINES)],
    ids="-".join,
)
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    way, family = request.param
    with Lab() as lab, obeying(lab.gw, DOCUMENT[family], way):
        yield Side(lab, family, way == "document")


@pytest.fixture
def program(side, probe) -> Probe:
    return probe(
        side.lab.gw, "transparent-server", PROGRAM_PORT, "--on", ANY[side.family]
    )


# --- what is taken ------------------------------------------------------------


def test_port_80_reaches_the_program_with_both_addresses(side, program):
    leaks = LeakObserver(side.lab.srv)
    with side.lab.cli.connect(side.server(80), source_port=20000) as client:
        client.sendall(b"question")
        assert client.recv(100) == b"question"
        assert client.getpeername()[:2] == side.server(80)
    taken = program.line()
    assert taken["peer"] == endpoint(side.lab.cli.address(side.family), 20000)
    assert taken["own"] == endpoint(*side.server(80))
    assert leaks.forwarded() == leaks.own() == 0


def test_the_way_back_carries_a_stream(side, program, probe):
    to = side.server(80)
    report = probe(side.lab.cli, "tcp-client", *to, "--send", 4 * MEGA).line()
    assert (report["received"], report["end"]) == (4 * MEGA, "fin")
    assert report["sha256"] == digest_of(4 * MEGA)


def test_an_address_without_a_host_is_served_too(side, program):
    nobody = {"v4": "203.0.113.99", "v6": "2001:db8:3::99"}[side.family]
    with side.lab.cli.connect((nobody, 80)) as client:
        client.sendall(b"?")
        assert client.recv(1) == b"?"


# --- what is not --------------------------------------------------------------


def assert_forwarded(side: Side, family: str, port: int, probe) -> None:
    server = probe(side.lab.srv, "tcp-server", port)
    leaks = LeakObserver(side.lab.srv)
    with side.lab.cli.connect((side.lab.srv.address(family), port)) as client:
        own = client.getsockname()[:2]
        client.sendall(b"?")
        assert client.recv(1) == b"?"
    assert server.line()["peer"] == endpoint(*own)
    assert leaks.forwarded() > 0 and leaks.own() == 0


def test_other_ports_pass(side, program, probe):
    assert_forwarded(side, side.family, 81, probe)


def test_the_other_ip_version_passes(side, program, probe):
    assert_forwarded(side, OTHER[side.family], 80, probe)


def test_udp_passes(side, program, resources):
    s = resources.enter_context(side.lab.srv.udp(side.family, 80))
    c = resources.enter_context(side.lab.cli.udp(side.family))
    c.sendto(b"question", side.server(80))
    data, peer = s.recvfrom(100)
    client = (side.lab.cli.address(side.family), c.getsockname()[1])
    assert (data, peer[:2]) == (b"question", client)


def test_a_closed_port_that_passes_is_refused_by_its_server(side, program):
    outcome = connection_outcome(lambda: side.lab.cli.connect(side.server(82)))
    assert outcome == "ECONNREFUSED"


def test_port_80_is_dropped_while_nobody_listens(side, probe):
    probe(side.lab.srv, "tcp-server", 80)
    leaks = LeakObserver(side.lab.srv)
    assert connection_outcome(lambda: impatient(side)) == "timeout"
    side.lab.cli.run("ping", "-c", "1", "-W", "5", side.server(80)[0])
    assert leaks.forwarded() == leaks.own() == 0


def impatient(side: Side) -> socket.socket:
    s = side.lab.cli.new_socket(side.family, socket.SOCK_STREAM)
    s.settimeout(0.3)
    try:
        s.connect(side.server(80))
    except OSError:
        s.close()
        raise
    return s


# --- the tool -----------------------------------------------------------------


def test_real_rules_are_read_back(fresh_lab, tmp_path):
    """What the kernel's programs print of these commands says the same."""
    host = fresh_lab.gw
    for commands in DOCUMENT.values():
        host.run("sh", "-e", "-c", commands)
    printed = "".join(
        host.run(*command).stdout
        for command in (
            ("iptables-save",),
            ("ip6tables-save",),
            ("ip", "rule"),
            ("ip", "-6", "rule"),
            ("ip", "route", "show", "table", "100"),
            ("ip", "-6", "route", "show", "table", "100"),
        )
    )
    done = host.run(waylay.WAYLAY, "--json", "import", input=printed, check=False)
    assert done.returncode == waylay.EXIT_OK, done.stderr
    data = json.loads(done.stdout)
    assert (data["expressed"], data["plumbing"]) == (4, 12), printed
    assert data["text"].count("intercept take-") == 1
    assert "except" not in data["text"]  # of both IP versions


def test_the_ruleset_of_nft_is_read_back(fresh_lab):
    host = fresh_lab.gw
    host.run(
        *("sh", "-e", "-c"),
        """
nft add table filter
nft add chain filter divert "{ type filter hook prerouting priority -150; }"
nft add set filter private "{ type ipv4_addr; flags interval; }"
nft add element filter private "{ 10.0.0.0/8, 192.168.0.0/16 }"
nft add rule filter divert meta l4proto tcp socket transparent 1 meta mark set 1 accept
nft add rule filter divert ip daddr @private return
nft add rule filter divert iifname lan0 tcp dport 80 tproxy to :50080 meta mark set 1 accept
""",
    )
    printed = host.run("nft", "list", "ruleset").stdout
    done = host.run(waylay.WAYLAY, "import", input=printed, check=False)
    assert done.returncode == waylay.EXIT_OK, done.stderr
    for line in ("from    lan0", "except  dst private-2", "on-failure open"):
        assert line in done.stdout, done.stdout


def test_what_cannot_be_expressed_exits_6(fresh_lab):
    rule = "iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 1\n"
    done = fresh_lab.gw.run(waylay.WAYLAY, "import", "-", input=rule, check=False)
    assert done.returncode == EXIT_NOT_EXPRESSED
    assert "standard input:1: REDIRECT " in done.stderr
    assert rule in done.stderr


FOREIGN = (
    "-A PREROUTING -d 10.{a}.{b}.1/32 -j RETURN",
    "-A PREROUTING -i lan0 -p tcp --dport {n} -j TPROXY --on-port 1 --on-ip 127.0.0.1",
    "-A PREROUTING -m string --string s{n} -j RETURN",
    "-A FORWARD -s 10.{a}.{b}.0/24 -j DROP",
    "-A X -m set --match-set s{n} src -j MARK --set-mark {n}",
    "nft add rule ip t c tcp dport {n} redirect",
    "ip rule add fwmark {n} lookup 100",
    "# {n}",
    "it's \x07 \xff {n} | `sh` \\",
    "",
)
SUMMARY = re.compile(
    r"(\d+) lines: (\d+) expressed, (\d+) plumbing, "
    r"(\d+) not about interception, (\d+) not expressed\n$"
)
NAMED = re.compile(r"/rules:(\d+)(?:-(\d+))?: ")


def test_ten_thousand_foreign_lines_are_accounted_for(fresh_lab, tmp_path):
    """Each has one of the four fates, and what is printed is valid.  An
    apostrophe that nothing ends reaches as far as the next one."""
    lines = (
        FOREIGN[i % len(FOREIGN)].format(a=i >> 8, b=i & 255, n=i + 1)
        for i in range(10_000)
    )
    text = "*mangle\n" + "\n".join(lines) + "\n"
    file = tmp_path / "rules"
    file.write_text(text, encoding="latin-1")
    host = fresh_lab.gw
    done = host.run(waylay.WAYLAY, "import", str(file), check=False)
    assert done.returncode == EXIT_NOT_EXPRESSED
    total, *fates = map(int, SUMMARY.search(done.stderr).groups())
    assert total == sum(fates) == text.count("\n")
    printed = tmp_path / "printed.conf"
    printed.write_text(done.stdout)
    host.run(waylay.WAYLAY, "config", "check", str(printed))
    done = host.run(waylay.WAYLAY, "--json", "import", str(file), check=False)
    lines = json.loads(done.stdout)["lines"]
    assert [line["line"] for line in lines] == list(range(1, total + 1))
    refused = [line["line"] for line in lines if line["status"] == "not-expressed"]
    named = [
        number
        for first, last in NAMED.findall(done.stderr)
        for number in range(int(first), int(last or first) + 1)
    ]
    assert named == refused and len(refused) == fates[-1]
