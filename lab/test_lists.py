# SPDX-License-Identifier: Apache-2.0
"""Lists of names in files, and what happens when such a file changes.

    cli ── lan0 ─ gw: waylayd ─ wan0 ── srv

A flow whose name is in the list is refused.  There is no plain gateway, since
a router knows no names; what flows look like without one is in test_names.py.
"""

import itertools
import re
import select
import time
from pathlib import Path

import pytest

import waylay
from endings import end_of
from hello import client_hello
from observers import HostState, assert_same_state
from wait import wait_for

MANY = 200_000
CLOCK_REALTIME_COARSE = 5

CONFIG = """
engine {engine}; workers 1
sniff {{ tls; http; wait 5s }}
intercept lan {{ from lan0; tcp any }}
upstream out {{ via direct; source client }}
list blocked {{ file {file}; reload on-change }}
rules {{
    list blocked -> reject
    default      -> out
}}
"""


class File:
    """A list of names, changed as editors do or as `echo >>` does."""

    def __init__(self, path: Path):
        self.path = path

    def replace(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.rename(self.path)

    def is_of_the_past(self) -> bool:
        """What changed in the tick in which it is read is read once more."""
        now_ns = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
        return self.path.stat().st_ctime_ns < now_ns

    def append(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(line + "\n")


@pytest.fixture
def file(tmp_path):
    file = File(tmp_path / "blocked")
    file.replace("# nobody wants these\nold.example\n")
    wait_for("it is older than whoever reads it", file.is_of_the_past)
    return file


def config(file: File) -> str:
    return CONFIG.format(engine=waylay.ENGINE, file=file.path)


@pytest.fixture
def daemon(lab, file):
    with waylay.Daemon(lab.gw, config(file)) as daemon:
        yield daemon


def is_refused(lab, name: str, family: str = "v4") -> bool:
    """The client's RST comes first, or the server's connection does."""
    with lab.srv.listen(family, 443) as listener:
        with lab.cli.connect(listener.getsockname()[:2]) as client:
            client.sendall(client_hello(name))
            ready, _, _ = select.select([listener, client], [], [], 5)
            assert ready, "neither a server leg nor an end"
            if listener in ready:
                listener.accept()[0].close()
                return False
            assert end_of(client) == "rst"
            return True


def generation(daemon) -> int:
    return daemon.status()["generation"]


CHANGES = {
    "replaced": lambda file: file.replace("old.example\n.new.example\n"),
    "appended": lambda file: file.append(".new.example"),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_name_that_is_added(lab, daemon, file, how):
    assert is_refused(lab, "old.example")
    assert not is_refused(lab, "www.new.example")
    CHANGES[how](file)
    daemon.wait_log("a file of a list has changed: reloading")
    daemon.wait_log("reloaded: generation 2")
    for family in ("v4", "v6"):
        assert is_refused(lab, "www.new.example", family)
        assert is_refused(lab, "old.example", family)


def test_a_name_that_is_removed(lab, daemon, file):
    file.replace("another.example\n")
    daemon.wait_log("reloaded: generation 2")
    assert not is_refused(lab, "old.example")
    assert is_refused(lab, "another.example")


BROKEN = {
    "two words\n": '"words" is one word too many',
    "x" * 64 + ".example\n": '"x*" is neither a name nor a network',
    "192.0.2.1/24\n": '"192.0.2.1/24" has bits set behind its length',
    "\x01\x02\n": r'"\?\?" is neither a name nor a network',
}


def test_F12_a_broken_line_changes_nothing(lab, daemon, file):
    """The log names file and line; when it is mended all is well again."""
    for line, problem in BROKEN.items():
        mark = len(daemon.lines)
        file.replace("old.example\nnew.example\n" + line)
        place = rf"{re.escape(str(file.path))}: line 3: {problem}"
        refusal = rf"reload refused, the old configuration stays in force: .*{place}"
        daemon.wait_log(refusal, since=mark)
        assert generation(daemon) == 1
        assert is_refused(lab, "old.example")
        assert not is_refused(lab, "new.example")
    file.replace("new.example\n")
    daemon.wait_log("reloaded: generation 2")
    assert is_refused(lab, "new.example")


def test_F12_a_file_that_is_removed_changes_nothing(lab, daemon, file):
    file.path.unlink()
    daemon.wait_log("reload refused, the old configuration stays in force")
    daemon.wait_log(rf"{re.escape(str(file.path))}.*No such file")
    assert generation(daemon) == 1
    assert is_refused(lab, "old.example")
    file.replace("old.example\n")  # a file that was away is seen when it is back
    daemon.wait_log("reloaded: generation 2")


def test_F12_a_missing_file_at_the_start(lab, file):
    file.path.unlink()
    before = HostState(lab.gw)
    daemon = waylay.Daemon(lab.gw, config(file))
    try:
        daemon.launch()
        assert daemon.wait_end() == waylay.EXIT_CONFIG
    finally:
        daemon.close()
    errors = [line for line in daemon.lines if "error: " in line]
    assert len(errors) == 1, daemon.log
    assert str(file.path) in errors[0] and "No such file" in errors[0]
    assert_same_state(before, HostState(lab.gw))


def test_F11_a_long_list_is_read_again_under_load(lab, daemon, file, probe):
    """P1: no connection fails, whatever is read meanwhile."""
    probe(lab.srv, "tcp-server", 80)
    load = probe(lab.cli, "load", lab.srv.v4, 80)
    names = [f"name-{number}.example" for number in range(MANY)]
    for round_, number in enumerate((1, 0, 1), 2):
        file.replace("\n".join(itertools.islice(names, number, None)) + "\n")
        daemon.wait_log(f"reloaded: generation {round_}", 20)
        assert is_refused(lab, names[-1])
        assert is_refused(lab, names[0]) is (number == 0)
    report = load.finish()
    assert report["failed"] == []
    assert report["flows"] > 10


def test_the_same_load_without_waylay(lab, probe):
    probe(lab.srv, "tcp-server", 80)
    report = probe(lab.cli, "load", lab.srv.v4, 80, "--flows", 20).line()
    assert report["failed"] == []
