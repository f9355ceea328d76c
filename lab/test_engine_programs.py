# SPDX-License-Identifier: Apache-2.0
"""Engine ebpf, and BPF programs of others on the same hook.

    lan0 ingress:  waylay (tcx)  ──►  clsact: sets BIT of the mark, goes on

The bit is counted in netfilter, behind both.  The program of others is there
before waylay or comes later, and is there when waylay has gone.
"""

import contextlib
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import waylay
from each_engine import FAMILIES, assert_forwarded, assert_relayed, require
from observers import HostState, assert_same_state

BIT = 0x10000  # not of waylay's mask
SOURCE = f"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int set_bit(struct __sk_buff *skb)
{{
	skb->mark |= {BIT};
	return -1; /* TC_ACT_UNSPEC */
}}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""
COUNTERS = f"""
table inet seen {{
    counter lan {{ }}
    counter wan {{ }}
    chain prerouting {{
        type filter hook prerouting priority -450;
        meta mark & {BIT:#x} == 0 accept
        iifname "lan0" counter name lan
        iifname "wan0" counter name wan
    }}
}}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    require("ebpf")
    if not shutil.which("clang"):
        pytest.skip("no clang to compile the program")
    directory = tmp_path_factory.mktemp("programs")
    source, target = directory / "set_bit.c", directory / "set_bit.o"
    source.write_text(SOURCE)
    include = f"-I/usr/include/{sysconfig.get_config_var('MULTIARCH')}"
    flags = ("-O2", "-g", "-Wall", "-Werror", "-target", "bpf", include)
    subprocess.run(["clang", *flags, "-c", source, "-o", target], check=True)
    return target


@contextlib.contextmanager
def running(lab, program: Path) -> Iterator[None]:
    """Somebody else's, on lan0 and wan0."""
    for ifname in ("lan0", "wan0"):
        lab.gw.run("tc", "qdisc", "add", "dev", ifname, "clsact")
        where = ("dev", ifname, "ingress")
        what = ("bpf", "direct-action", "object-file", str(program), "section", "tc")
        lab.gw.run("tc", "filter", "add", *where, *what)
    yield
    for ifname in ("lan0", "wan0"):
        lab.gw.run("tc", "qdisc", "del", "dev", ifname, "clsact")


def assert_seen(lab) -> None:
    for counter in ("lan", "wan"):
        text = lab.gw.run("nft", "reset", "counter", "inet", "seen", counter).stdout
        assert "packets 0 " not in text, counter


@pytest.fixture
def counted(lab) -> Iterator[None]:
    lab.gw.nft(COUNTERS)
    yield
    lab.gw.nft("delete table inet seen")


@pytest.mark.parametrize("comes", ["before", "after"])
def test_F31_a_program_of_others_goes_on(lab, program, counted, comes):
    text = waylay.config(engine="ebpf")
    with contextlib.ExitStack() as others:
        if comes == "before":
            others.enter_context(running(lab, program))
        before = HostState(lab.gw)
        with waylay.Daemon(lab.gw, text):
            if comes == "after":
                others.enter_context(running(lab, program))
            for family in FAMILIES:
                assert_relayed(lab, lab.cli, family)
                assert_seen(lab)
        if comes == "before":
            assert_same_state(before, HostState(lab.gw))
        for family in FAMILIES:
            assert_forwarded(lab, lab.cli, family)
            assert_seen(lab)
