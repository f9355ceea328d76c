# SPDX-License-Identifier: Apache-2.0
"""Small BPF programs for the proofs, and the ways to intercept.

    toolbox.start(host, "steer", "set port 80", "ingress lan0 mark")

compiles steer.bpf.c once a session, starts load.c's program in the namespace
of `host` and returns it as Programs: globals are read by name, and all links
end with close().  Sockets go into a SOCKMAP: sockets={"listeners": {0: s}}.

Interception is what the proofs compare: the same listener, rule and route,
with one of ENGINES in front.  `assign` gives packets to the listener at TC;
`hybrid` marks them there, and sk_lookup names the listener; nft and the two
iptables use the kernel's TPROXY.  Next: conftest.py, steer.bpf.c, load.c.
"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from namespace import Namespace
from probe import transparent_socket

HERE = Path(__file__).parent
KERNEL_BTF = Path("/sys/kernel/btf/vmlinux")

MARK = 0x10
TABLE = 100
ANY_ADDRESS = {"v4": "0.0.0.0/0", "v6": "::/0"}
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
IP = {"v4": ("ip", "-4"), "v6": ("ip", "-6")}
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def missing() -> str:
    """Why nothing here can run; "" if it can."""
    for command in ("clang", "cc"):
        if not shutil.which(command):
            return f"no {command}"
    if not KERNEL_BTF.exists():
        return f"no {KERNEL_BTF}"
    include = ("-include", "bpf/libbpf.h", "-x", "c", os.devnull)
    test = subprocess.run(["cc", "-E", *include], capture_output=True)
    return "no libbpf headers (libbpf-dev)" if test.returncode else ""


class Toolbox:
    """The compiled loader and programs of one session."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._loader = directory / "load"
        command = ("cc", "-std=gnu17", "-O1", "-Wall", "-Werror")
        run(*command, HERE / "load.c", "-o", self._loader, "-lbpf")

    def object(self, name: str) -> Path:
        compiled = self._directory / f"{name}.o"
        if not compiled.exists():
            command = ("clang", "-target", "bpf", "-O2", "-g", "-Wall", "-Werror")
            include = f"-I/usr/include/{os.uname().machine}-linux-gnu"
            run(*command, include, "-c", HERE / f"{name}.bpf.c", "-o", compiled)
        return compiled

    def start(self, host: Namespace, name: str, *steps: str, sockets=None):
        return Programs(host, [self._loader, self.object(name)], steps, sockets or {})


class Programs:
    """Attached as long as it is open."""

    def __init__(self, host, command, steps: Sequence[str], sockets: dict):
        words = [word for step in steps for word in step.split()]
        descriptors = []
        for name, members in sockets.items():
            for index, member in members.items():
                words += ["socket", f"{name}:{index}", str(member.fileno())]
                descriptors.append(member.fileno())
        pipe = subprocess.PIPE
        self._process = host.start(
            *(*map(str, command), *words),
            **{"stdin": pipe, "stdout": pipe, "pass_fds": descriptors},
        )
        answer = self._process.stdout.readline()
        assert answer == "ready\n", "load: see its stderr"

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """By the end of stdin, so that it can detach what it has to."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def __getitem__(self, variable: str) -> int:
        """The present value of a global variable."""
        self._process.stdin.write(f"{variable}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def counter(host: Namespace, name: str) -> int:
    """One that the kernel keeps, by its nstat name: TcpExtSyncookiesRecv."""
    return int(host.run("nstat", "-asz", name).stdout.split()[-2])


def run(*command: object) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- interception ------------------------------------------------------------------

ENGINES = ("assign", "hybrid", "nft", "xt_nft", "xt_legacy")
ATTACH = {
    "assign": ("ingress {ifname} assign",),
    "hybrid": ("ingress {ifname} mark", "lookup - choose"),
    # K2; not among ENGINES, since they take UDP only
    "fragments_assign": ("ingress {ifname} mark_fragments", "set with_assign 1"),
    "fragments_hybrid": ("ingress {ifname} mark_fragments", "lookup - choose"),
}
XT_COMMANDS = {
    "xt_nft": {"v4": "iptables-nft", "v6": "ip6tables-nft"},
    "xt_legacy": {"v4": "iptables-legacy", "v6": "ip6tables-legacy"},
}
XT_RULE = (
    "-t mangle -A PREROUTING -i {ifname} -p {protocol} --dport {port} -j TPROXY "
    "--on-ip {on} --on-port {on_port} --tproxy-mark {mark:#x}/{mark:#x}"
)
NFT_RULES = """
table inet proof {{
    chain prerouting {{
        type filter hook prerouting priority mangle;
        iifname {ifname} meta nfproto {nfproto} {protocol} dport {port} \\
            tproxy {ip} to {on}:{on_port} meta mark set meta mark | {mark:#x} accept
    }}
}}
"""


def missing_engine(host: Namespace, engine: str, family: str) -> str:
    """Why the kernel or the machine has not got it; "" if it has."""
    if engine not in XT_COMMANDS:
        return ""
    command = XT_COMMANDS[engine][family]
    if not shutil.which(command):
        return f"no {command}"
    rule = ("PREROUTING", "-p", "tcp", "-j", "TPROXY", "--on-port", "1")
    done = host.run(command, "-t", "mangle", "-A", *rule, check=False)
    if done.returncode:
        return f"{command}: {done.stderr.strip()}"
    host.run(command, "-t", "mangle", "-D", *rule)
    return ""


class Interception:
    """`port` on `ifname` of `host` goes to a transparent listener on loopback.

    `steps` are further ones for the programs of assign and hybrid.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        host: Namespace,
        engine: str,
        family: str,
        *steps: str,
        protocol: str = "tcp",
        port: int = 80,
        ifname: str = "lan0",
    ):
        self.host, self.engine, self.family = host, engine, family
        self._toolbox = toolbox
        self.protocol, self.port, self.ifname = protocol, port, ifname
        self.programs: Programs | None = None
        self._stack = contextlib.ExitStack()
        with self._stack:
            self.listener = self._stack.enter_context(self._listen())
            self._stack.enter_context(routed_locally(host, family))
            self._start(steps)
            self._stack = self._stack.pop_all()

    def __enter__(self) -> "Interception":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _listen(self) -> socket.socket:
        with self.host.inside():
            at = (LOOPBACK[self.family], 0)
            listener = transparent_socket(at, KINDS[self.protocol])
        listener.settimeout(5)
        if self.protocol == "tcp":
            listener.listen(64)
        return listener

    def _start(self, steps: Sequence[str]) -> None:
        if self.engine == "nft":
            self.host.nft(self._fill(NFT_RULES))
            self._stack.callback(self.host.nft, "delete table inet proof")
        elif self.engine in XT_COMMANDS:
            command = XT_COMMANDS[self.engine][self.family]
            words = self._fill(XT_RULE).split()
            self.host.run(command, *words)
            words[words.index("-A")] = "-D"
            self._stack.callback(self.host.run, command, *words)
        else:
            self.programs = self._stack.enter_context(self._start_programs(steps))

    def _start_programs(self, steps: Sequence[str]) -> Programs:
        values = [f"set port {self.port}", f"set mark_value {MARK}"]
        attach = [step.format(ifname=self.ifname) for step in ATTACH[self.engine]]
        index = 2 * (self.protocol == "udp") + (self.family == "v6")
        return self._toolbox.start(
            *(self.host, "steer", *values, *attach, *steps),
            sockets={"listeners": {index: self.listener}},
        )

    def _fill(self, text: str) -> str:
        on, on_port = self.listener.getsockname()[:2]
        is_v6 = self.family == "v6"
        return text.format(
            on=f"[{on}]" if is_v6 and self.engine == "nft" else on,
            on_port=on_port,
            ip="ip6" if is_v6 else "ip",
            nfproto="ipv6" if is_v6 else "ipv4",
            ifname=self.ifname,
            protocol=self.protocol,
            port=self.port,
            mark=MARK,
        )


def rule_words(action: str) -> list[str]:
    return ["rule", action, "fwmark", f"{MARK}/{MARK}", "lookup", str(TABLE)]


def route_words(action: str, family: str) -> list[str]:
    where = ["dev", "lo", "table", str(TABLE)]
    return ["route", action, "local", ANY_ADDRESS[family], *where]


@contextlib.contextmanager
def routed_locally(host: Namespace, family: str) -> Iterator[None]:
    """Marked packets are delivered here; a test may remove either half."""
    host.run(*IP[family], *rule_words("add"))
    host.run(*IP[family], *route_words("add", family))
    try:
        yield
    finally:
        host.run(*IP[family], *route_words("del", family), check=False)
        host.run(*IP[family], *rule_words("del"), check=False)
