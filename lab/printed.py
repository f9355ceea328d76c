# SPDX-License-Identifier: Apache-2.0
"""Proxies that run with the text of `waylay config example`, unchanged.

    TransparentSquid, TransparentHAProxy, Redudp   take packets of `deliver`
    Mitmdump                                       SOCKS5, looks into TLS

Read first: proxies.py, which starts and ends them; next: test_handoff.py.
"""

import os
import re
import subprocess
from pathlib import Path

import waylay
from namespace import Namespace
from proxies import SQUID_PLACES, Proxy

TITLE = re.compile(r"^# --- (\S+) ---\n", re.MULTILINE)


def example(name: str) -> tuple[str, str]:
    """Our half and theirs, unchanged."""
    done = subprocess.run(
        [waylay.WAYLAY, "config", "example", name], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    nothing, _, ours, _, theirs = TITLE.split(done.stdout)
    assert nothing == ""
    return ours.removesuffix("\n"), theirs


# What Debian's squid.conf has around the line that includes conf.d.
SQUID_AROUND = """
include {included}
http_access allow localhost
http_access deny all
http_port 3128
"""


class TransparentSquid(Proxy):
    port = 3129

    def begin(self) -> None:
        included = self.write("waylay.conf", example("squid")[1])
        text = SQUID_PLACES.format(directory=self.directory)
        text += SQUID_AROUND.format(included=included)
        self.start("squid", "-N", "-f", self.write("conf", text))

    @property
    def access_log(self) -> str:
        return (self.directory / "access.log").read_text()


class TransparentHAProxy(Proxy):
    port = 3143

    def begin(self) -> None:
        file = self.write("conf", example("haproxy")[1])
        self.start("haproxy", "-db", "-f", file)


class Redudp(Proxy):
    """The UDP part of redsocks: datagrams, IPv4 only."""

    port = 10053
    listed = "-Hlun"

    def begin(self) -> None:
        self.start("redsocks", "-c", self.write("conf", example("redsocks")[1]))


TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
TRUSTING = f'mount --bind "$1" {TRUSTED} && shift && exec "$@"'


class Mitmdump(Proxy):
    """Its user's home is its directory; it trusts servers by `root` only."""

    def __init__(self, host: Namespace, root: str):
        self._root = root
        super().__init__(host)

    def begin(self) -> None:
        script = self.write("run", example("mitmproxy")[1])
        os.chmod(script, 0o755)
        self.start(
            *("env", f"HOME={self.directory}", "PYTHONUNBUFFERED=1"),
            *("sh", "-c", TRUSTING, "sh", self._root, script),
        )

    @property
    def certificate(self) -> Path:
        """What clients have to trust; made a moment after it listens."""
        return self.directory / ".mitmproxy/mitmproxy-ca-cert.pem"

    def _is_listening(self) -> bool:
        is_made = self.certificate.exists() and self.certificate.stat().st_size > 0
        return super()._is_listening() and is_made

    @property
    def log(self) -> str:
        return self.log_file.read_text()
