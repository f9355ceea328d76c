# SPDX-License-Identifier: Apache-2.0
"""One line a flow, as text and as JSON: what is in it, and what never is.

    cli ── lan0 ─ gw: waylayd ─┬─ wan0 ── srv   servers
                               └─ wan1 ── srv2  proxies of the test's own

Lines are read as other programs would: JSON by json.loads, text by its
`key=value` pairs.  A router writes no records, so there is no plain gateway.
"""

import json
import re
import shlex
import socket

import pytest

import scripted
import waylay
from endings import assert_stream_arrives, end_of, finish, reset
from hello import client_hello, initials
from namespace import endpoint
from scripted import CONNECT_OK, REQUEST_OK, Scripted
from wait import wait_for

UP = {"v4": "203.0.113.10", "v6": "[2001:db8:3::10]"}
SOCKS_PORT, CONNECT_PORT, DEAD_PORT = 1080, 3128, 1
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NUMBERS = {"rule", "up", "down", "ms", "open_ms", "attempts", "reply"}


def upstreams(f: str) -> str:
    return f"""
    upstream socks-{f} {{ via socks5 {UP[f]}:{SOCKS_PORT} }}
    upstream web-{f}   {{ via http-connect {UP[f]}:{CONNECT_PORT} }}
    upstream dead-{f}  {{ via socks5 {UP[f]}:{DEAD_PORT} }}
    group both-{f}     {{ members dead-{f}, socks-{f}; balance first }}
    group none-{f}     {{ members dead-{f} }}
    """


def rules(f: str) -> str:
    net = {"v4": "198.51.100.0/24", "v6": "2001:db8:2::/64"}[f]
    return f"""
    dst {net} port 8001 -> socks-{f}
    dst {net} port 8002 -> web-{f}
    dst {net} port 8003 -> both-{f}
    dst {net} port 8004 -> none-{f}
    """


def config(log: str) -> str:
    return f"""
    engine {waylay.ENGINE}; workers 1
    log {{ {log} }}
    timeouts {{ udp 300ms }}
    sniff {{ tls; http; quic; wait 1s }}
    intercept lan {{ from lan0; tcp any; udp any }}
    upstream out {{ via direct; source client }}
    {upstreams("v4")}
    {upstreams("v6")}
    rules {{
        port 7001 -> out log
        domain blocked.example -> reject
        {rules("v4")}
        {rules("v6")}
        default -> out
    }}
    """


RULE = {"log": 1, "blocked": 2, "socks": 3, "web": 4, "both": 5, "none": 6}
DEFAULT_RULE, RULES_OF_A_FAMILY = 11, 4


def rule_of(name: str, family: str) -> int:
    number = RULE.get(name, DEFAULT_RULE)
    is_second = family == "v6" and name in ("socks", "web", "both", "none")
    return number + is_second * RULES_OF_A_FAMILY


# --- lines -----------------------------------------------------------------------


def from_text(line: str) -> dict | None:
    """`STAMP info: flow tcp client=... error="..." ...`"""
    stamp, _, message = line.partition(" info: ")
    if not message.startswith("flow "):
        return None
    assert STAMP.fullmatch(stamp)
    _, proto, *pairs = shlex.split(message)
    fields = dict(pair.split("=", 1) for pair in pairs)
    assert len(fields) == len(pairs), "no field comes twice"
    numbers = {key: int(fields[key]) for key in NUMBERS & set(fields)}
    return {"proto": proto} | fields | numbers


def from_json(line: str) -> dict | None:
    """Every line is an object."""
    fields = json.loads(line)
    assert STAMP.fullmatch(fields.pop("time"))
    level, message = fields.pop("level"), fields.pop("message")
    assert (message == "flow") == bool(fields)
    if message != "flow":
        return None
    assert level == "info"
    return fields


READERS = {"text": from_text, "json": from_json}


class Log:
    """A daemon whose records are read back."""

    def __init__(self, daemon: waylay.Daemon, form: str):
        self.daemon, self.form = daemon, form

    def records(self) -> list[dict]:
        said = [line for line in self.daemon.lines if line[:1] in ("2", "{")]
        return [r for r in map(READERS[self.form], said) if r]

    def wait(self, own: str) -> dict:
        """The only record of this client."""
        found = wait_for(
            f"the record of {own}",
            lambda: [r for r in self.records() if r["client"] == own],
        )
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module", params=READERS)
def log(request, lab):
    text = config(f"format {request.param}")
    with waylay.Daemon(lab.gw, text) as daemon:
        yield Log(daemon, request.param)


# --- flows -------------------------------------------------------------------------


@pytest.fixture
def flow(lab, family, resources):
    """flow(8001, text): a client that has said it; its address."""

    def started(port: int, text: bytes = b"") -> tuple[socket.socket, str]:
        client = lab.cli.connect((lab.srv.address(family), port))
        resources.enter_context(client)
        client.sendall(text)
        return client, endpoint(*client.getsockname()[:2])

    return started


def play_socks(answer: bytes):
    def play(s: socket.socket) -> None:
        proxy.socks_request(s)
        s.sendall(answer)
        scripted.echo(s)

    def start(lab, family) -> Scripted:
        nonlocal proxy
        proxy = Scripted(lab.srv2, family, SOCKS_PORT, play)
        return proxy

    proxy: Scripted | None = None
    return start


def play_connect(answer: bytes):
    def play(s: socket.socket) -> None:
        proxy.connect_request(s)
        s.sendall(answer)
        scripted.echo(s)

    def start(lab, family) -> Scripted:
        nonlocal proxy
        proxy = Scripted(lab.srv2, family, CONNECT_PORT, play)
        return proxy

    proxy: Scripted | None = None
    return start


def gateway_towards(family: str) -> str:
    """The gateway's own address at the proxy, and any port."""
    return {"v4": r"203\.0\.113\.1:\d+", "v6": r"\[2001:db8:3::1\]:\d+"}[family]


HTTP = b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"


def test_a_flow_that_finished(lab, log, family, flow, resources):
    """Every field, none more."""
    text = HTTP % b"www.Example.org"
    listener = resources.enter_context(lab.srv.listen(family, 8000))
    client, own = flow(8000, text)
    server = resources.enter_context(listener.accept()[0])
    server.sendall(b"x" * 1234)
    finish(server)
    assert end_of(client) == "fin"
    finish(client)
    record = log.wait(own)
    to = endpoint(lab.srv.address(family), 8000)
    assert STAMP.fullmatch(record.pop("started"))
    assert 1 <= record.pop("open_ms") <= record.pop("ms") + 1
    record.pop("attempts", None)  # JSON says that it was one
    assert record == {
        **{"proto": "tcp", "client": own, "server": to, "source": own},
        **{"intercept": "lan", "rule": DEFAULT_RULE, "upstream": "out"},
        **{"up": len(text), "down": 1234, "end": "finished"},
        **{"name": "www.example.org", "name_from": "http"},
    }


TUNNELS = {
    "socks": (8001, play_socks(REQUEST_OK), None),
    "web": (8002, play_connect(CONNECT_OK), 200),
    "both": (8003, play_socks(REQUEST_OK), None),
}


@pytest.mark.parametrize("name", TUNNELS)
def test_a_flow_through_a_proxy(lab, log, family, flow, resources, name):
    port, start, reply = TUNNELS[name]
    resources.enter_context(start(lab, family))
    text = client_hello("tunnel.example")
    client, own = flow(port, text)
    finish(client)
    heard = b""
    while piece := client.recv(4096):
        heard += piece
    assert heard == text
    record = log.wait(own)
    member = "socks" if name == "both" else name
    assert record["upstream"] == f"{member}-{family}"
    assert record["rule"] == rule_of(name, family)
    assert record["end"] == "finished"
    assert record.get("reply") in (reply, None)
    assert record.get("attempts", 1) == (2 if name == "both" else 1)
    assert (record["up"], record["down"]) == (len(text), len(text))
    assert (record["name"], record["name_from"]) == ("tunnel.example", "tls")
    assert re.fullmatch(gateway_towards(family), record["source"])


REFUSALS = {
    "SOCKS-says-no": (8001, play_socks(b"\x05\x02" + REQUEST_OK[2:]),
                      "upstream-refused", 2, "socks"),
    "SOCKS-says-that-the-server-does": (8001, play_socks(b"\x05\x05" + REQUEST_OK[2:]),
                                        "server-refused", 5, "socks"),
    "HTTP-says-no": (8002, play_connect(b"HTTP/1.1 403 No\r\n\r\n"),
                     "upstream-refused", 403, "web"),
    "HTTP-wants-a-password": (8002, play_connect(b"HTTP/1.1 407 Who?\r\n\r\n"),
                              "upstream-auth", 407, "web"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_flow_that_the_proxy_refused(lab, log, family, flow, resources, what):
    port, start, end, reply, name = REFUSALS[what]
    resources.enter_context(start(lab, family))
    client, own = flow(port)
    assert end_of(client) == "rst"
    record = log.wait(own)
    assert (record["end"], record["reply"]) == (end, reply)
    assert record["upstream"] == f"{name}-{family}"
    assert (record["up"], record["down"]) == (0, 0)
    assert "open_ms" not in record
    assert "name" not in record


def test_a_flow_that_nobody_takes(log, family, flow):
    client, own = flow(8004)
    assert end_of(client) == "rst"
    record = log.wait(own)
    assert record["end"] in ("upstream-unreachable", "no-upstream")
    assert record["rule"] == rule_of("none", family)
    assert "open_ms" not in record


def test_a_flow_that_a_name_refused(log, family, flow):
    client, own = flow(443, client_hello("blocked.example"))
    assert end_of(client) == "rst"
    record = log.wait(own)
    assert (record["end"], record["rule"]) == ("rejected", RULE["blocked"])
    assert (record["upstream"], record["name"]) == ("reject", "blocked.example")
    assert record["source"] == "-"


def test_a_flow_that_its_server_refused(lab, log, family, flow):
    client, own = flow(8009)
    assert end_of(client) == "rst"
    record = log.wait(own)
    assert record["end"] == "server-refused"
    assert record["error"] == "Connection refused"


def test_a_flow_that_its_client_broke_off(lab, log, family, flow, resources):
    listener = resources.enter_context(lab.srv.listen(family, 8000))
    client, own = flow(8000, b"SSH-2.0-none\r\n")
    server = resources.enter_context(listener.accept()[0])
    server.settimeout(5)
    assert server.recv(100)
    reset(client)
    assert end_of(server) == "rst"
    assert log.wait(own)["end"] == "client-reset"


def test_datagrams_with_a_name(lab, log, family, resources):
    server = resources.enter_context(lab.srv.udp(family, 443))
    client = resources.enter_context(lab.cli.udp(family))
    client.connect(server.getsockname()[:2])
    client.send(initials("quic.example")[0])
    _, peer = server.recvfrom(2000)
    server.sendto(b"answer", peer)
    assert client.recv(100) == b"answer"
    own = endpoint(*client.getsockname()[:2])
    record = log.wait(own)
    assert (record["proto"], record["end"]) == ("udp", "idle-timeout")
    assert (record["name"], record["name_from"]) == ("quic.example", "quic")
    assert (record["up"], record["down"]) == (1200, 6)


def test_the_record_is_what_flows_say(lab, log, family, flow, resources):
    """`waylay flows --ended` and the line agree in every field of both."""
    listener = resources.enter_context(lab.srv.listen(family, 8000))
    client, own = flow(8000, client_hello("agree.example"))
    server = resources.enter_context(listener.accept()[0])
    server.settimeout(5)
    assert_stream_arrives(server, client, 5000)
    client.close()
    server.close()
    record = log.wait(own)
    known = log.daemon.wait_ended(client=own)
    same = {"up": "bytes_up", "down": "bytes_down", "ms": "age_ms"}
    shared = [key for key in record if same.get(key, key) in known]
    assert len(shared) == len(record)
    assert {key: known[same.get(key, key)] for key in shared} == record


# --- what never is in it ------------------------------------------------------------

HOSTILE = [
    b"a\nflow tcp client=192.0.2.1:1",
    b'a" end="finished',
    b"a\x1b[31m",
    b"<script>alert(1)</script>",
    b"a\xff\xfe\x80",
    b"%s%n%99999d",
    b"a b",
    b"x" * 300,
    b"\\u0000",
    b"..",
]


def test_T16_hostile_names_never_appear(lab, log, family, flow, resources):
    mark, before = len(log.daemon.lines), len(log.records())
    listener = resources.enter_context(lab.srv.listen(family, 8000))
    flows = []
    for name in HOSTILE:
        for text in (HTTP % name, hello_with(name)):
            client, own = flow(8000, text)
            server, _ = listener.accept()
            server.close()
            client.close()
            flows.append(own)
    for own in flows:
        assert "name" not in log.wait(own)
    assert len(log.records()) == before + len(flows)
    said = "\n".join(log.daemon.lines[mark:])
    assert all(31 < ord(c) < 127 for c in said if c != "\n")
    for word in ("script", "xxx", "%n", "alert", "end=\"finished"):
        assert word not in said


def hello_with(name: bytes) -> bytes:
    """A ClientHello with these bytes in place of a name of as many."""
    size = min(len(name), 250)
    place = (b"p." * size)[: size - 1] + b"p"
    return client_hello(place.decode()).replace(place, name[:size], 1)


# --- how many ------------------------------------------------------------------------


WORDS = b"neither TLS nor HTTP\r\n"


def run_flows(lab, daemon, port: int, count: int) -> set[str]:
    """So many flows, one behind the other; their clients."""
    clients = set()
    with lab.srv.listen("v4", port) as listener:
        for _ in range(count):
            with lab.cli.connect(listener.getsockname()[:2]) as client:
                clients.add(endpoint(*client.getsockname()[:2]))
                client.sendall(WORDS)  # so that nobody waits for a name
                server, _ = listener.accept()
                assert server.recv(100) == WORDS
                server.close()
                assert end_of(client) == "fin"
    wait_for("all have ended", lambda: daemon.flows() == [])
    return clients


SAMPLES = {"on": 30, "sampled 10": 3, "sampled 1": 30, "off": 0}


@pytest.mark.parametrize("flows", SAMPLES)
def test_so_many_are_written(fresh_lab, flows):
    """One in ten, by one worker; with `log` in the rule every one of them."""
    lab = fresh_lab
    with waylay.Daemon(lab.gw, config(f"flows {flows}")) as daemon:
        log = Log(daemon, "text")
        clients = run_flows(lab, daemon, 7000, 30)
        for own in run_flows(lab, daemon, 7001, 5):
            assert log.wait(own)["rule"] == RULE["log"]
        written = [r["client"] for r in log.records() if r["rule"] != RULE["log"]]
        assert len(written) == SAMPLES[flows]
        assert set(written) <= clients
        known = {f["client"] for f in daemon.ended() if f["rule"] != RULE["log"]}
        assert known == set(written)
