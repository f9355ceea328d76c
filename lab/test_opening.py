# SPDX-License-Identifier: Apache-2.0
"""Flows on their way to the first relayed byte: time, blame, and whose turn it is.

    cli ── lan0 ─ gw: waylayd ─ wan1 ── srv2: proxies of the test's own

What proxies say wrong is in test_upstream_faults.py, how members are chosen in
test_groups.py.  There is no plain gateway, since all of it is about proxies
that a router does not have.
"""

import contextlib
import socket

import pytest

import scripted
import waylay
from endings import connection_outcome, finish, reset
from hello import client_hello
from scripted import REQUEST_OK, Scripted
from wait import wait_for

ONE, TWO, THREE = 1081, 1082, 1083
UP = {"v4": "203.0.113.10", "v6": "[2001:db8:3::10]"}
SERVER_PORT = 8000
SERVER_REFUSED = b"\x05\x05" + REQUEST_OK[2:]
FALL = 3  # failures in a row, where no group says it


def config(family: str, timeouts: str, rule: str = "all", more: str = "") -> str:
    return f"""
    engine {waylay.ENGINE}; workers 1; on-failure closed
    timeouts {{ {timeouts} }}
    intercept lan {{ from lan0; tcp any }}
    upstream one   {{ via socks5 {UP[family]}:{ONE} }}
    upstream two   {{ via socks5 {UP[family]}:{TWO} }}
    upstream three {{ via socks5 {UP[family]}:{THREE} }}
    group all {{ members one, two, three; balance first }}
    {more}
    rules {{ default -> {rule} }}
    """


@pytest.fixture
def start(lab, family, resources):
    """start("one", "connect 2s"): a daemon that sends all flows there."""

    def started(rule: str, timeouts: str = "connect 5s", more: str = ""):
        text = config(family, timeouts, rule, more)
        return resources.enter_context(waylay.Daemon(lab.gw, text))

    return started


@pytest.fixture
def proxy(lab, family, resources):
    """proxy(ONE, play): it is there until the scenario ends."""

    def start(port: int, play) -> Scripted:
        return resources.enter_context(
            Scripted(lab.srv2, family, port, lambda s: play(made(), s))
        )

    made_by_port: dict[int, Scripted] = {}

    def begin(port: int, play) -> Scripted:
        made_by_port[port] = start_with(port, play)
        return made_by_port[port]

    return begin
