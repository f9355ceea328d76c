# SPDX-License-Identifier: Apache-2.0
"""`waylay exec` as scenarios write it: as root and as an ordinary user.

The gateway's namespace plays the host.  ORDINARY is put in front of a command
to run it as a user without any right; whoever uses it skips where the system
gives such a user no namespaces.
"""

import subprocess
from pathlib import Path

import pytest

import waylay
from namespace import Namespace, endpoint
from observers import Descendants, HostState, assert_same_state
from wait import wait_for

UID = 4321
ORDINARY = (
    *("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"),
    *("--inh-caps=-all", "--"),
)
HOST = {"v4": "198.51.100.1", "v6": "2001:db8:2::1"}  # the host towards srv
AS = {"root": (), "ordinary": ORDINARY}
CURL_REFUSED, CURL_RESET = 7, 56

# A client that asks some ports, one after the other, and hears of errors.
DATAGRAMS = (
    *("/usr/bin/python3", "-c"),
    """
import socket, sys
address, count = sys.argv[1], int(sys.argv[2])
family = socket.getaddrinfo(address, 0)[0][0]
for port in range(5000, 5000 + count):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect((address, port))
    s.send(b"x")
    try:
        s.recv(1)
    except ConnectionRefusedError:
        print("refused")
""",
)


def waylay_exec(*options: str, who: str = "root") -> tuple[str, ...]:
    """The words in front of the command."""
    return (*AS[who], waylay.WAYLAY, "exec", *options, "--")


def skip_without_namespaces() -> None:
    """An ordinary user must be able to make them, and to read our programs."""
    for command in (("unshare", "--user", "--net", "true"), (waylay.WAYLAY, "version")):
        done = subprocess.run([*ORDINARY, *command], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"as an ordinary user: {done.stderr.strip()}")


def curl(url: str, *options: str) -> tuple[str, ...]:
    return ("curl", "-sS", "-g", "--max-time", "10", *options, url)


def url_of(server: Namespace, family: str, port: int = 8080) -> str:
    return f"http://{endpoint(server.address(family), port)}/"


def client_seen(said: str) -> str:
    """The address that the test server saw, of what it answered."""
    return said.split()[1].rpartition(":")[0].strip("[]")


def udp_client(address: str, port: int) -> tuple[str, ...]:
    probe = str(Path(waylay.ROOT, "lab/probe.py"))
    return ("/usr/bin/python3", "-B", probe, "udp-client", address, str(port))


# --- fixtures, for who imports them ---------------------------------------------


@pytest.fixture(params=AS)
def who(request):
    if request.param == "ordinary":
        skip_without_namespaces()
    return request.param


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process."""
    descendants = Descendants()
    yield descendants
    wait_for("no process is left", lambda: not descendants.new())


@pytest.fixture(scope="module", autouse=True)
def the_host_is_as_before(lab):
    """Neither a link, nor a rule, a route or a sysctl."""
    before = HostState(lab.gw)
    yield
    assert_same_state(before, HostState(lab.gw))


@pytest.fixture
def web(lab, probe):
    return probe(lab.srv, "tcp-server", 8080, "--mode", "http")
