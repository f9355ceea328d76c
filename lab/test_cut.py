# SPDX-License-Identifier: Apache-2.0
"""Flows that are cut through: nobody notices, and nothing of them is left here.

Each scenario runs on a plain router as well, where `cut_pair` is any pair.
"""

import os
import re
import signal
import socket
import struct
import threading

import pytest

import waylay
from cut_case import (
    cut_pair,  # noqa: F401, fixture
    is_cut,
    joined,
    make_cut,
    record_of,
    sockets_of,
)
from endings import (
    assert_alive,
    assert_stream_arrives,
    assert_urgent_in_line,
    end_of,
    finish,
    reset,
)
from namespace import endpoint
from observers import HostState, LeakObserver, assert_same_state
from probe import Receiver, digest_of, send_stream
from wait import wait_for

CONFIG = waylay.config(cut="on")
MEGA = 1 << 20


# --- what is left of it on the gateway ------------------------------------------


def test_a_cut_flow_has_no_socket(lab, gateway, family, cut_pair):
    ends = cut_pair(family)
    assert sockets_of(gateway.host, ends.client.getsockname()[1]) == []
    assert_alive(ends.client, ends.server)


def test_its_packets_are_the_clients_own(lab, gateway, family, cut_pair):
    ends = cut_pair(family)
    leaks = LeakObserver(lab.srv)
    assert_alive(ends.client, ends.server)
    assert (leaks.forwarded() > 0, leaks.own()) == (True, 0)
    assert ends.server.getpeername()[:2] == ends.client.getsockname()[:2]


def test_it_is_listed_counted_and_recorded(lab, gateway, family, cut_pair):
    ends = cut_pair(family)
    if not gateway.is_waylay:
        return
    client = endpoint(*ends.client.getsockname()[:2])
    before = record_of(gateway.daemon, ends.client.getsockname())
    send_a_megabyte(ends.client, ends.server)
    wait_for(
        "a megabyte is counted",
        lambda: record_of(gateway.daemon, ends.client.getsockname())["bytes_up"]
        >= before["bytes_up"] + MEGA,
    )
    reset(ends.client)
    assert end_of(ends.server) == "rst"
    record = wait_for_record(gateway.daemon, client)
    assert record["server"] == endpoint(*ends.server.getsockname()[:2])
    assert record["mover"] == "cut-through"


def send_a_megabyte(sender: socket.socket, to: socket.socket) -> None:
    thread = threading.Thread(target=sender.sendall, args=(bytes(MEGA),))
    thread.start()
    receiver = Receiver(to)
    receiver.receive_all(MEGA)
    thread.join()
    assert receiver.count == MEGA


def wait_for_record(daemon, client: str) -> dict:
    return wait_for(
        f"the record of {client}",
        lambda: [f for f in daemon.ended() if f["client"] == client],
        30,
    )[-1]


# --- bytes --------------------------------------------------------------------------


def assert_both_ways(a: socket.socket, b: socket.socket, size: int) -> None:
    """`size` bytes each way at the same time, then FIN each way."""
    for s in (a, b):
        s.settimeout(30)
    receivers = [Receiver(a), Receiver(b)]
    threads = [threading.Thread(target=r.receive_all) for r in receivers]
    threads += [threading.Thread(target=send_all, args=(s, size)) for s in (a, b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = (size, "fin", digest_of(size))
    for r in receivers:
        assert (r.count, r.end, r.digest.hexdigest()) == expected


def send_all(s: socket.socket, size: int) -> None:
    send_stream(s, size)
    finish(s)


@pytest.mark.parametrize("size", [1, 100_000, 32 * MEGA])
def test_streams_of_a_cut_flow(lab, gateway, family, cut_pair, size):
    ends = cut_pair(family)
    assert_both_ways(ends.client, ends.server, size)


def test_a_flow_is_cut_in_full_flight(lab, gateway, family, pair):
    """From its first byte on it has both directions full."""
    ends = pair(family)
    name = ends.client.getsockname()
    seen = []
    if gateway.is_waylay:
        wait = threading.Thread(target=lambda: seen.append(wait_cut(gateway, name)))
        wait.start()
    assert_both_ways(ends.client, ends.server, 256 * MEGA)
    if gateway.is_waylay:
        wait.join()
        assert seen == [True]


def wait_cut(gateway, name: tuple) -> bool:
    return wait_for("the flow is cut", lambda: is_cut(gateway.daemon, name), 20)


@pytest.mark.parametrize("who", ["client", "server"])
def test_one_direction_alone_is_cut_in_full_flight(lab, gateway, family, pair, who):
    ends = pair(family)
    first, other = (ends.client, ends.server)[:: 1 if who == "client" else -1]
    name = ends.client.getsockname()
    thread = threading.Thread(target=assert_stream_arrives, args=(first, other, 256 * MEGA))
    thread.start()
    if gateway.is_waylay:
        wait_cut(gateway, name)
    thread.join()
    assert_stream_arrives(other, first, MEGA)


def test_many_flows_are_cut_at_once(lab, gateway, family, pair):
    pairs = [pair(family) for _ in range(100)]
    for _ in range(20):
        for p in pairs:
            p.client.sendall(b"?" * 700)
        for p in pairs:
            assert p.server.recv(700, socket.MSG_WAITALL) == b"?" * 700
            p.server.sendall(b"!" * 300)
        for p in pairs:
            assert p.client.recv(300, socket.MSG_WAITALL) == b"!" * 300
    for p in pairs:
        make_cut(gateway, p.client, p.server)
    for n, p in enumerate(pairs):
        p.client.sendall(struct.pack("!I", n))
        assert p.server.recv(4, socket.MSG_WAITALL) == struct.pack("!I", n)


# --- ports come again -------------------------------------------------------------------


def test_a_port_is_used_again_at_once(lab, gateway, family, resources):
    """The client closes first, and its kernel lets the port go by RST later."""
    with lab.srv.listen(family, 7100) as listener:
        to = listener.getsockname()[:2]
        for _ in range(3):
            client = lab.cli.connect(to, source_port=20777)
            server = listener.accept()[0]
            server.settimeout(5)
            make_cut(gateway, client, server)
            finish(server)
            assert client.recv(1) == b""
            client.close()
            assert server.recv(1) == b""
            server.close()


# --- who else may send -------------------------------------------------------------------


def test_R_TCP_4_a_forged_reset_ends_nothing(lab, gateway, family, cut_pair):
    """From the right addresses, with a number that is not the right one."""
    scapy = pytest.importorskip("scapy.all")
    ends = cut_pair(family)
    name, to = ends.client.getsockname()[:2], ends.server.getsockname()[:2]
    ip = scapy.IP if family == "v4" else scapy.IPv6
    with lab.cli.inside():
        for seq in (0, 1 << 30, 1 << 31, 3 << 30):
            segment = ip(src=name[0], dst=to[0]) / scapy.TCP(
                sport=name[1], dport=to[1], flags="R", seq=seq
            )
            scapy.send(segment, verbose=False)
    assert_alive(ends.client, ends.server)
    if gateway.is_waylay:
        assert is_cut(gateway.daemon, name)


# --- daemons come and go -------------------------------------------------------------------


@pytest.fixture
def own_daemon(fresh_lab):
    before = HostState(fresh_lab.gw)
    with waylay.Daemon(fresh_lab.gw, CONFIG) as daemon:
        yield daemon
    assert_same_state(before, HostState(fresh_lab.gw))


def cut_here(daemon, lab, family, resources):
    client, server = joined(lab.cli, lab.srv, family, resources)
    make_cut(waylay.Gateway(lab.gw, daemon), client, server)
    return client, server


def test_it_survives_a_killed_daemon(own_daemon, fresh_lab, family, resources):
    client, server = cut_here(own_daemon, fresh_lab, family, resources)
    own_daemon.kill()
    for _ in range(3):
        assert_alive(client, server)
    own_daemon.start()
    assert_alive(client, server)
    wait_for("it is adopted", lambda: is_cut(own_daemon, client.getsockname()))
    assert_stream_arrives(client, server, MEGA)
    assert_stream_arrives(server, client, MEGA)


def test_it_survives_a_killed_daemon_in_full_flight(
    own_daemon, fresh_lab, family, resources
):
    client, server = cut_here(own_daemon, fresh_lab, family, resources)
    done = []
    thread = threading.Thread(
        target=lambda: done.append(assert_both_ways(client, server, 1 << 30))
    )
    thread.start()
    own_daemon.kill()
    own_daemon.start()
    assert is_cut(own_daemon, client.getsockname())
    thread.join()
    assert done == [None]  # it has not raised


def test_it_survives_a_killed_cutter(own_daemon, fresh_lab, family, resources):
    client, server = cut_here(own_daemon, fresh_lab, family, resources)
    cutter = next(p for p in own_daemon.processes() if "cutter" in name_of(p))
    os.kill(cutter, signal.SIGKILL)
    assert_alive(client, server)
    wait_for("it is listed", lambda: is_cut(own_daemon, client.getsockname()))
    assert_alive(client, server)


def name_of(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as file:
        return file.read()


def test_it_survives_a_reload(own_daemon, fresh_lab, family, resources):
    client, server = cut_here(own_daemon, fresh_lab, family, resources)
    assert own_daemon.reload().returncode == 0
    assert_alive(client, server)
    assert is_cut(own_daemon, client.getsockname())
    again = cut_here(own_daemon, fresh_lab, family, resources)
    assert_alive(*again)


@pytest.mark.parametrize("how", ["stop", "cleanup"])
def test_an_orderly_end_resets_it(own_daemon, fresh_lab, family, resources, how):
    client, server = cut_here(own_daemon, fresh_lab, family, resources)
    if how == "stop":
        assert own_daemon.stop() == 0
    else:
        own_daemon.kill()
        own_daemon.cleanup()
    assert end_of(client) == "rst"
    assert end_of(server) == "rst"


# --- what is not cut ---------------------------------------------------------------------------


def talk_for_long(client, server) -> None:
    for _ in range(200):
        assert_alive(client, server)
    send_a_megabyte(client, server)


@pytest.mark.parametrize("where", ["file", "rule"])
def test_off_is_off(fresh_lab, family, resources, where):
    text = {
        "file": waylay.config(cut="off"),
        "rule": CONFIG.replace("default   -> out", "default -> out cut-through off"),
    }[where]
    with waylay.Daemon(fresh_lab.gw, text) as daemon:
        client, server = joined(fresh_lab.cli, fresh_lab.srv, family, resources)
        talk_for_long(client, server)
        assert record_of(daemon, client.getsockname())["mover"] in ("copy", "splice")


def movers_of(daemon) -> dict:
    return {m["name"]: m for m in daemon.status()["movers"]}


def test_the_share_of_each_mover_is_told(own_daemon, fresh_lab, family, resources):
    idle = joined(fresh_lab.cli, fresh_lab.srv, family, resources)
    client, server = cut_here(own_daemon, fresh_lab, family, resources)
    send_a_megabyte(client, server)
    by = wait_for(
        "a megabyte is counted",
        lambda: (m := movers_of(own_daemon))["cut-through"]["bytes"] > MEGA and m,
    )
    relay, cut = by["relay"], by["cut-through"]
    assert [relay["flows"], relay["flows_percent"]] == [1, 50]
    assert [cut["flows"], cut["flows_percent"]] == [1, 50]
    assert relay["bytes"] > 0
    share = 100 * cut["bytes"] / (cut["bytes"] + relay["bytes"])
    assert abs(cut["bytes_percent"] - share) <= 0.5
    assert cut["bytes_percent"] + relay["bytes_percent"] in (99, 100, 101)
    shown = own_daemon.tool("status").stdout
    assert re.search(r"^cut-through +1 +50% +\S+M +\d+%$", shown, re.M), shown
    assert re.search(r"^relay +1 +50% +\S+ +\d+%$", shown, re.M), shown
    assert_alive(*idle)


def test_R_TCP_11_urgent_data_are_not_cut(own_daemon, fresh_lab, family, resources):
    client, server = joined(fresh_lab.cli, fresh_lab.srv, family, resources)
    for _ in range(200):
        assert_urgent_in_line(client, server)
    talk_for_long(client, server)
    assert record_of(own_daemon, client.getsockname())["mover"] in ("copy", "splice")
