# SPDX-License-Identifier: Apache-2.0
"""A proxy on the gateway whose own traffic comes back to it.

    gw: a program ──> waylayd ──> proxy, 127.0.0.1:1080 ── wan0 ── srv
                         ^               │
                         └── from host ──┘     unless it is excepted

Each turn of the circle is a flow like any other; it ends by itself, with an
error that the program sees, and nothing is left behind.  Other loops are in
test_groups.py.  A router has no proxy, so there is no plain gateway.
"""

import os

import pytest

import proxies
import waylay
from endings import assert_alive, connection_outcome, end_of, reset
from host_files import USERS
from namespace import endpoint
from wait import wait_for

PORT = 80
PROXY = {"v4": "127.0.0.1", "v6": "[::1]"}
OWN = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}
USER = USERS["_apt"]  # whoever has no other traffic here
MOST_TURNS = 64  # relay/loop_guard.h, a worker


def config(family: str, excepts: str = "", workers: int = 1) -> str:
    return f"""
    engine {waylay.ENGINE}; workers {workers}
    intercept self {{ from host; tcp {PORT}; {excepts} }}
    upstream up {{ via socks5 {PROXY[family]}:1080 }}
    rules {{ default -> up }}
    """


class LocalProxy(proxies.Microsocks):
    """By a user of its own."""

    def start(self, *command: str) -> None:
        as_user = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
        super().start("setpriv", *as_user, *command)


@pytest.fixture
def proxy(lab):
    proxy = LocalProxy(lab.gw)
    yield proxy
    proxy.close()


@pytest.fixture
def start(lab, resources):
    def started(text: str) -> waylay.Daemon:
        return resources.enter_context(waylay.Daemon(lab.gw, text))

    return started


def descriptors(*pids: int) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


@pytest.mark.parametrize("family,workers", [("v4", 1), ("v6", 2)])
def test_T05_a_loop_through_a_local_proxy_ends(lab, proxy, start, family, workers):
    daemon = start(config(family, workers=workers))
    held = [*daemon.processes(), *proxy.pids]
    before = descriptors(*held)
    with lab.srv.listen(family, PORT) as listener:
        listener.settimeout(0)
        to = listener.getsockname()[:2]
        for turn in (1, 2):  # the second time nothing is left of the first
            assert connection_outcome(lambda: lab.gw.connect(to)) in ("rst", "fin")
            wait_for("all its flows have ended", lambda: daemon.flows() == [])
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert daemon.status()["counters"]["loop"] >= 1
    ends = [flow["end"] for flow in daemon.ended()]
    assert "loop" in ends
    assert len(ends) <= 2 * (MOST_TURNS * workers + 1)
    wait_for("no descriptor is left", lambda: descriptors(*held) == before)
    daemon.wait_log("would have come back to waylay.*`except user`")


def test_T05_curl_ends_with_an_error(lab, proxy, start, family):
    daemon = start(config(family))
    with lab.srv.listen(family, PORT):
        url = f"http://{endpoint(lab.srv.address(family), PORT)}/"
        done = lab.gw.run("curl", "-sS", "--max-time", "20", url, check=False)
    # 7: refused, 52: an empty reply, 56: reset; 28 would be its time-out
    assert done.returncode in (7, 52, 56), done.stderr
    assert daemon.status()["counters"]["loop"] >= 1


@pytest.mark.parametrize("excepts", ["", f"except user {USER}"])
def test_T05_it_is_said_beforehand(lab, family, tmp_path, excepts):
    file = tmp_path / "waylay.conf"
    file.write_text(config(family, excepts))
    done = lab.gw.run(waylay.WAYLAY, "config", "check", str(file))
    is_warned = "would come back to it" in done.stderr
    assert is_warned is not bool(excepts)


def test_an_excepted_proxy_is_no_loop(lab, proxy, start, family):
    """Nor are many flows, one behind the other, to the same server."""
    daemon = start(config(family, f"except user {USER}"))
    with lab.srv.listen(family, PORT) as listener:
        to = listener.getsockname()[:2]
        for turn in range(MOST_TURNS + 6):
            with lab.gw.connect(to) as client, listener.accept()[0] as server:
                server.settimeout(5)
                assert server.getpeername()[0] == OWN[family]
                if turn % 2:  # else it ends before the server's first byte
                    assert_alive(client, server)
                reset(server)
                assert end_of(client) in ("rst", "fin")
        wait_for("all have ended", lambda: daemon.flows() == [])
    assert {flow["upstream"] for flow in daemon.ended()} == {"up"}
    assert daemon.status()["counters"]["loop"] == 0
    assert "come back" not in daemon.log


def test_without_waylay_the_proxy_is_reached_and_works(lab, proxy, family):
    with lab.srv.listen(family, PORT) as listener:
        with lab.gw.connect(listener.getsockname()[:2]):
            server, peer = listener.accept()
            server.close()
            assert peer[0] == OWN[family]
