# SPDX-License-Identifier: Apache-2.0
"""Gateways that send what they take to one SOCKS5 server, side by side.

    client ── router: waylay | redsocks | v2ray ── server: socks_server, and what
                                                   the client wanted

All of them speak to the same small server (socks_server.c), started afresh with
each.  redsocks gets its connections by REDIRECT, which is how it is meant to be
used, and takes no UDP by SOCKS5; v2ray gets both by TPROXY.  Both are of Debian.

The modes `names` and `no-names` are waylay without any proxy: one waits for the
name in the first bytes, the other does not.
"""

import contextlib
import json
import pathlib
import shutil

from modes import Mode, Running, WITH_BPFFS, waylayd_path
from process import Child, clean_environment, is_listening

SOCKS_PORT = 900  # below the clients' ports, as HAProxy's
PROXY_PORT = 901
OWN_MARK = 255
TAKEN_MARK = 1
TABLE = 100
READY_S = 20
MEASURES = ("via-bulk", "via-conns", "via-latency", "via-udp")

WAYLAY_CONF = """\
engine ebpf
cut-through {cut}
on-failure open
log {{ flows off }}
intercept bench {{ from lan; tcp any; udp any }}
{upstreams}
rules {{
{rules}
}}
"""

NFT_NAT = f"""\
table inet bench {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        iifname "lan" meta l4proto tcp redirect to :{PROXY_PORT}
    }}
}}
"""

NFT_TPROXY = f"""\
table inet bench {{
    chain prerouting {{
        type filter hook prerouting priority mangle;
        meta l4proto tcp socket transparent 1 meta mark set {TAKEN_MARK} accept
        iifname "lan" meta l4proto {{ tcp, udp }} tproxy to :{PROXY_PORT} \
meta mark set {TAKEN_MARK} accept
    }}
}}
"""

REDSOCKS_CONF = """\
base {{
    log_debug = off; log_info = off; log = "stderr"; daemon = off;
    redirector = iptables;
}}
redsocks {{
    local_ip = 0.0.0.0; local_port = {port}; listenq = 4096;
    ip = {server}; port = {socks}; type = socks5;
}}
"""


class Socks(Mode):
    """A mode with a SOCKS5 server behind it."""

    measures = MEASURES

    @contextlib.contextmanager
    def running(self, topology, directory):
        programs = pathlib.Path(directory)
        command = topology.inside("server", programs / "socks_server",
                                  topology.server, SOCKS_PORT)
        with Child(command, directory) as socks:
            socks.wait_ready()
            with self.gateway(topology, directory) as running:
                yield running
            socks.check_alive()

    def gateway(self, topology, directory):
        """A context that gives a Running."""
        raise NotImplementedError


def waylayd(topology, directory, text):
    conf = pathlib.Path(directory) / "waylay.conf"
    conf.write_text(text, encoding="ascii")
    command = topology.inside("router", *WITH_BPFFS, waylayd_path(), "--config", conf,
                              "--run-dir", pathlib.Path(directory) / "run")
    return Child(command, directory, clean_environment())


def _socks_address(topology):
    host = f"[{topology.server}]" if topology.has_v6 else topology.server
    return f"{host}:{SOCKS_PORT}"


class WaylaySocks(Socks):
    """waylay, engine ebpf, everything through the SOCKS5 server."""

    def __init__(self, name="socks-waylay", title="waylay", pipeline="off", cut="off"):
        self.name = name
        self.title = title
        self._pipeline = pipeline
        self._cut = cut

    @contextlib.contextmanager
    def gateway(self, topology, directory):
        upstream = (f"upstream far {{ via socks5 {_socks_address(topology)}; udp on; "
                    f"pipeline {self._pipeline} }}")
        text = WAYLAY_CONF.format(upstreams=upstream, rules="    default -> far",
                                  cut=self._cut)
        with waylayd(topology, directory, text) as daemon:
            daemon.wait_ready("ready: ", READY_S)
            yield Running(daemon.pid)
            daemon.check_alive()


class Names(Mode):
    """waylay without a proxy: must it learn the name first?"""

    measures = ("first-byte",)

    def __init__(self, has_names):
        self.name = "names" if has_names else "no-names"
        self.title = "waylay, names" if has_names else "waylay, no names"
        self._rules = ("    domain www.example.org -> reject\n" if has_names else
                       "") + "    default -> out"

    @contextlib.contextmanager
    def running(self, topology, directory):
        text = WAYLAY_CONF.format(upstreams="upstream out { via direct }",
                                  rules=self._rules, cut="off")
        with waylayd(topology, directory, text) as daemon:
            daemon.wait_ready("ready: ", READY_S)
            yield Running(daemon.pid)
            daemon.check_alive()


class Peer(Socks):
    """A program of Debian's, with rules that bring it its traffic."""

    program = ""
    rules = ""

    def missing(self):
        return None if shutil.which(self.program) else f"no program {self.program}"

    def command(self, topology, directory):
        """What to run, its files written."""
        raise NotImplementedError

    @contextlib.contextmanager
    def gateway(self, topology, directory):
        command = topology.inside("router", *self.command(topology, directory))
        with self.rules_loaded(topology, directory), Child(command, directory) as peer:
            peer.wait_for(lambda: is_listening(peer.pid, PROXY_PORT),
                          f"the listener of {self.program}")
            yield Running(peer.pid)
            peer.check_alive()

    @contextlib.contextmanager
    def rules_loaded(self, topology, directory):
        file = pathlib.Path(directory) / "bench.nft"
        file.write_text(self.rules, encoding="ascii")
        with contextlib.ExitStack() as undo:
            topology.run_in("router", "nft", "-f", file)
            undo.callback(topology.run_in, "router", "nft", "delete", "table",
                          "inet", "bench")
            for what in (("rule", "fwmark", TAKEN_MARK, "lookup", TABLE),
                         ("route", "local", "default", "dev", "lo", "table", TABLE)):
                ip = ("ip", "-6" if topology.has_v6 else "-4", what[0])
                topology.run_in("router", *ip, "add", *what[1:])
                undo.callback(topology.run_in, "router", *ip, "del", *what[1:])
            yield


class Redsocks(Peer):
    name = "redsocks"
    title = "redsocks"
    program = "redsocks"
    rules = NFT_NAT
    has_udp = False

    def command(self, topology, directory):
        conf = pathlib.Path(directory) / "redsocks.conf"
        conf.write_text(REDSOCKS_CONF.format(
            port=PROXY_PORT, server=topology.server, socks=SOCKS_PORT),
            encoding="ascii")
        return "redsocks", "-c", conf


class V2ray(Peer):
    name = "v2ray"
    title = "v2ray"
    program = "v2ray"
    rules = NFT_TPROXY

    def command(self, topology, directory):
        conf = pathlib.Path(directory) / "v2ray.json"
        conf.write_text(json.dumps({
            "log": {"loglevel": "none"},
            "inbounds": [{
                "port": PROXY_PORT,
                "protocol": "dokodemo-door",
                "settings": {"network": "tcp,udp", "followRedirect": True},
                "streamSettings": {"sockopt": {"tproxy": "tproxy"}},
            }],
            "outbounds": [{
                "protocol": "socks",
                "settings": {"servers": [
                    {"address": topology.server, "port": SOCKS_PORT}]},
                "streamSettings": {"sockopt": {"mark": OWN_MARK}},
            }],
        }), encoding="ascii")
        return "v2ray", "-config", conf


MODES = (
    WaylaySocks(),
    WaylaySocks("socks-piped", "waylay, pipelined", pipeline="on"),
    WaylaySocks("socks-cut", "waylay, cut-through", cut="on"),
    Redsocks(),
    V2ray(),
    Names(True),
    Names(False),
)
