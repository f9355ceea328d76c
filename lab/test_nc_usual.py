# SPDX-License-Identifier: Apache-2.0
"""What `waylay nc` has in common with OpenBSD's netcat: [openbsd] is that one.

    cli: the netcat ── gw, a router ── srv: sockets of the scenario

Where ours differs on purpose, the scenario is for it alone, at the end.
"""

import shutil
import socket

import pytest

from endings import end_of, finish, reset
from netcat import OPENBSD_NC, WAYLAY_NC, Netcat
from wait import wait_for

PORT, CLOSED_PORT, OWN_PORT = 8000, 8001, 20000
PROGRAMS = {"openbsd": OPENBSD_NC, "waylay": WAYLAY_NC}
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture(params=PROGRAMS)
def netcat(request, lab, resources):
    """netcat("-N", host, port): on cli, one of the two programs."""
    program = PROGRAMS[request.param]
    if not shutil.which(program[0]):
        pytest.skip(f"{program[0]} is not installed")
    return starter(lab, resources, program)


@pytest.fixture
def ours(lab, resources):
    return starter(lab, resources, WAYLAY_NC)


def starter(lab, resources, program):
    def started(*words: object, program=program) -> Netcat:
        one = Netcat(lab.cli, *words, program=program)
        resources.callback(one.close)
        return one

    return started


@pytest.fixture
def talk(lab, family, resources):
    """talk(netcat, "-N"): it, and the socket that it has connected to."""

    def connected(netcat, *words: object):
        with lab.srv.listen(family, PORT) as listener:
            one = netcat(*words, lab.srv.address(family), PORT)
            server = resources.enter_context(listener.accept()[0])
        server.settimeout(5)
        return one, server

    return connected


def reach(lab, resources, family: str, port: int) -> socket.socket:
    """A connection from srv to a netcat that listens, or soon will."""

    def connected():
        try:
            return lab.srv.connect((lab.cli.address(family), port))
        except ConnectionRefusedError:
            return None

    return resources.enter_context(wait_for("it listens", connected))


# --- connecting -----------------------------------------------------------------


def test_the_end_of_input_is_not_passed_on(talk, netcat):
    one, server = talk(netcat)
    one.write(b"question")
    one.finish()
    assert server.recv(100) == b"question"
    for byte in (b"1", b"2", b"3"):
        server.sendall(byte)
        assert one.read(1) == byte
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(1)
    server.close()
    assert one.wait() == 0


def test_with_N_it_is(talk, netcat):
    one, server = talk(netcat, "-N")
    one.write(b"question")
    one.finish()
    assert server.makefile("rb").read() == b"question"
    server.sendall(b"answer")
    server.close()
    assert one.read() == b"answer"
    assert one.wait() == 0


def test_after_the_peers_end_it_still_sends(talk, netcat):
    one, server = talk(netcat, "-N")
    server.sendall(b"answer")
    finish(server)
    assert one.read(6) == b"answer"
    one.write(b"late")
    one.finish()
    assert server.makefile("rb").read() == b"late"
    assert one.wait() == 0


def test_d_does_not_read_input(talk, netcat):
    one, server = talk(netcat, "-d", "-N")
    one.write(b"never")
    server.sendall(b"answer")
    assert one.read(6) == b"answer"
    finish(server)
    assert server.recv(100) == b""
    assert one.wait() == 0


def test_C_sends_carriage_returns(talk, netcat):
    one, server = talk(netcat, "-C", "-N")
    one.write(b"one\ntwo\r\n\n")
    one.finish()
    assert server.makefile("rb").read() == b"one\r\ntwo\r\n\r\n"


def test_s_and_p_are_where_it_comes_from(lab, family, talk, netcat):
    own = lab.cli.address(family)
    _, server = talk(netcat, "-s", own, "-p", OWN_PORT)
    assert server.getpeername()[:2] == (own, OWN_PORT)
    reset(server)  # no TIME_WAIT holds the port


def test_nobody_listens(lab, family, netcat):
    one = netcat("-v", lab.srv.address(family), CLOSED_PORT)
    assert one.wait() == 1
    assert "Connection refused" in one.said[-1]


def test_w_is_the_limit_of_connecting(lab, family, netcat):
    lab.srv.nft(
        "table inet deaf { chain c { type filter hook input priority 0; "
        f"tcp dport {PORT} drop; }}; }}"
    )
    try:
        one = netcat("-v", "-w", 1, lab.srv.address(family), PORT)
        assert one.wait() == 1
        assert "timed out" in one.said[-1]
    finally:
        lab.srv.nft("delete table inet deaf")


# --- scanning -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "status"),
    [
        ([f"{PORT}-{CLOSED_PORT}"], 0),
        ([CLOSED_PORT, PORT], 0),
        ([CLOSED_PORT], 1),
    ],
)
def test_z_succeeds_if_one_of_the_ports_is_open(lab, family, netcat, ports, status):
    with lab.srv.listen(family, PORT):
        assert netcat("-z", lab.srv.address(family), *ports).wait() == status


def test_z_says_with_v_which(lab, family, netcat):
    to = lab.srv.address(family)
    with lab.srv.listen(family, PORT):
        one = netcat("-z", "-v", to, f"{PORT}-{CLOSED_PORT}")
        assert one.wait() == 0
    assert one.said[0] == f"Connection to {to} {PORT} port [tcp/*] succeeded!"
    assert "Connection refused" in one.said[1]


# --- listening ------------------------------------------------------------------


def test_a_listener_ends_with_its_client(lab, family, netcat, resources):
    one = netcat(f"-{family[1]}", "-l", OWN_PORT + 1)
    client = reach(lab, resources, family, OWN_PORT + 1)
    client.sendall(b"question")
    assert one.read(8) == b"question"
    one.write(b"answer")
    assert client.recv(100) == b"answer"
    finish(client)
    assert client.recv(1) == b""
    assert one.wait() == 0


def test_kept_open_it_serves_the_next_one(lab, family, netcat, resources):
    one = netcat(f"-{family[1]}", "-l", "-k", OWN_PORT + 2)
    for data in (b"one", b"two"):
        client = reach(lab, resources, family, OWN_PORT + 2)
        client.sendall(data)
        assert one.read(3) == data
        finish(client)
        assert client.recv(1) == b""


def test_it_listens_where_it_is_told(lab, family, netcat, resources):
    own = lab.cli.address(family)
    one = netcat("-l", own, OWN_PORT + 3)
    client = reach(lab, resources, family, OWN_PORT + 3)
    assert client.getpeername()[:2] == (own, OWN_PORT + 3)
    client.close()
    assert one.wait() == 0


# --- UDP ------------------------------------------------------------------------


def test_a_read_of_input_is_a_datagram(lab, family, netcat, resources):
    server = resources.enter_context(lab.srv.udp(family, PORT))
    one = netcat("-u", lab.srv.address(family), PORT)
    for data in (b"one", b"\0two\n", b"3" * 9000):
        one.write(data)
        received, peer = server.recvfrom(65535)
        assert received == data
        server.sendto(data, peer)
        assert one.read(len(data)) == data


def test_a_udp_listener_answers_who_came_first(lab, family, netcat, resources):
    one = netcat(f"-{family[1]}", "-u", "-l", OWN_PORT + 4)
    to = (lab.cli.address(family), OWN_PORT + 4)
    first = resources.enter_context(lab.srv.udp(family))
    first.connect(to)

    def reached() -> bool:
        bound = lab.cli.run("ss", "-Hlun", "sport", "=", str(OWN_PORT + 4))
        return bool(bound.stdout)

    wait_for("it is bound", reached)
    first.send(b"question")
    assert one.read(8) == b"question"
    one.write(b"answer")
    assert first.recv(100) == b"answer"


# --- words that make no sense ------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [("-k", "::1", 1), ("-l", "-z", 1), ("::1", 99999), ("::1",), ("-l",), ("-?",)],
)
def test_wrong_words_are_refused(netcat, words):
    one = netcat(*words)
    assert one.wait() != 0
    assert one.said


# --- where ours differs -----------------------------------------------------------


def test_a_reset_is_a_failure(talk, ours):
    """OpenBSD's ends with 0: a stream that was cut looks complete."""
    one, server = talk(ours)
    server.sendall(b"half")
    assert one.read(4) == b"half"
    reset(server)
    assert one.wait() == 1
    assert "broke off the connection" in one.said[-1]


def test_q_ends_it_though_the_peer_goes_on(talk, ours):
    """As the manual of OpenBSD's says; that of Debian 12 goes on for ever."""
    one, server = talk(ours, "-q", 0)
    one.write(b"all")
    one.finish()
    assert server.makefile("rb").read() == b"all"
    assert one.wait() == 0


def test_silence_is_a_failure_and_cuts_what_had_not_ended(talk, ours):
    """OpenBSD's ends with 0, and with FIN."""
    one, server = talk(ours, "-w", 1)
    assert one.wait() == 1
    assert "nothing moved for 1 s" in one.said[-1]
    assert end_of(server) == "rst"


def test_what_input_has_said_is_sent_before_silence_ends_it(talk, ours):
    one, server = talk(ours, "-w", 1)
    one.write(b"all")
    one.finish()
    assert server.makefile("rb").read() == b"all"
    assert one.wait() == 1


def test_a_file_is_sent_whole_though_the_client_has_finished(
    lab, family, resources, tmp_path
):
    """OpenBSD's ends when the client has, wherever the file is then."""
    file = tmp_path / "file"
    file.write_bytes(bytes(4 << 20))
    with file.open("rb") as source:
        one = Netcat(lab.cli, "-l", OWN_PORT + 5, stdin=source)
    resources.callback(one.close)
    client = reach(lab, resources, family, OWN_PORT + 5)
    finish(client)
    assert len(client.makefile("rb").read()) == 4 << 20
    assert one.wait() == 0


def test_a_datagram_that_is_refused_is_a_failure(lab, family, ours):
    one = ours("-u", lab.srv.address(family), CLOSED_PORT)
    one.write(b"question")
    assert one.wait() == 1
    assert "Connection refused" in one.said[-1]


def test_z_with_u_waits_for_a_refusal(lab, family, ours):
    to = lab.srv.address(family)
    with lab.srv.udp(family, PORT):
        assert ours("-u", "-z", to, PORT).wait() == 0
    assert ours("-u", "-z", to, CLOSED_PORT).wait() == 1


def test_one_listener_is_for_both_ip_versions(lab, ours, resources):
    one = ours("-l", "-k", OWN_PORT + 6)
    for family in ("v4", "v6"):
        client = reach(lab, resources, family, OWN_PORT + 6)
        client.sendall(family.encode())
        assert one.read(2) == family.encode()
        client.close()


def test_an_ordinary_user_connects_and_listens(lab, family, ours, talk, resources):
    unprivileged = (*NOBODY, *WAYLAY_NC)
    own = lab.cli.address(family)
    one, server = talk(lambda *words: ours("-s", own, *words, program=unprivileged))
    server.close()
    one.finish()
    assert one.wait() == 0
    other = ours("-l", "--orig-dst", OWN_PORT + 7, program=unprivileged)
    client = reach(lab, resources, family, OWN_PORT + 7)
    assert other.visit()[3] == "plain"
    client.close()
    assert other.wait() == 0
