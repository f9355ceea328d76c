# SPDX-License-Identifier: Apache-2.0
"""What runs out, runs out in peace: running flows go on, new ones wait."""

import time

import waylay
from endings import assert_alive
from observers import cpu_seconds
from wait import wait_for
from waylay import EXIT_OK

DESCRIPTORS = 128
FLOOD = 300


def test_F09_when_descriptors_run_out_accept_pauses(fresh_lab, resources):
    lab = fresh_lab
    limited = waylay.Daemon(
        lab.gw,
        waylay.config(workers=1),
        wrapper=("prlimit", f"--nofile={DESCRIPTORS}"),
    )
    daemon = resources.enter_context(limited)
    listener = resources.enter_context(lab.srv.listen("v4", 80))
    first = resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))
    running = resources.enter_context(listener.accept()[0])
    worker = daemon.serving_workers()[0]["pid"]

    flood = [lab.cli.connect(listener.getsockname()[:2]) for _ in range(FLOOD)]
    for client in flood:
        resources.enter_context(client)
    daemon.wait_log("RLIMIT_NOFILE")
    assert_alive(first, running)
    assert cpu_share(worker) < 0.2
    assert daemon.status()["workers"]
    assert daemon.reload().returncode == EXIT_OK

    for client in flood:
        client.close()
    last = resources.enter_context(lab.cli.connect(listener.getsockname()[:2]))
    served = wait_for("the last client", lambda: accepted_from(listener, last))
    resources.enter_context(served)
    assert_alive(last, served)
    assert_alive(first, running)


def accepted_from(listener, client):
    """Accept on and on, until it is this client."""
    server, peer = listener.accept()
    if peer[:2] == client.getsockname()[:2]:
        return server
    server.close()
    return None


def cpu_share(pid: int, period_s: float = 1) -> float:
    """Of one CPU, over a measured period."""
    began, used = time.monotonic(), cpu_seconds(pid)
    wait_for(
        "the end of the measurement",
        lambda: time.monotonic() - began >= period_s,
        2 * period_s,
    )
    return (cpu_seconds(pid) - used) / (time.monotonic() - began)
