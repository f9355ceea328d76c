# SPDX-License-Identifier: Apache-2.0
"""Real proxies from Debian, each in a namespace, ready when its start returns.

    Danted, Microsocks, SshTunnel, Shadowsocks     SOCKS5
    Squid, Tinyproxy                               HTTP CONNECT
    HAProxyReceiver, NginxReceiver                 read a PROXY header

They listen on every address of their namespace, IPv4 and IPv6, at `port`.  With
a `user` those that can ask for a password.  Files lie in a directory that ends
with the proxy; danted, whose users are the system's, gets mounts of its own.
Read next: test_upstream.py; printed.py, those of `waylay config example`.
"""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

from namespace import Namespace
from wait import wait_for

USER, PASSWORD = "alice", "s3cret-of-alice"


class Proxy:
    """One program; stop() and cont() freeze it, close() ends it."""

    via = "socks5"
    port = 1080
    has_udp = False
    has_v6 = True
    listed = "-Hltn"  # among these sockets of ss

    def __init__(self, host: Namespace, user: str = "", port: int = 0):
        self.host = host
        self.user = user
        self.port = port or self.port
        self._temporary = tempfile.TemporaryDirectory(prefix="waylay-lab-")
        self.directory = Path(self._temporary.name)
        self.directory.chmod(0o777)  # squid is no longer root when it writes
        self.log_file = self.directory / "log"
        self._processes: list[subprocess.Popen] = []
        self._log = self.log_file.open("w")
        self.begin()
        wait_for(f"{type(self).__name__} listens", self._is_listening, 20)

    # --- life ------------------------------------------------------------------

    def begin(self) -> None:
        raise NotImplementedError

    def start(self, *command: str) -> None:
        """One of its programs, with its output in the log."""
        process = self.host.start(
            *command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        self._processes.append(process)

    def _is_listening(self) -> bool:
        for process in self._processes:
            assert process.poll() is None, f"it ended:\n{self.log_file.read_text()}"
        return f":{self.port} " in self.host.run("ss", self.listed).stdout

    def close(self) -> None:
        for process in reversed(self._processes):
            for pid in [*children(process.pid), process.pid]:
                kill(pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()
        self._log.close()
        self._temporary.cleanup()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self._processes:
            for pid in [process.pid, *children(process.pid)]:
                kill(pid, number)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    # --- as an upstream ----------------------------------------------------------

    def at(self, family: str) -> str:
        address = self.host.address(family)
        return f"[{address}]:{self.port}" if family == "v6" else f"{address}:{self.port}"

    def write(self, name: str, text: str) -> str:
        file = self.directory / name
        file.write_text(text)
        return str(file)


def children(pid: int) -> list[int]:
    """All below a process, by procfs."""
    found = []
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        near = [int(word) for word in tasks.read_text().split()]
    except FileNotFoundError:
        return []
    for child in near:
        found += [*children(child), child]
    return found


def kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended by itself


# --- SOCKS5 ---------------------------------------------------------------------

DANTED = """
logoutput: stderr
internal: 0.0.0.0 port = {port}
internal: :: port = {port}
external: eth0
clientmethod: none
socksmethod: {method}
user.privileged: root
user.unprivileged: root
client pass {{ from: 0/0 to: 0/0 }}
socks block {{ from: 0/0 to: 0/0 port = 9 }}
socks pass {{ from: 0/0 to: 0/0 protocol: tcp udp }}
"""

# Its users are the system's: those of its own mounts.
WITH_USER = (
    'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/shadow && '
    'shift 2 && exec "$@"'
)


class Danted(Proxy):
    has_udp = True

    def begin(self) -> None:
        method = "username" if self.user else "none"
        file = self.write("conf", DANTED.format(port=self.port, method=method))
        command = ["danted", "-f", file, "-p", str(self.directory / "pid"), "-N", "1"]
        if self.user:
            command = [*self._with_user(), *command]
        self.start(*command)

    def _with_user(self) -> list[str]:
        crypt = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True
        ).stdout.strip()
        passwd = Path("/etc/passwd").read_text() + f"{self.user}:x:7777:7777::/:/bin/false\n"
        shadow = Path("/etc/shadow").read_text() + f"{self.user}:{crypt}:19000:0:99999:7:::\n"
        files = self.write("passwd", passwd), self.write("shadow", shadow)
        return ["sh", "-c", WITH_USER, "sh", *files]


class Microsocks(Proxy):
    def begin(self) -> None:
        user = ("-u", self.user, "-P", PASSWORD) if self.user else ()
        self.start("microsocks", "-i", "::", "-p", str(self.port), *user)


SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {key}
AuthorizedKeysFile {key}.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
"""


class SshTunnel(Proxy):
    """`ssh -D` to a server on the same host."""

    def begin(self) -> None:
        key = str(self.directory / "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        file = self.write("conf", SSHD.format(port=self.port + 1, key=key))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.start("/usr/sbin/sshd", "-D", "-e", "-f", file)
        wait_for("sshd listens", self._has_server)
        known = str(self.directory / "known")
        self.start(
            *("ssh", "-N", "-F", "none", "-i", key, "-p", str(self.port + 1)),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={known}"),
            *("-D", f"*:{self.port}", "root@127.0.0.1"),
        )

    def _has_server(self) -> bool:
        return f":{self.port + 1} " in self.host.run("ss", "-Hltn").stdout


class Shadowsocks(Proxy):
    """ss-local, with its ss-server on the same host."""

    has_udp = True

    def begin(self) -> None:
        secret = ("-k", "between-the-two", "-m", "aes-256-gcm", "-u")
        far = str(self.port + 1)
        self.start("ss-server", "-s", "127.0.0.1", "-p", far, *secret)
        for at in (self.host.v4, self.host.v6):  # datagrams of one family each
            self.start(
                *("ss-local", "-s", "127.0.0.1", "-p", far, *secret),
                *("-b", at, "-l", str(self.port)),
            )


# --- HTTP CONNECT -----------------------------------------------------------------

# All of it in one directory, and an end without delay.
SQUID_PLACES = """
pid_filename none
cache deny all
access_log stdio:{directory}/access.log
cache_log {directory}/cache.log
coredump_dir {directory}
visible_hostname squid.lab
shutdown_lifetime 0
"""

SQUID = """
http_port {port}
acl refused port 9
http_access deny refused
{access}
http_access deny all
"""

SQUID_AUTH = """
auth_param basic program /usr/lib/squid/basic_ncsa_auth {passwords}
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow known
"""


class Squid(Proxy):
    via = "http-connect"
    port = 3128

    def begin(self) -> None:
        access = "http_access allow all"
        if self.user:
            crypt = subprocess.run(
                ["openssl", "passwd", "-apr1", PASSWORD],
                capture_output=True,
                text=True,
            ).stdout.strip()
            access = SQUID_AUTH.format(
                passwords=self.write("passwords", f"{self.user}:{crypt}\n")
            )
        text = SQUID_PLACES.format(directory=self.directory)
        text += SQUID.format(port=self.port, access=access)
        self.start("squid", "-N", "-f", self.write("conf", text))


TINYPROXY = """
Port {port}
Listen 0.0.0.0
Listen ::
Timeout 600
LogLevel Info
MaxClients 100
{auth}
"""


class Tinyproxy(Proxy):
    via = "http-connect"
    port = 8888

    def begin(self) -> None:
        auth = f"BasicAuth {self.user} {PASSWORD}" if self.user else ""
        file = self.write("conf", TINYPROXY.format(port=self.port, auth=auth))
        self.start("tinyproxy", "-d", "-c", file)


# --- those that read a PROXY header --------------------------------------------------

HAPROXY = """
defaults
 mode http
 timeout connect 5s
 timeout client 10s
 timeout server 10s
listen web
 bind :::{port} v4v6 accept-proxy
 http-request return status 200 content-type text/plain lf-string "client %ci:%cp server %[dst]:%[dst_port]\\n"
"""


class HAProxyReceiver(Proxy):
    """Answers a request with the addresses that the header said."""

    via = "proxy-protocol-v2"
    port = 8085
    question = b"GET / HTTP/1.0\r\n\r\n"

    def begin(self) -> None:
        file = self.write("conf", HAPROXY.format(port=self.port))
        self.start("haproxy", "-db", "-q", "-f", file)


NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; pid {directory}/pid; error_log stderr info;
events {{ worker_connections 256; }}
stream {{
    server {{
        listen {port} proxy_protocol; listen [::]:{port} proxy_protocol ipv6only=on;
        return "client $proxy_protocol_addr:$proxy_protocol_port server $proxy_protocol_server_addr:$proxy_protocol_server_port\\n";
    }}
}}
"""


class NginxReceiver(Proxy):
    """Says at once which addresses the header said."""

    via = "proxy-protocol-v1"
    port = 8086
    question = b""

    def begin(self) -> None:
        text = NGINX.format(port=self.port, directory=self.directory)
        file = self.write("conf", text)
        self.start("nginx", "-p", str(self.directory), "-c", file)


SOCKS = (Danted, Microsocks, SshTunnel, Shadowsocks)
CONNECT = (Squid, Tinyproxy)
ASKING = (Danted, Microsocks, Squid, Tinyproxy)  # for a user, if told to
RECEIVERS = (HAProxyReceiver, NginxReceiver)
