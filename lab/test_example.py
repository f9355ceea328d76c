# SPDX-License-Identifier: Apache-2.0
"""doc/examples/socks-group.conf as it is written, rule by rule.

Where everybody is: example_world.py.  What of the example is a matter of the
host is given by the surroundings: files below /etc and users by mounts of the
daemon's own, the credential as systemd hands it over.  The file itself is not
touched.  There is no plain gateway, since all of it is about proxies that a
router does not have.
"""

import re
import socket

import pytest

import proxies
import waylay
from endings import assert_alive, connection_outcome, end_of
from example_world import ANOTHER_DNS, ANSWER, DNS, INTRA, OUTCAST, SQUID_USER
from example_world import World
from hello import client_hello, initials
from host_files import USERS, Etc
from namespace import end_process, endpoint
from observers import HostState, LeakObserver, assert_same_state
from programs import NAME
from wait import wait_for

EXAMPLE = waylay.ROOT / "doc/examples/socks-group.conf"
HTTP = b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"

# The example's rules, in its order.
TO_DNS, TO_ADS, TO_CORP, TO_DIRECT, NO_QUIC, TO_DROP, TO_WORLD = range(1, 8)

HOST = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"'


@pytest.fixture(scope="module")
def world(lab):
    with World(lab) as world:
        world.start("fra1")
        world.start("ams1")
        yield world


@pytest.fixture(scope="module")
def etc(tmp_path_factory):
    with Etc() as etc:
        etc.resolve_by(DNS)
        etc.write_secret("waylay/fra1.pass", proxies.PASSWORD + "\n")
        etc.write_secret("waylay/admin.token", "a token\n")
        etc.write("waylay/ads.domains", "# trackers\nads.example\n.tracker.example\n")
        yield etc


@pytest.fixture(scope="module")
def daemon(lab, world, etc, tmp_path_factory):
    credentials = tmp_path_factory.mktemp("credentials")
    secret = credentials / "corp-proxy"
    secret.write_text(proxies.PASSWORD + "\n")
    secret.chmod(0o400)
    wrapper = (
        *("env", f"CREDENTIALS_DIRECTORY={credentials}"),
        *("sh", "-c", HOST, "sh", *etc.wrapper),
    )
    before = HostState(lab.gw)
    with waylay.Daemon(lab.gw, EXAMPLE.read_text(), wrapper=wrapper) as daemon:
        daemon.wait_log("upstream corp: proxy.corp.example is")
        yield daemon
    assert_same_state(before, HostState(lab.gw))


def upstream(daemon, name: str) -> dict:
    rows = daemon.ask("upstream")["upstreams"]
    return next(row for row in rows if row["name"] == name)


def wait_health(daemon, **wanted: str) -> None:
    for name, health in wanted.items():
        wait_for(
            f"{name} {health}",
            lambda: upstream(daemon, name)["health"] == health,
            12,
        )


# --- flows --------------------------------------------------------------------


class Flow:
    """A client's flow that says something, and what its server accepted."""

    def __init__(self, world: World, to: tuple[str, int], text: bytes, who=None):
        family = "v6" if ":" in to[0] else "v4"
        with world.net.listen(family, to[1], to[0]) as listener:
            self.client = (who or world.client).connect(to)
            self.own = endpoint(*self.client.getsockname()[:2])
            self.client.sendall(text)
            self.server, peer = listener.accept()
        self.server.settimeout(5)
        self.peer = peer[0]
        heard = b""
        while len(heard) < len(text):
            heard += self.server.recv(1 << 16)
        assert heard == text

    def __enter__(self) -> "Flow":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()

    def record(self, daemon) -> dict:
        """The living flow; ended ones are sampled."""
        assert_alive(self.client, self.server)
        return next(f for f in daemon.flows() if f["client"] == self.own)

    def chosen(self, daemon) -> tuple[int, str]:
        record = self.record(daemon)
        return record["rule"], record["upstream"]


def refused(world, text: bytes, to: tuple[str, int]) -> str:
    family = "v6" if ":" in to[0] else "v4"
    with world.net.listen(family, to[1], to[0]) as listener:
        listener.settimeout(0)
        with world.client.connect(to) as client:
            client.sendall(text)
            end = end_of(client)
        with pytest.raises(BlockingIOError):
            listener.accept()
    return end


FIRST_WORDS = {
    "tls": (443, client_hello),
    "http": (80, lambda name: HTTP % name.encode()),
}
WORDS = pytest.mark.parametrize("words", FIRST_WORDS)
ADS = ("ads.example", "tracker.example", "www.tracker.example")


# --- rule by rule -------------------------------------------------------------


def test_it_is_valid(lab, daemon):
    """But for one warning: the page of `admin` is not served yet."""
    warnings = [line for line in daemon.lines if re.search(r"warning:", line)]
    assert len(warnings) == 1 and "admin" in warnings[0], daemon.log
    assert daemon.status()["engine"] in ("ebpf", "nft", "iptables")


def test_queries_go_to_another_resolver(world, daemon, resources):
    """Whom the client asks hears nothing."""
    asked = resources.enter_context(world.net.udp("v4"))
    asked.bind((ANOTHER_DNS, 53))  # dnsmasq has all other addresses
    asked.settimeout(0)
    done = world.client.run("dig", "+short", "+time=3", f"@{ANOTHER_DNS}", NAME, "A")
    assert done.stdout.strip() == ANSWER[0]
    with pytest.raises(BlockingIOError):
        asked.recv(600)


@WORDS
@pytest.mark.parametrize("name", ADS)
def test_advertisements_are_refused(world, daemon, family, words, name):
    port, say = FIRST_WORDS[words]
    to = (world.net.address(family), port)
    assert refused(world, say(name), to) == "rst"


@WORDS
@pytest.mark.parametrize("name", ["corp.example", "www.intra.example"])
def test_the_company_is_behind_its_own_proxy(world, daemon, family, words, name):
    port, say = FIRST_WORDS[words]
    with Flow(world, (world.net.address(family), port), say(name)) as flow:
        assert flow.peer == world.lab.srv.address(family)
        assert flow.chosen(daemon) == (TO_CORP, "corp")
        assert flow.record(daemon)["name"] == name
    host = endpoint(world.net.address(family), port)
    wait_for(
        "squid's own record",
        lambda: re.search(
            rf"CONNECT {re.escape(host)} {SQUID_USER} ", world.squid_log.read_text()
        ),
    )


def test_the_companys_network(world, daemon):
    """From the gateway itself.  `lan` leaves private addresses alone: its
    clients' packets are forwarded."""
    with Flow(world, (INTRA, 443), b"hello", who=world.lab.gw) as flow:
        assert flow.peer == world.lab.srv.v4
        assert flow.chosen(daemon) == (TO_CORP, "corp")
    leaks = LeakObserver(world.net)
    with Flow(world, (INTRA, 443), b"hello") as flow:
        assert flow.peer == world.client.v4
        assert flow.own not in [f["client"] for f in daemon.flows()]
    assert leaks.forwarded() > 0


@WORDS
@pytest.mark.parametrize("name", ["github.com", "www.debian.org"])
def test_some_names_go_direct(world, daemon, family, words, name):
    port, say = FIRST_WORDS[words]
    leaks = LeakObserver(world.net)
    with Flow(world, (world.net.address(family), port), say(name)) as flow:
        assert flow.peer == world.client.address(family)
        assert flow.chosen(daemon) == (TO_DIRECT, "direct")
    assert leaks.forwarded() == 0  # relayed: the name came first


def test_quic_is_told_to_use_tcp(world, daemon, family, resources):
    server = resources.enter_context(world.net.udp(family, 443))
    server.settimeout(0)
    client = resources.enter_context(world.client.udp(family))
    client.connect((world.net.address(family), 443))
    client.send(initials("www.example")[0])
    with pytest.raises(ConnectionRefusedError):
        client.recv(100)
    with pytest.raises(BlockingIOError):
        server.recv(100)


def test_other_datagrams_go_through_the_group(world, daemon, family, resources):
    server = resources.enter_context(world.net.udp(family, 443))
    client = resources.enter_context(world.client.udp(family))
    client.connect((world.net.address(family), 443))
    client.send(b"no quic at all")
    question, peer = server.recvfrom(100)
    assert question == b"no quic at all"
    assert peer[0] in world.exits(family).values()
    server.sendto(b"answer", peer)
    assert client.recv(100) == b"answer"


def test_one_client_sends_no_mail(world, daemon, resources):
    """Dropped, and recorded, although of others one in a hundred is."""
    to = (world.net.v4, 25)
    listener = resources.enter_context(world.net.listen("v4", 25))
    listener.settimeout(0)
    client = resources.enter_context(world.client.new_socket("v4", socket.SOCK_STREAM))
    client.bind((OUTCAST, 0))
    own = endpoint(*client.getsockname()[:2])
    client.connect(to)
    ended = daemon.wait_ended(client=own)
    assert (ended["rule"], ended["upstream"], ended["end"]) == (
        *(TO_DROP, "drop", "dropped"),
    )
    daemon.wait_log(rf"flow tcp client={re.escape(own)} .* end=dropped")
    assert end_of(client) == "rst"  # it was accepted to see its first words
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()
    with Flow(world, to, b"EHLO") as flow:  # others do
        assert flow.chosen(daemon)[0] == TO_WORLD


@pytest.mark.parametrize("name", ["www.example.org", "", "debian.org", "intra.example"])
def test_everything_else_goes_through_the_group(world, daemon, family, name):
    leaks = LeakObserver(world.net)
    text = client_hello(name)
    with Flow(world, (world.net.address(family), 443), text) as flow:
        rule, member = flow.chosen(daemon)
        assert rule == TO_WORLD
        assert flow.peer == world.exits(family)[member]
    assert leaks.forwarded() == 0


# --- the gateway's own --------------------------------------------------------

TALK = 'exec 3<>"/dev/tcp/$0/443"; printf hello >&3; read -r _ <&3'


def test_the_gateways_own_traffic_goes_through_the_group(world, daemon, family):
    with Flow(world, (world.net.address(family), 443), b"hello", world.lab.gw) as flow:
        assert flow.peer in world.exits(family).values()
        assert flow.chosen(daemon)[0] == TO_WORLD


@pytest.mark.parametrize("user", ["waylay", "_apt"])
def test_some_users_are_left_alone(world, daemon, family, user):
    uid = str(USERS[user])
    own = {"v4": "198.18.7.1", "v6": "2001:db8:7::1"}[family]
    with world.net.listen(family, 443) as listener:
        program = world.lab.gw.start(
            *("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"),
            *("bash", "-c", TALK, world.net.address(family)),
        )
        server, peer = listener.accept()
        server.close()
        end_process(program)
    assert peer[0] == own
    assert endpoint(*peer[:2]) not in [f["client"] for f in daemon.flows()]


# --- what the operator sees ---------------------------------------------------

EXPLAINED = [
    ("198.18.9.10", "8.8.8.8:53", "udp", "", TO_DNS, "dns"),
    ("198.18.9.10", "198.18.7.10:443", "tcp", "ads.example", TO_ADS, "reject"),
    ("198.18.9.10", "198.18.7.10:443", "tcp", "corp.example", TO_CORP, "corp"),
    ("198.18.9.10", "198.18.7.10:443", "tcp", "github.com", TO_DIRECT, "direct"),
    ("198.18.9.10", "198.18.7.10:443", "udp", "www.example", NO_QUIC, "reject"),
    (OUTCAST, "198.18.7.10:25", "tcp", "", TO_DROP, "drop"),
    ("198.18.9.10", "198.18.7.10:22", "tcp", "", TO_WORLD, "world"),
    ("2001:db8:9::10", "[2001:db8:7::10]:443", "tcp", "", TO_WORLD, "world"),
]


@pytest.mark.parametrize("row", EXPLAINED, ids=[f"{r[4]}-{r[5]}" for r in EXPLAINED])
def test_explain_says_the_same(daemon, row):
    src, dst, proto, name, rule, chosen = row
    more = ("--name", name) if name else ()
    answer = daemon.ask("explain", proto, src, dst, *more, "--from", "br-lan")
    assert answer["rules"][-1]["rule"] == rule
    assert answer["upstream"]["name"] == chosen
    lines = EXAMPLE.read_text().splitlines()
    written = lines[answer["rules"][-1]["line"] - 1].split("#")[0].split()
    assert written[-2:] == ["drop", "log"] if chosen == "drop" else [chosen]


def test_explain_in_words(daemon):
    done = daemon.tool("explain", "tcp", "198.18.9.10", "198.18.7.10:443")
    assert done.returncode == waylay.EXIT_OK
    for words in ("intercept  lan (line 5)", "gives it to the relay", "perhaps"):
        assert words in done.stdout, done.stdout
    assert "world: least-latency of fra1, ams1; fallback reject" in done.stdout


def test_upstreams_as_a_table(world, daemon):
    """A member is up when two checks have succeeded, ten seconds apart."""
    wait_health(daemon, fra1="up", ams1="up")
    rows = {
        line.split()[0]: line
        for line in daemon.tool("upstream").stdout.splitlines()
    }
    assert set(rows) == {"NAME", "world", "fra1", "ams1", "corp", "dns", "direct"}
    assert re.search(r"group, least-latency, else reject +2/2", rows["world"])
    assert re.search(r"socks5 198\.51\.100\.10:1080 +up +enabled", rows["fra1"])
    assert re.search(r"socks5 \[2001:db8::10\]:1080 +up +enabled", rows["ams1"])
    assert "http-connect proxy.corp.example:3128" in rows["corp"]
    assert "direct 9.9.9.9:53" in rows["dns"]
    assert upstream(daemon, "corp")["addresses"] == [f"{world.lab.srv.v4}:3128"]


def test_flows_as_a_table(world, daemon, family):
    text = client_hello("corp.example")
    with Flow(world, (world.net.address(family), 443), text) as flow:
        record = flow.record(daemon)
        shown = daemon.tool("flows").stdout
    row = next(line for line in shown.splitlines() if flow.own in line)
    assert row.split()[2] == "corp.example:443"
    assert "corp" in row.split() and "relaying" in row.split()
    assert (record["intercept"], record["name_from"]) == ("lan", "tls")


def test_T22_no_secret_is_shown(daemon):
    said = [daemon.log]
    for words in (("status",), ("flows",), ("upstream",), ("config", "show")):
        for more in ((), ("--json",)):
            done = daemon.tool(*more, *words)
            said += [done.stdout, done.stderr]
    assert not [text for text in said if proxies.PASSWORD in text or "a token" in text]


# --- the group, when members are gone; the last, since nobody comes back soon -


def test_F41_one_member_is_enough(world, daemon, family):
    leaks = LeakObserver(world.net)
    to = (world.net.address(family), 8443)
    world.start("ams1")
    world.stop("fra1")
    for _ in range(3):
        with Flow(world, to, b"hello") as flow:
            assert flow.chosen(daemon) == (TO_WORLD, "ams1")
            assert flow.peer == world.lab.srv2.address(family)
    assert leaks.forwarded() == 0


def test_F41_without_members_nothing_leaves(world, daemon, family):
    """But what goes direct by its name."""
    world.stop("fra1")
    world.stop("ams1")
    leaks = LeakObserver(world.net)
    to = (world.net.address(family), 8443)
    with world.net.listen(family, 8443) as listener:
        listener.settimeout(0)
        assert connection_outcome(lambda: world.client.connect(to)) == "rst"
        with pytest.raises(BlockingIOError):
            listener.accept()
    with Flow(world, to, client_hello("github.com")) as flow:
        assert flow.peer == world.client.address(family)
    assert leaks.forwarded() == 0
