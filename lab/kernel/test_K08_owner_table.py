# SPDX-License-Identifier: Apache-2.0
"""K8: what does `flags owner` protect, and when does the table end?

    holder   nft -i on a pipe: one netlink socket for as long as it lives
    foreign  every other nft

While the holder lives, a foreign delete, flush or change of the table is
refused with EPERM, a foreign `flush ruleset` passes over it, and a foreign
list shows it.  The table ends with the holder, by SIGKILL and by the end of
its input.  A one-shot `nft -f` has lost it when it returns.  nft 1.0.6 does
not know `persist`, nor two flags in one line: an error, and nothing is made.
"""

import subprocess
from collections.abc import Iterator

import pytest

from namespace import Namespace
from wait import wait_for

OWNED = "add table inet owned { flags owner; }"
CHAIN = "add chain inet owned prerouting { type filter hook prerouting priority 0; }"


def tables(host: Namespace) -> list[str]:
    return host.run("nft", "list", "tables").stdout.splitlines()


def is_owned(host: Namespace) -> bool:
    return "table inet owned" in tables(host)


class Holder:
    """An interactive nft that made the table `owned`, with a chain."""

    def __init__(self, host: Namespace):
        self.process = host.start(
            "nft",
            "-i",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for line in (OWNED, CHAIN):
            self.tell(line)
        wait_for("the chain", lambda: "prerouting" in list_chains(host))

    def tell(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()


def list_chains(host: Namespace) -> str:
    return host.run("nft", "list", "chains").stdout


@pytest.fixture
def host(lab) -> Iterator[Namespace]:
    lab.gw.nft("flush ruleset")
    yield lab.gw


@pytest.fixture
def holder(host) -> Iterator[Holder]:
    holder = Holder(host)
    yield holder
    holder.process.kill()
    holder.process.wait()


@pytest.mark.parametrize(
    "command",
    [
        "delete table inet owned",
        "flush table inet owned",
        "add chain inet owned another",
        "add rule inet owned prerouting drop",
        "delete chain inet owned prerouting",
        OWNED,
    ],
)
def test_a_foreign_change_is_refused(host, holder, command):
    before = host.run("nft", "list", "ruleset").stdout
    done = host.run("nft", command, check=False)
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr
    assert host.run("nft", "list", "ruleset").stdout == before


def test_a_foreign_flush_ruleset_passes_over_it(host, holder):
    host.nft("add table inet common")
    host.nft("flush ruleset")
    assert tables(host) == ["table inet owned"]
    assert "prerouting" in list_chains(host)


def test_a_table_without_owner_is_flushed_and_deleted(host):
    """The twin: the same table, the same commands."""
    host.nft("add table inet owned")
    host.nft("delete table inet owned")
    host.nft("add table inet owned")
    host.nft("flush ruleset")
    assert tables(host) == []


def test_the_holder_changes_and_deletes_it(host, holder):
    holder.tell("add chain inet owned another")
    wait_for("the second chain", lambda: "another" in list_chains(host))
    holder.tell("delete table inet owned")
    wait_for("no table", lambda: not is_owned(host))


def test_sigkill_of_the_holder_removes_it(host, holder):
    holder.process.kill()
    holder.process.wait()
    assert not is_owned(host)


def test_the_end_of_the_pipe_removes_it(host, holder):
    holder.process.stdin.close()
    holder.process.wait(timeout=5)
    assert not is_owned(host)


def test_one_shot_has_lost_it_when_it_returns(host):
    host.nft(f"{OWNED}\n{CHAIN}")
    assert not is_owned(host)


@pytest.mark.parametrize(
    "flags, problem",
    [("persist", "unknown table option"), ("owner, persist", "syntax error")],
)
def test_this_nft_does_not_know_persist(host, flags, problem):
    version = host.run("nft", "--version").stdout
    if "v1.0.6" not in version:
        pytest.skip(f"the answer is for nft 1.0.6, here is {version.strip()}")
    text = f"add table inet owned {{ flags {flags}; }}"
    done = host.run("nft", text, check=False)
    assert done.returncode != 0 and problem in done.stderr
    assert not is_owned(host)
