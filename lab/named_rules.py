# SPDX-License-Identifier: Apache-2.0
"""A gateway whose rules ask for names; for test_names.py and test_names_quic.py.

    cli ── lan0 ─ gw: waylayd ─ wan0 ── srv

A flow whose name is self.example reaches srv with the gateway's address, one
whose name is blocked.example is refused; all others keep the client's address.
srv has a second address, to which nothing may go.
"""

import pytest

import waylay

WAIT_MS = 400
FORBIDDEN = {"v4": "198.51.100.66", "v6": "2001:db8:2::66"}

CONFIG = f"""
engine {waylay.ENGINE}; workers 1
sniff {{ tls; http; quic; wait {WAIT_MS}ms }}
intercept lan {{ from lan0; tcp any; udp any }}
upstream out    {{ via direct; source client }}
upstream myself {{ via direct; source self }}
list blocked {{ domain blocked.example, *.blocked.example }}
rules {{
    port 7000-7099        -> out              # decided before any name
    dst {", ".join(FORBIDDEN.values())} -> reject
    list blocked          -> reject
    domain .self.example  -> myself
    quic port 8443        -> reject
    default               -> out
}}
"""


@pytest.fixture(scope="module", autouse=True)
def second_address(lab):
    for address in FORBIDDEN.values():
        lab.srv.ip("address", "add", address, "dev", "eth0")


def expected_source(lab, gateway, family: str, name: str) -> str:
    """Which address the server sees."""
    if gateway.is_waylay and name.endswith("self.example"):
        return {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}[family]
    return lab.cli.address(family)
