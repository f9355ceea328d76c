# SPDX-License-Identifier: Apache-2.0
"""K4: which ip rules survive src_valid_mark=1 and rp_filter=1?

    PLAIN    fwmark M lookup T                  what every recipe shows
    IIF      iif lan0 fwmark M lookup T         names the clients' interface
    DETOUR   iif lo fwmark M goto 32766         names none
             fwmark M lookup T

Source validation asks the same rules for the way back, with iif lo, and with
src_valid_mark=1 also with the packet's mark.  PLAIN answers "local", and the
SYN is dropped without a word: only in_martian_src of the route cache counts.
accept_local=1 cures it, but not together with rp_filter=1.  IIF and DETOUR
are immune in every combination.  IPv6 has no such test, nothing fails there.

The host's own output has iif lo as well, so DETOUR and IIF keep it out of T:
it needs a mark of its own with `iif lo fwmark M2 lookup T`, which changes
nothing for the clients.
"""

import pytest
from kernel.netfilter import (
    MARK,
    OWN_MARK,
    PLAIN_RULE,
    TABLE,
    assert_intercepted,
    counters,
    has_connection,
    intercepted_by,
    is_connected,
    routed_by,
    ruleset,
    start_connect,
    transparent_listener,
)

from namespace import family_of
from wait import wait_for

RULES = {
    "plain": PLAIN_RULE,
    "iif": (f"iif lan0 fwmark {MARK} lookup {TABLE}",),
    "detour": (f"iif lo fwmark {MARK} goto 32766", *PLAIN_RULE),
}
OWN_RULE = f"iif lo fwmark {OWN_MARK} lookup {TABLE}"

SETTINGS = [
    {"src_valid_mark": mark, "rp_filter": strict, "accept_local": local}
    for mark in (0, 1)
    for strict in (0, 1)
    for local in (0, 1)
]

SEEN = """
    counter seen { }
    counter delivered { }
    chain prerouting {
        type filter hook prerouting priority -450;
        iifname "lan0" meta l4proto tcp counter name seen
    }
    chain input {
        type filter hook input priority 0;
        meta l4proto tcp counter name delivered
    }"""


def is_dropped(family: str, rule: str, setting: dict) -> bool:
    """What this file states."""
    return (
        family == "v4"
        and rule == "plain"
        and bool(setting["src_valid_mark"])
        and not (setting["accept_local"] and not setting["rp_filter"])
    )


def martians(host) -> int:
    """in_martian_src; it counts for the whole machine."""
    with host.inside(), open("/proc/thread-self/net/stat/rt_cache") as file:
        head, *lines = file.read().splitlines()
    column = head.split().index("in_martian_src")
    return sum(int(line.split()[column], 16) for line in lines)


def set_everywhere(host, setting: dict):
    return host.sysctls(
        {
            f"net.ipv4.conf.{where}.{name}": value
            for name, value in setting.items()
            for where in ("all", "lan0")
        }
    )


def describe(setting: dict) -> str:
    return "-".join(name for name, value in setting.items() if value) or "default"


@pytest.mark.parametrize("setting", SETTINGS, ids=describe)
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_and_source_validation(lab, family, rule, setting):
    to = (lab.srv.address(family), 80)
    with (
        set_everywhere(lab.gw, setting),
        routed_by(lab.gw, *RULES[rule]),
        intercepted_by("nft", lab.gw, "lan0"),
        transparent_listener(lab.gw, family) as listener,
    ):
        if is_dropped(family, rule, setting):
            assert_silently_dropped(lab, listener, to)
        else:
            assert_intercepted(lab.cli, listener, to)


def assert_silently_dropped(lab, listener, to) -> None:
    before = martians(lab.gw)
    with ruleset(lab.gw, "seen", SEEN), start_connect(lab.cli, to) as client:
        wait_for("the SYN", lambda: counters(lab.gw)["seen"])
        wait_for("in_martian_src", lambda: martians(lab.gw) > before)
        assert counters(lab.gw)["delivered"] == 0
        assert not is_connected(client) and not has_connection(listener)


# --- own output -----------------------------------------------------------------

OWN_OUTPUT = """
    chain output {
        type route hook output priority mangle;
        tcp dport 80 meta mark set %s
    }
    chain prerouting {
        type filter hook prerouting priority mangle;
        iifname "lo" tcp dport 80 tproxy ip to 127.0.0.1:15001 accept
        iifname "lo" tcp dport 80 tproxy ip6 to [::1]:15001 accept
    }"""


@pytest.mark.parametrize("rule", ["iif", "detour"])
@pytest.mark.parametrize("has_second_mark", [True, False])
def test_own_output_needs_a_second_mark(lab, family, rule, has_second_mark):
    to = (lab.srv.address(family), 80)
    mark = OWN_MARK if has_second_mark else MARK
    strict = {"src_valid_mark": 1, "rp_filter": 1}
    with (
        set_everywhere(lab.gw, strict),
        routed_by(lab.gw, *RULES[rule], OWN_RULE),
        intercepted_by("nft", lab.gw, "lan0"),
        ruleset(lab.gw, "own", OWN_OUTPUT % mark.partition("/")[0]),
        transparent_listener(lab.gw, family) as listener,
    ):
        assert_intercepted(lab.cli, listener, to)
        if has_second_mark:
            assert_intercepted(lab.gw, listener, to)
        else:
            assert_goes_directly(lab, listener, to)


def assert_goes_directly(lab, listener, to) -> None:
    with lab.srv.listen(family_of(to[0]), 80) as server:
        with lab.gw.connect(to):
            server.accept()[0].close()
        assert not has_connection(listener)
