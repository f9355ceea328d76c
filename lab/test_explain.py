# SPDX-License-Identifier: Apache-2.0
"""What `waylay explain` says is what happens.

    cli ── lan0 ─ gw: waylayd ─┬─ wan0 ── srv   servers
                               └─ wan1 ── srv2  a SOCKS5 proxy

Each row of the table is asked, then sent; the flow's record must name the
rule and the upstream of the answer.  Where no record can be, since the kernel
decides, the server's view says who was right.  A router explains nothing, so
there is no plain gateway.
"""

import json
import socket
from dataclasses import dataclass

import pytest

import proxies
import waylay
from endings import end_of
from hello import client_hello, initials
from namespace import endpoint
from observers import HostState, LeakObserver, assert_same_state
from wait import wait_for
from waylay import EXIT_CONFIG, EXIT_OK, EXIT_USAGE, WAYLAY

UP = {"v4": "203.0.113.10", "v6": "[2001:db8:3::10]"}
LISTEN_PORT = 9000

CONFIG = f"""
engine {waylay.ENGINE}; workers 1
sniff {{ tls; http; quic; wait 1s }}
intercept lan {{
    from lan0
    tcp any
    udp 53, 443, 7000-7999
    except dst 198.51.100.99, 2001:db8:2::99
    except port 6000
}}
intercept edge {{ listen 0.0.0.0:{LISTEN_PORT}; proxy-protocol from 203.0.113.0/24 }}
upstream out    {{ via direct; source client }}
upstream proxy4 {{ via socks5 {UP["v4"]}:1080 }}
upstream proxy6 {{ via socks5 {UP["v6"]}:1080 }}
group both {{ members proxy4, proxy6; balance round-robin }}
list blocked {{ domain blocked.example, *.blocked.example; net 198.51.100.77 }}
list office {{ net 192.0.2.11, 2001:db8:1::11 }}
rules {{
    tcp port 7001                  -> out
    port 7002                      -> reject
    port 7003                      -> drop
    port 7004                      -> direct
    port 7005                      -> direct log
    intercept edge                 -> out
    list blocked                   -> reject
    src office                     -> proxy4
    domain .group.example port 443 -> both
    domain one.example             -> proxy6
    quic                           -> reject
    udp port 7500-7599             -> out
    port 8000-8099                 -> both
    default                        -> out
}}
"""


@pytest.fixture(scope="module")
def daemon(lab):
    socks = proxies.Microsocks(lab.srv2)
    before = HostState(lab.gw)
    with waylay.Daemon(lab.gw, CONFIG) as daemon:
        yield daemon
    assert_same_state(before, HostState(lab.gw))
    socks.close()


@dataclass
class Row:
    """A flow and its name; what the kernel does with its first packet."""

    port: int
    verdict: str
    rule: int
    upstream: str
    proto: str = "tcp"
    name: str = ""
    who: str = "cli"
    is_quic: bool = False


ROWS = {
    "an-address-rule": Row(7001, "relay", 1, "out"),
    "refused-by-the-kernel": Row(7002, "reject", 2, "reject"),
    "dropped-by-the-kernel": Row(7003, "drop", 3, "drop"),
    "direct-is-not-taken": Row(7004, "pass", 4, "direct"),
    "direct-with-a-record": Row(7005, "relay", 5, "direct"),
    "a-port-that-is-excepted": Row(6000, "pass", 0, ""),
    "a-port-that-nobody-takes": Row(8000, "pass", 0, "", proto="udp"),
    "a-blocked-name": Row(443, "relay", 7, "reject", name="x.blocked.example"),
    "the-office": Row(443, "relay", 8, "proxy4", who="cli2", name="one.example"),
    "a-name-of-a-group": Row(443, "relay", 9, "both", name="group.example"),
    "the-same-at-another-port": Row(444, "relay", 14, "out", name="group.example"),
    "one-name": Row(444, "relay", 10, "proxy6", name="one.example"),
    "no-name": Row(443, "relay", 14, "out"),
    "a-name-of-nobody": Row(443, "relay", 14, "out", name="other.example"),
    "a-group-by-port": Row(8080, "relay", 13, "both"),
    "no-name-goes-by-the-port": Row(8080, "relay", 13, "both", name="other.example"),
    "datagrams": Row(7500, "relay", 12, "out", proto="udp"),
    "datagrams-of-the-default": Row(53, "relay", 14, "out", proto="udp"),
    "quic": Row(443, "relay", 11, "reject", "udp", "other.example", is_quic=True),
    "blocked-quic": Row(443, "relay", 7, "reject", "udp", "blocked.example",
                        is_quic=True),
}


@pytest.fixture(params=ROWS.values(), ids=ROWS)
def row(request) -> Row:
    return request.param


def ask(lab, daemon, row: Row, family: str, *more: str) -> dict:
    client = getattr(lab, row.who)
    src, dst = client.address(family), endpoint(lab.srv.address(family), row.port)
    words = [("--name", row.name)] * bool(row.name) + [("--quic",)] * row.is_quic
    flat = [word for pair in words for word in pair]
    return daemon.ask("explain", row.proto, src, dst, *flat, *more)


def test_the_answer_is_right(lab, daemon, row, family):
    answer = ask(lab, daemon, row, family)
    assert answer["verdict"] == row.verdict
    decides = answer["rules"][-1] if answer["rules"] else {"rule": 0, "match": "yes"}
    assert (decides["rule"], decides["match"]) == (row.rule, "yes")
    assert (answer["upstream"] or {"name": ""})["name"] == row.upstream
    if row.upstream == "both":
        members = [member["name"] for member in answer["upstream"]["members"]]
        assert members == ["proxy4", "proxy6"]
        assert answer["upstream"]["fallback"]["name"] == "reject"


def test_what_happens_is_the_same(lab, daemon, row, family, resources):
    """The record is compared with the answer, not with the table."""
    answer = ask(lab, daemon, row, family)
    send = send_tcp if row.proto == "tcp" else send_udp
    own, outcome = send(lab, row, family, resources)
    if answer["verdict"] != "relay":
        assert outcome == KERNEL[answer["verdict"]]
        assert own not in [f["client"] for f in daemon.flows() + daemon.ended()]
        return
    record = record_of(daemon, own)
    assert record["rule"] == answer["rules"][-1]["rule"]
    members = [m["name"] for m in answer["upstream"].get("members") or []]
    assert record["upstream"] in (members or [answer["upstream"]["name"]])
    assert record.get("name", "") == row.name
    is_refused = answer["upstream"]["name"] == "reject"
    assert outcome == ("refused" if is_refused else "relayed")
    assert answer["intercepts"][-1]["name"] == record["intercept"]


KERNEL = {"pass": "forwarded", "reject": "refused", "drop": "silent"}


def record_of(daemon, own: str) -> dict:
    def known() -> list[dict]:
        return [f for f in daemon.ended() + daemon.flows() if f["client"] == own]

    return wait_for("its record", known)[-1]


def send_tcp(lab, row: Row, family: str, resources) -> tuple[str, str]:
    leaks = LeakObserver(lab.srv)
    client = resources.enter_context(
        getattr(lab, row.who).new_socket(family, socket.SOCK_STREAM)
    )
    listener = resources.enter_context(lab.srv.listen(family, row.port))
    client.settimeout(1)
    try:
        client.connect(listener.getsockname()[:2])
    except ConnectionRefusedError:
        return endpoint(*client.getsockname()[:2]), "refused"
    except TimeoutError:
        return endpoint(*client.getsockname()[:2]), "silent"
    own = endpoint(*client.getsockname()[:2])
    client.settimeout(5)
    client.sendall(client_hello(row.name) if row.name else b"neither TLS nor HTTP\r\n")
    if row.upstream == "reject":
        assert end_of(client) == "rst"
        return own, "refused"
    server = resources.enter_context(listener.accept()[0])
    server.settimeout(5)
    assert server.recv(1)
    return own, "forwarded" if leaks.forwarded() else "relayed"


def send_udp(lab, row: Row, family: str, resources) -> tuple[str, str]:
    leaks = LeakObserver(lab.srv)
    server = resources.enter_context(lab.srv.udp(family, row.port))
    client = resources.enter_context(lab.cli.udp(family))
    client.connect(server.getsockname()[:2])
    own = endpoint(*client.getsockname()[:2])
    client.send(initials(row.name)[0] if row.is_quic else b"datagram")
    if row.upstream == "reject":
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
        return own, "refused"
    assert server.recv(2000)
    return own, "forwarded" if leaks.forwarded() else "relayed"


# --- what else it is told --------------------------------------------------------


def test_what_is_not_known_is_said_to_be_open(lab, daemon, family):
    """Without a name: rules that ask for one are "perhaps"."""
    row = Row(443, "relay", 14, "out")
    answer = ask(lab, daemon, row, family)
    open_rules = [r["rule"] for r in answer["rules"] if r["match"] == "open"]
    assert open_rules == [7, 9, 10]
    assert answer["name"] is None
    assert answer["notes"]


def test_an_exception_is_named(lab, daemon, family):
    excepted = {"v4": "198.51.100.99:80", "v6": "[2001:db8:2::99]:80"}[family]
    answer = daemon.ask("explain", "tcp", lab.cli.address(family), excepted)
    assert answer["verdict"] == "pass"
    (lan,) = [i for i in answer["intercepts"] if i["name"] == "lan"]
    assert lan["is_taking"] is False
    assert "except" in lan["why"]


def test_another_interface_takes_nothing(lab, daemon, family):
    answer = ask(lab, daemon, Row(80, "pass", 0, ""), family, "--from", "wan1")
    assert (answer["verdict"], answer["from"]) == ("pass", "wan1")


def test_what_a_proxy_brings_goes_as_it_says(lab, daemon, resources):
    """`--from edge`: the connection came with a PROXY header."""
    row = Row(443, "relay", 6, "out", name="blocked.example")
    answer = ask(lab, daemon, row, "v4", "--from", "edge")
    assert answer["rules"][-1]["rule"] == 6
    listener = resources.enter_context(lab.srv.listen("v4", 443))
    brought = resources.enter_context(lab.srv2.connect(("203.0.113.1", LISTEN_PORT)))
    header = f"PROXY TCP4 192.0.2.77 {lab.srv.v4} 40000 443\r\n".encode()
    brought.sendall(header + client_hello("blocked.example"))
    resources.enter_context(listener.accept()[0])
    record = record_of(daemon, "192.0.2.77:40000")
    assert (record["rule"], record["upstream"]) == (6, "out")


def test_in_words(lab, daemon, family):
    src, dst = lab.cli.address(family), endpoint(lab.srv.address(family), 443)
    done = daemon.tool("explain", "tcp", src, dst, "--name", "x.blocked.example")
    assert done.returncode == EXIT_OK
    lines = CONFIG.splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "list blocked  " in line)
    (decides,) = [
        line for line in done.stdout.splitlines() if line.strip().endswith("yes")
    ]
    assert decides.split()[:3] == [str(number), "list", "blocked"]
    assert done.stdout.splitlines()[-1].startswith("upstream   reject")


WRONG = {
    "no-protocol": ("sctp", "192.0.2.10", "198.51.100.10:80"),
    "no-port": ("tcp", "192.0.2.10", "198.51.100.10"),
    "a-name-for-an-address": ("tcp", "192.0.2.10", "www.example:80"),
    "two-families": ("tcp", "192.0.2.10", "[2001:db8:2::10]:80"),
    "no-domain-name": ("tcp", "192.0.2.10", "198.51.100.10:80", "--name", "a..b"),
    "quic-of-tcp": ("tcp", "192.0.2.10", "198.51.100.10:80", "--quic"),
    "too-few": ("tcp", "192.0.2.10"),
    "too-many": ("tcp", "192.0.2.10", "198.51.100.10:80", "file", "and-more"),
    "an-unknown-option": ("tcp", "192.0.2.10", "198.51.100.10:80", "--sni", "a.b"),
    "a-value-is-missing": ("tcp", "192.0.2.10", "198.51.100.10:80", "--name"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_wrong_words_are_refused(daemon, words):
    done = daemon.tool("explain", *words)
    assert done.returncode == EXIT_USAGE, done.stdout
    assert done.stderr.startswith("waylay: ") or "usage:" in done.stderr
    assert done.stdout == ""


# --- a file, and no daemon ----------------------------------------------------------


def explain_file(other_host, *words: str, **how):
    return other_host.run(
        WAYLAY, "--json", "--run-dir", "/nonexistent", "explain", *words,
        check=False, **how,
    )


def test_a_file_needs_no_daemon(lab, daemon, row, family, other_host, tmp_path):
    """The same answer as the daemon's, which has this configuration."""
    file = tmp_path / "waylay.conf"
    file.write_text(CONFIG)
    client = getattr(lab, row.who)
    words = [row.proto, client.address(family)]
    words += [endpoint(lab.srv.address(family), row.port)]
    words += ["--name", row.name] if row.name else []
    words += ["--quic"] if row.is_quic else []
    done = explain_file(other_host, *words, str(file))
    assert done.returncode == EXIT_OK, done.stderr
    answer, told = json.loads(done.stdout), ask(lab, daemon, row, family)
    for key in ("verdict", "kernel", "intercepts", "rules", "upstream", "from"):
        assert answer[key] == told[key]


def test_a_file_from_standard_input(other_host):
    question = ("tcp", "192.0.2.10", "198.51.100.10:7002", "-")
    done = explain_file(other_host, *question, input=CONFIG)
    assert json.loads(done.stdout)["verdict"] == "reject"


def test_an_invalid_file_is_shown(other_host, tmp_path):
    file = tmp_path / "broken.conf"
    file.write_text("intercept lan { from lan0; tcp 80-22 }\n")
    question = ("tcp", "192.0.2.10", "198.51.100.10:80", str(file))
    done = explain_file(other_host, *question)
    assert done.returncode == EXIT_CONFIG
    assert "broken.conf:1:" in done.stderr


def test_nobody_to_ask(other_host):
    done = explain_file(other_host, "tcp", "192.0.2.10", "198.51.100.10:80")
    assert done.returncode == waylay.EXIT_NO_DAEMON
