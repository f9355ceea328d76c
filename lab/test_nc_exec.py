# SPDX-License-Identifier: Apache-2.0
"""`waylay nc --exec`: a command for each connection, and for each UDP flow.

    cli, cli2 ── lan0 ─ gw: waylay nc -l --exec ─ wan0, wan1 ── srv, srv2

There is no plain gateway here: what these clients talk to is the command.
"""

import socket

import pytest

import each_engine
from endings import connection_outcome, end_of, finish
from namespace import endpoint
from netcat import PORT, listening, netcat, same_state, take  # noqa: F401


def test_commands_serve_several_clients_at_a_time(lab, family, listening):
    listening("-k", *take("nft"), "--exec", "cat -u")
    to = (lab.srv.address(family), PORT)
    with lab.cli.connect(to) as first, lab.cli2.connect(to) as second:
        for data in (b"one", b"two"):
            for client in (second, first):
                client.sendall(data)
                assert client.recv(100) == data
        finish(first)
        assert end_of(first) == "fin"


VARIABLES = "echo $WAYLAY_PROTO $WAYLAY_CLIENT $WAYLAY_DESTINATION $WAYLAY_WAY"
PARTS = (
    "echo $WAYLAY_CLIENT_ADDRESS $WAYLAY_CLIENT_PORT "
    "$WAYLAY_DESTINATION_ADDRESS $WAYLAY_DESTINATION_PORT"
)


def test_a_command_knows_who_wanted_whom(lab, family, listening):
    one = listening(*take("nft"), "--sh-exec", f"{VARIABLES}; {PARTS}; exit 7")
    to = (lab.srv.address(family), PORT)
    with lab.cli.connect(to) as client:
        name = client.getsockname()[:2]
        client.sendall(b"never read")
        lines = client.makefile().read().splitlines()
        assert one.wait() == 7, one.said
        error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert error == 0, "what was not read has made a reset"
    assert lines[0].split() == ["tcp", endpoint(*name), endpoint(*to), "tproxy"]
    assert lines[1].split() == [name[0], str(name[1]), to[0], str(to[1])]


def test_words_are_divided_at_blanks_and_no_shell_sees_them(lab, listening):
    one = listening(*take("nft"), "--exec", 'printf %s| a;b  $HOME "c d"')
    with lab.cli.connect((lab.srv.v4, PORT)) as client:
        assert client.makefile().read() == 'a;b|$HOME|"c|d"|'
    assert one.wait() == 0, one.said


@pytest.mark.parametrize(
    ("command", "status"), [("kill -9 $$", 137), ("exec /nonesuch", 127)]
)
def test_of_a_command_that_did_not_come_to_its_end_the_stream_is_reset(
    lab, family, listening, command, status
):
    one = listening(*take("nft"), "--sh-exec", f"echo half; {command}")
    to = (lab.srv.address(family), PORT)
    assert connection_outcome(lambda: lab.cli.connect(to)) == "rst"
    assert one.wait() == status


@each_engine.ENGINE
def test_commands_answer_datagrams_of_several_flows(
    lab, engine, family, listening, resources
):
    """With boundaries: `cat` would write two that it had read at once."""
    each_engine.require(engine)
    listening("-u", "-k", *take(engine), "--exec", "cat -u")
    servers = (lab.srv, lab.srv2)
    flows = []
    for host in (lab.cli, lab.cli2):
        for server in servers:
            client = resources.enter_context(host.udp(family))
            client.connect((server.address(family), PORT))
            flows.append(client)
    for number, client in enumerate(flows):
        client.send(b"%d" % number)
        client.send(b"x" * (1000 + number))
    for number, client in enumerate(flows):
        assert client.recv(65535) == b"%d" % number
        assert client.recv(65535) == b"x" * (1000 + number)


def test_a_flow_that_is_silent_ends(lab, family, listening, resources):
    one = listening("-u", "-w", 1, *take("nft"), "--exec", "cat")
    client = resources.enter_context(lab.cli.udp(family))
    client.connect((lab.srv.address(family), PORT))
    client.send(b"once")
    assert client.recv(10) == b"once"
    assert one.wait() == 0, one.said
