# SPDX-License-Identifier: Apache-2.0
"""What waylay is told, for each thing that is to be shown.

A scene is a configuration without its engine, of few or of many selections or
prefixes, and the destinations for which it is made.  The names count what a
packet is compared with:

    relay           everything goes through the relay, by sockets
    cut             the same, and what can be is cut through
    past-N          N selections, none of which asks for the port in use
    past-1M         the same, one of them of a million prefixes
    direct-N        N selections, the last one a rule that says direct
    direct-1M       a list of a million prefixes before that rule
    drop-N          N rules, of which the last one takes a packet, and drops it
    nets-N, nets-1M one rule, of so many prefixes, which drops
"""

import dataclasses
import functools
import ipaddress
import random
import typing

MILLION = 1_000_000
NET_WORDS = 60_000  # of one statement; the grammar has a limit
DESTINATIONS = 65_536
PASSING = 1024  # destinations of what passes
MIXER = 0x9E3779B1  # odd: a product with it takes each value once
# The prefixes that are drawn stay out of these: special ones, those of the
# topology, and what the rules that match nothing are made of.
FIRST_BYTES = [byte for byte in range(1, 224)
               if byte not in (10, 127, 169, 172, 192, 198, 203)]
DROPPED = {False: "203.0.113.0/24", True: "2001:db8:ffff::/48"}


def _other_net(number, has_v6):
    """A prefix that no packet of the bench is of."""
    if has_v6:
        return f"2001:db8:{0x1000 + number:x}::/48"
    return f"10.{number >> 8}.{number & 255}.0/24"


def _drawn_net(number, has_v6):
    """One of many prefixes, spread over the address space."""
    mixed = number * MIXER & 0xFFFFFF
    if has_v6:
        return f"24{mixed >> 16:02x}:{mixed & 0xffff:x}::/32"
    # Some first bytes come twice; drawn_nets() takes each prefix once.
    first = FIRST_BYTES[(mixed >> 16) % len(FIRST_BYTES)]
    return f"{first}.{mixed >> 8 & 255}.{mixed & 255}.0/24"


@functools.cache
def drawn_nets(count, has_v6):
    """So many different ones."""
    nets, number = {}, 0
    while len(nets) < count:
        nets[_drawn_net(number, has_v6)] = None
        number += 1
    return list(nets)


def _list(count, has_v6):
    nets = drawn_nets(count, has_v6)
    lines = (", ".join(nets[at:at + NET_WORDS])
             for at in range(0, count, NET_WORDS))
    return "list many {\n" + "".join(f"    net {line}\n" for line in lines) + "}\n"


def _conf(ports, rules, has_v6, nets=0):
    return (
        "on-failure open\n"
        "log { flows off }\n"
        + (_list(nets, has_v6) if nets else "")
        + f"intercept bench {{ from lan; tcp {ports}; udp {ports} }}\n"
        "upstream out { via direct; source client }\n"
        "rules {\n" + "".join(f"    {rule}\n" for rule in rules) + "}\n"
    )


def _others(count, upstream, has_v6):
    return [f"dst {_other_net(number, has_v6)} -> {upstream}"
            for number in range(count)]


def _relay(has_v6):
    return _conf("any", ["default -> out"], has_v6)


def _past(count):
    return lambda has_v6: _conf(
        "5", _others(count - 1, "drop", has_v6) + ["default -> out"], has_v6)


def _past_nets(has_v6):
    return _conf("5", ["list many -> drop", "default -> out"], has_v6, MILLION)


def _direct(count):
    return lambda has_v6: _conf(
        "any", _others(count - 1, "drop", has_v6) + ["default -> direct"], has_v6)


def _direct_nets(has_v6):
    return _conf("any", ["list many -> drop", "default -> direct"], has_v6,
                 MILLION)


def _drop(count):
    return lambda has_v6: _conf(
        "any", _others(count - 1, "direct", has_v6)
        + [f"dst {DROPPED[has_v6]} -> drop", "default -> out"], has_v6)


def _nets(count):
    return lambda has_v6: _conf(
        "any", ["list many -> drop", "default -> out"], has_v6, count)


def dropped_hosts(has_v6):
    """Addresses of the one prefix that scenes drop-N drop."""
    hosts = ipaddress.ip_network(DROPPED[has_v6])
    return [str(hosts[number]) for number in range(1, 255)]


def _drawn_hosts(count):
    @functools.cache
    def hosts(has_v6):
        draw = random.Random(count)
        nets = drawn_nets(count, has_v6)
        return [str(ipaddress.ip_network(draw.choice(nets))[draw.randrange(1, 255)])
                for _ in range(DESTINATIONS)]

    return hosts


@functools.cache
def passing_hosts(has_v6):
    """Addresses from all over the place that are in none of a million prefixes."""
    draw = random.Random(PASSING)
    nets = set(drawn_nets(MILLION, has_v6))
    found = []
    while len(found) < PASSING:
        net = _drawn_net(draw.randrange(1 << 24), has_v6)
        if net not in nets:
            found.append(str(ipaddress.ip_network(net)[draw.randrange(1, 255)]))
    return found


@dataclasses.dataclass
class Scene:
    """One configuration."""

    name: str  # behind the engine's, in the name of the mode
    title: str
    text: typing.Callable  # of has_v6
    measures: tuple
    is_relay: bool = True
    is_cut: bool = False
    destinations: typing.Callable = dropped_hosts  # which it drops; of has_v6


FORWARD, FIRST, LOAD = ("forward",), ("first",), ("first", "load")
RELAY = ("bulk", "conns", "latency", "ping", "udp", "idle")
SCENES = [
    Scene("", "", _relay, RELAY),
    Scene("cut", "cut-through", _relay, RELAY, is_cut=True),
    Scene("past-1", "past 1", _past(1), FORWARD, False),
    Scene("past-1000", "past 1000", _past(1000), FORWARD, False),
    Scene("past-1M", "past 1M nets", _past_nets, FORWARD, False),
    Scene("direct-1", "direct 1", _direct(1), FORWARD, False),
    Scene("direct-1000", "direct 1000", _direct(1000), FORWARD, False),
    Scene("direct-1M", "direct 1M nets", _direct_nets, FORWARD, False),
    Scene("drop-1", "1 rule", _drop(1), FIRST),
    Scene("drop-1000", "1000 rules", _drop(1000), FIRST),
    Scene("nets-10", "10 nets", _nets(10), LOAD,
          destinations=_drawn_hosts(10)),
    Scene("nets-1M", "1M nets", _nets(MILLION), LOAD,
          destinations=_drawn_hosts(MILLION)),
]
