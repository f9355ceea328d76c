# SPDX-License-Identifier: Apache-2.0
"""Each engine, and a daemon that is killed while it sets up or tears down.

SIGKILL comes at a random moment of a start or an end.  What it leaves is
removed by `waylayd --cleanup`, or taken over by the next start; either way the
host is as before in the end, and its traffic flows as it should.
"""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

import waylay
from each_engine import (
    ENGINE,
    assert_forwarded,
    assert_relayed,
    clean_host,  # noqa: F401
    require,
)
from observers import HostState, assert_same_state
from wait import pass_time

KILLS = int(os.environ.get("WAYLAY_LAB_KILLS", "6"))  # of each kind
SEED = int(os.environ.get("WAYLAY_LAB_SEED", random.randrange(1 << 32)))
ON_FAILURE = ("open", "closed")


@pytest.fixture
def daemon(lab, engine, clean_host, resources) -> waylay.Daemon:
    require(engine)
    made = waylay.Daemon(lab.gw, waylay.config(engine=engine))
    made.was_started = True  # --cleanup must succeed
    resources.callback(made.close)
    return made


def seconds_of(action: Callable[[], object]) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def assert_recovers(lab, daemon: waylay.Daemon, clean, is_restarted: bool) -> None:
    family = random.choice(("v4", "v6"))
    if is_restarted:
        daemon.start()
        assert_relayed(lab, lab.cli, family)
        assert daemon.stop() == waylay.EXIT_OK
    else:
        daemon.cleanup()
    assert_same_state(clean, HostState(lab.gw))
    assert_forwarded(lab, lab.cli, family)


def configure(daemon: waylay.Daemon, engine: str, number: int) -> None:
    """Half of them hold the traffic; some take this host's own as well."""
    text = waylay.config(ON_FAILURE[number % 2], engine=engine)
    if number % 3 == 0:
        text += "\nintercept own { from host; tcp 1-1000 }\n"
    daemon.write_config(text)


@ENGINE
def test_F05_killed_while_it_sets_up(lab, engine, clean_host, daemon):
    chance = random.Random(SEED)
    longest = seconds_of(daemon.start)
    daemon.stop()
    for number in range(KILLS):
        configure(daemon, engine, number)
        after = chance.uniform(0, longest)
        print(f"seed {SEED}, kill {number} after {after:.4f} of {longest:.4f} s")
        daemon.launch()
        pass_time(after)
        daemon.kill()
        assert_recovers(lab, daemon, clean_host, is_restarted=number % 4 < 2)


@ENGINE
def test_F05_killed_while_it_tears_down(lab, engine, clean_host, daemon):
    chance = random.Random(SEED)
    daemon.start()
    longest = seconds_of(daemon.stop)
    for number in range(KILLS):
        configure(daemon, engine, number)
        after = chance.uniform(0, longest)
        print(f"seed {SEED}, kill {number} after {after:.4f} of {longest:.4f} s")
        daemon.start()
        daemon.send_signal(signal.SIGTERM)
        pass_time(after)
        daemon.kill()
        assert_recovers(lab, daemon, clean_host, is_restarted=number % 4 < 2)
