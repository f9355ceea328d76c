# SPDX-License-Identifier: Apache-2.0
"""`waylay nc`, the transparent netcat, without waylayd.

    cli 192.0.2.10 ── lan0 ─ gw: waylay nc ─ wan0 ── srv 198.51.100.10

As a listener it is whom clients reach instead of srv; [plain] is srv itself, and
what a client sees must be the same.  As a client on the gateway it has an
address behind lan0; [plain] is a client that really has it.  What it has in
common with other netcats is in test_nc_usual.py.
"""

import contextlib
import hashlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

import each_engine
from endings import (
    assert_alive,
    assert_stream_arrives,
    end_of,
    finish,
    reset,
)
from namespace import endpoint
from netcat import (  # noqa: F401
    PORT,
    WAYLAY_NC,
    Netcat,
    listening,
    netcat,
    same_state,
    take,
)
from observers import HostState, assert_same_state, children_of
from probe import digest_of, stream
from wait import wait_for

OTHER_PORT, SOURCE_PORT, LISTEN_PORT = 8000, 5555, 9000
GATEWAY = {"v4": "192.0.2.1", "v6": "2001:db8:1::1"}
STRANGER = {"v4": "192.0.2.77", "v6": "2001:db8:1::77"}  # nobody has it
MEGA = 1 << 20
ENDINGS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP}


def assert_visit(visit, lab, family: str, client: socket.socket, proto="tcp") -> None:
    to = endpoint(lab.srv.address(family), PORT)
    assert visit[:4] == [proto, endpoint(*client.getsockname()[:2]), to, "tproxy"]


def assert_sends(one: Netcat, to: socket.socket, count: int) -> None:
    """Known bytes from its standard input, and FIN behind them."""

    def send() -> None:
        for block in stream(count):
            one.write(block)
        one.finish()

    thread = threading.Thread(target=send)
    thread.start()
    received = to.makefile("rb").read()
    thread.join()
    assert hashlib.sha256(received).hexdigest() == digest_of(count)


# --- the kernel document's own commands -------------------------------------------

DOCUMENT = """
{xt} -t mangle -N DIVERT
{xt} -t mangle -A PREROUTING -p {proto} -m socket -j DIVERT
{xt} -t mangle -A DIVERT -j MARK --set-mark 1
{xt} -t mangle -A DIVERT -j ACCEPT
{ip} rule add fwmark 1 lookup 100
{ip} route add local {any} dev lo table 100
{xt} -t mangle -A PREROUTING -p {proto} --dport 80 -j TPROXY \
--tproxy-mark 0x1/0x1 --on-port 50080
"""
UNDO = """
{xt} -t mangle -F
{xt} -t mangle -X DIVERT
{ip} rule del fwmark 1 lookup 100
{ip} route del local {any} dev lo table 100
"""
WORDS = {
    "v4": {"xt": "iptables", "ip": "ip -4", "any": "0.0.0.0/0"},
    "v6": {"xt": "ip6tables", "ip": "ip -6", "any": "::/0"},
}


@contextlib.contextmanager
def document(host, family: str, proto: str = "tcp"):
    def run(text: str) -> None:
        for line in text.format(proto=proto, **WORDS[family]).strip().splitlines():
            host.run(*line.split())

    run(DOCUMENT)
    try:
        yield
    finally:
        run(UNDO)


def test_the_kernel_documents_commands_deliver_to_it(lab, family, listening):
    with document(lab.gw, family):
        one = listening("--tproxy", 50080)
        with lab.cli.connect((lab.srv.address(family), PORT)) as client:
            assert_visit(one.visit(), lab, family, client)
            client.sendall(b"question")
            assert one.read(8) == b"question"
            one.write(b"\0answer\xff\r\n")
            assert client.recv(100) == b"\0answer\xff\r\n"
            finish(client)
            assert client.recv(1) == b""
        assert one.wait() == 0, one.said


def test_the_kernel_documents_commands_keep_answers(lab, family, netcat, resources):
    """To a foreign address: its -m socket finds who has it."""
    listener = resources.enter_context(lab.srv.listen(family, OTHER_PORT))
    with document(lab.gw, family):
        source = endpoint(STRANGER[family], SOURCE_PORT)
        one = netcat("-N", "-s", source, lab.srv.address(family), OTHER_PORT)
        server, peer = listener.accept()
        with server:
            assert peer[:2] == (STRANGER[family], SOURCE_PORT)
            server.sendall(b"answer")
            assert one.read(6) == b"answer"
            assert_sends(one, server, MEGA)
        assert one.wait() == 0, one.said


def test_the_kernel_documents_commands_with_udp(lab, family, listening, resources):
    """Without its -m socket, which for UDP catches what is bound; one way only."""
    with document(lab.gw, family, "udp"):
        one = listening("-u", "-k", "--tproxy", 50080)
        client = resources.enter_context(lab.cli.udp(family))
        client.connect((lab.srv.address(family), PORT))
        for data in (b"one", b"", b"three"):
            client.send(data)
            visit = one.visit()
            assert_visit(visit, lab, family, client, "udp")
            assert visit[4] == str(len(data))
        assert one.read(8) == b"onethree"


# --- with an interception of its own -------------------------------------------------


def test_the_plain_gateway_leads_to_the_server(lab, family, pair):
    """What follows is about nothing else but this, seen by the client."""
    ends = pair(family, PORT)
    assert_stream_arrives(ends.client, ends.server, MEGA)
    assert_stream_arrives(ends.server, ends.client, MEGA)


@each_engine.ENGINE
def test_clients_reach_it_at_any_address(lab, engine, family, listening):
    each_engine.require(engine)
    one = listening("-N", *take(engine, "80-90"))
    with lab.cli.connect((lab.srv.address(family), PORT)) as client:
        assert_visit(one.visit(), lab, family, client)
        assert_sends(one, client, 8 * MEGA)
        finish(client)
    assert one.wait() == 0, one.said


@each_engine.ENGINE
def test_a_stream_to_it_is_whole(lab, engine, family, listening, tmp_path):
    each_engine.require(engine)
    file = tmp_path / "stream"
    with file.open("wb") as out:
        one = listening("-d", *take(engine), stdout=out)
    with lab.cli.connect((lab.srv.address(family), PORT)) as client:
        for block in stream(8 * MEGA):
            client.sendall(block)
        finish(client)
        assert client.recv(1) == b""
    assert one.wait() == 0, one.said
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest_of(8 * MEGA)


@each_engine.ENGINE
def test_what_is_not_taken_passes(lab, engine, family, listening, pair):
    each_engine.require(engine)
    listening("-k", "--except-dst", "203.0.113.0/24, 2001:db8:3::/64", *take(engine))
    ends = pair(family, OTHER_PORT)
    assert_alive(ends.client, ends.server)
    with lab.srv2.listen(family, PORT) as excepted:
        with lab.cli.connect(excepted.getsockname()[:2]) as client:
            with excepted.accept()[0] as server:
                assert_alive(client, server)


def test_one_ip_version_alone_is_taken(lab, family, listening, pair):
    other = {"v4": "-6", "v6": "-4"}[family]
    listening("-k", other, *take("nft"))
    ends = pair(family, PORT)
    assert_alive(ends.client, ends.server)


@each_engine.ENGINE
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_signal_removes_it(lab, engine, listening, ending, same_state):
    each_engine.require(engine)
    one = listening(*take(engine))
    assert same_state != HostState(lab.gw)
    assert one.end(ENDINGS[ending]) == -ENDINGS[ending]
    assert_same_state(same_state, HostState(lab.gw))


@pytest.mark.parametrize("ending", ["SIGINT", "SIGKILL"])
def test_a_stream_that_a_signal_cuts_ends_with_rst(lab, family, listening, ending):
    one = listening(*take("nft"))
    with lab.cli.connect((lab.srv.address(family), PORT)) as client:
        one.visit()
        one.write(b"half")
        assert client.recv(100) == b"half"
        number = getattr(signal, ending)
        one.end(number)
        assert end_of(client) == "rst"
    wait_for_removal(lab)


def wait_for_removal(lab) -> None:
    """By the guard of one that was killed."""
    wait_for("the guard removes it", lambda: not has_rules(lab))


def has_rules(lab) -> bool:
    tables = lab.gw.run("nft", "list", "tables").stdout
    return "waylay" in tables or "7700" in lab.gw.ip("rule")


@each_engine.ENGINE
def test_F03_killed_it_leaves_nothing(lab, engine, family, listening, pair, same_state):
    """Not even with iptables, which cannot see whether somebody listens."""
    each_engine.require(engine)
    one = listening(*take(engine))
    one.end(signal.SIGKILL)
    wait_for("all is removed", lambda: same_state == HostState(lab.gw))
    ends = pair(family, PORT)
    assert_alive(ends.client, ends.server)


def test_its_guard_holds_no_socket(lab, listening):
    """A listener would seem to live, and somebody would wait for an end."""
    one = listening(*take("nft"))
    (guard,) = children_of(one.pid)
    held = [os.readlink(fd) for fd in Path(f"/proc/{guard}/fd").iterdir()]
    assert not any("socket:" in name for name in held), held
    assert one.end() == -signal.SIGTERM


def test_two_at_a_time_are_refused(lab, listening, netcat):
    first = listening(*take("nft"))
    second = netcat("-l", *take("nft"))
    assert second.wait() == 1
    assert f"(pid {first.pid}) intercepts in this network namespace" in second.said[-1]


def test_what_somebody_removed_is_put_back(lab, family, listening):
    one = listening(*take("nft"))
    lab.gw.run("nft", "flush", "ruleset")
    one.wait_said("put back")
    with lab.cli.connect((lab.srv.address(family), PORT)) as client:
        assert_visit(one.visit(), lab, family, client)


# --- the end of a connection ----------------------------------------------------------


def test_a_reset_of_the_client_is_a_failure(lab, family, listening):
    one = listening(*take("nft"))
    client = lab.cli.connect((lab.srv.address(family), PORT))
    client.sendall(b"half")
    assert one.read(4) == b"half"
    reset(client)
    assert one.wait() == 1
    assert "broke off" in one.said[-1]


def test_its_last_bytes_are_acknowledged_before_it_removes(
    lab, family, listening, resources
):
    """Rules that went first would leave them, and the client, alone."""
    one = listening("-q", 0, *take("nft"))
    kind = socket.SOCK_STREAM
    client = resources.enter_context(lab.cli.new_socket(family, kind))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((lab.srv.address(family), PORT))
    data = b"".join(stream(MEGA // 32))
    one.write(data)
    one.finish()
    waiting = ("ss", "-Htn", "state", "fin-wait-1")
    wait_for("it has sent FIN", lambda: lab.gw.run(*waiting).stdout)
    assert one.is_running() and has_rules(lab)
    assert client.makefile("rb").read() == data
    assert one.wait() == 0, one.said


def test_kept_open_it_serves_one_after_the_other(lab, family, listening):
    one = listening("-k", *take("nft"))
    for data in (b"one", b"two"):
        with lab.cli.connect((lab.srv.address(family), PORT)) as client:
            assert_visit(one.visit(), lab, family, client)
            client.sendall(data)
            assert one.read(3) == data
            finish(client)
            assert client.recv(1) == b""


# --- REDIRECT ------------------------------------------------------------------------

REDIRECT = f"""
table inet theirs {{
    chain turn {{
        type nat hook prerouting priority dstnat
        iifname lan0 tcp dport {PORT} redirect to :{LISTEN_PORT}
    }}
}}
"""


@pytest.mark.parametrize("kind", ["ordinary", "transparent"])
def test_it_knows_the_destination_of_redirected_connections(
    lab, family, listening, kind, resources
):
    lab.gw.nft(REDIRECT)
    resources.callback(lab.gw.nft, "delete table inet theirs")
    words = {
        "ordinary": ("--orig-dst", LISTEN_PORT),
        "transparent": ("--tproxy", LISTEN_PORT),
    }
    one = listening("-k", *words[kind])
    to = (lab.srv.address(family), PORT)
    with lab.cli.connect(to) as client:
        own = endpoint(*client.getsockname()[:2])
        assert one.visit() == ["tcp", own, endpoint(*to), "redirect"]
    to = (GATEWAY[family], LISTEN_PORT)
    with lab.cli.connect(to) as client:
        own = endpoint(*client.getsockname()[:2])
        assert one.visit() == ["tcp", own, endpoint(*to), "plain"]


# --- with a foreign address -----------------------------------------------------------


@pytest.mark.parametrize("way", ["plain", *each_engine.ENGINES])
def test_a_server_sees_the_foreign_address(lab, way, family, netcat, resources):
    """[plain]: cli, which has an address that it claims."""
    address = lab.cli.address(family) if way == "plain" else STRANGER[family]
    host = lab.cli if way == "plain" else lab.gw
    words = () if way == "plain" else ("--from", "wan0", "--engine", way)
    if words:
        each_engine.require(way)
    listener = resources.enter_context(lab.srv.listen(family, OTHER_PORT))
    source = endpoint(address, SOURCE_PORT)
    target = lab.srv.address(family), OTHER_PORT
    one = netcat("-N", "-s", source, *words, *target, host=host)
    server, peer = listener.accept()
    with server:
        assert peer[:2] == (address, SOURCE_PORT)
        one.write(b"question")
        server.settimeout(5)
        assert server.recv(100) == b"question"
        server.sendall(b"answer")
        assert one.read(6) == b"answer"
        assert_sends(one, server, MEGA)
    assert one.wait() == 0, one.said


@pytest.mark.parametrize("way", ["plain", *each_engine.ENGINES])
def test_udp_from_a_foreign_address(lab, way, family, netcat, resources):
    address = lab.cli.address(family) if way == "plain" else STRANGER[family]
    host = lab.cli if way == "plain" else lab.gw
    words = () if way == "plain" else ("--from", "wan0", "--engine", way)
    if words:
        each_engine.require(way)
    server = resources.enter_context(lab.srv.udp(family, OTHER_PORT))
    target = lab.srv.address(family), OTHER_PORT
    source = endpoint(address, SOURCE_PORT)
    one = netcat("-u", "-s", source, *words, *target, host=host)
    for data in (b"one", b"\0two", b"3" * 9000):
        one.write(data)
        assert server.recvfrom(65535)[0] == data
    server.sendto(b"answer", (address, SOURCE_PORT))
    assert one.read(6) == b"answer"


@each_engine.ENGINE
def test_nothing_but_the_answers_is_kept(lab, engine, family, netcat, resources):
    """Port 9 stands in the selection, which nothing matches."""
    each_engine.require(engine)
    words = "-s", STRANGER[family], "--from", "wan0", "--engine", engine
    listener = resources.enter_context(lab.srv.listen(family, OTHER_PORT))
    netcat(*words, lab.srv.address(family), OTHER_PORT)
    resources.enter_context(listener.accept()[0])
    with lab.cli.listen(family, 9) as other:
        with lab.srv.connect(other.getsockname()[:2]) as one:
            with other.accept()[0] as two:
                assert_alive(one, two)


def test_a_port_is_tried_from_a_foreign_address(lab, family, netcat):
    words = "-z", "-v", "-s", STRANGER[family], "--from", "wan0"
    with lab.srv.listen(family, OTHER_PORT) as listener:
        to = lab.srv.address(family)
        one = netcat(*words, to, f"{OTHER_PORT}-{OTHER_PORT + 1}")
        server, peer = listener.accept()
        with server:
            assert peer[0] == STRANGER[family]
            assert end_of(server) == "fin"
        assert one.wait() == 0, one.said
    assert "Connection refused" in one.said[-1]


def test_without_interception_it_says_what_is_missing(lab, family, netcat):
    lab.srv.ip("route", "add", "blackhole", STRANGER[family])
    try:
        target = lab.srv.address(family), OTHER_PORT
        with lab.srv.listen(family, OTHER_PORT):
            one = netcat("-w", 1, "-s", STRANGER[family], *target)
            assert one.wait() == 1
        assert "see --from" in one.said[-1]
    finally:
        lab.srv.ip("route", "del", "blackhole", STRANGER[family])


# --- UDP ------------------------------------------------------------------------------


@each_engine.ENGINE
def test_datagrams_are_answered_from_where_they_went(
    lab, engine, family, listening, resources
):
    each_engine.require(engine)
    one = listening("-u", *take(engine))
    client = resources.enter_context(lab.cli.udp(family))
    to = (lab.srv.address(family), PORT)
    for data in (b"one", b"", b"\0two", b"3" * 9000):
        client.sendto(data, to)
        visit = one.visit()
        assert_visit(visit, lab, family, client_name(lab, family, client), "udp")
        assert visit[4] == str(len(data))
        assert one.read(len(data)) == data
    for data in (b"answer", b"4" * 9000):
        one.write(data)
        assert client.recvfrom(65535)[0] == data
    one.write(b"!")
    assert client.recvfrom(10)[1][:2] == to


class client_name:
    """getsockname() of an unconnected socket, with its address."""

    def __init__(self, lab, family: str, s: socket.socket):
        self._name = lab.cli.address(family), s.getsockname()[1]

    def getsockname(self) -> tuple[str, int]:
        return self._name


def test_others_are_not_mixed_into_a_conversation(lab, family, listening, resources):
    one = listening("-u", *take("nft"))
    to = (lab.srv.address(family), PORT)
    first = resources.enter_context(lab.cli.udp(family))
    other = resources.enter_context(lab.cli2.udp(family))
    first.sendto(b"one", to)
    one.visit()
    other.sendto(b"intruder", to)
    other.sendto(b"intruder", (lab.srv2.address(family), PORT))
    first.sendto(b"two", to)
    assert one.read(6) == b"onetwo"


# --- privileges ----------------------------------------------------------------------

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.mark.parametrize("words", [("--tproxy", 50080), take("nft")])
def test_nobody_without_privilege_takes_traffic(lab, words):
    if not os.access("/usr/bin/setpriv", os.X_OK):
        pytest.skip("there is no setpriv")
    one = Netcat(lab.gw, "-l", *words, program=(*NOBODY, *WAYLAY_NC))
    assert one.wait() == 4
    assert "it needs CAP_NET" in one.said[-1]
    one.close()
