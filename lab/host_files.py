# SPDX-License-Identifier: Apache-2.0
"""A directory that one program sees in place of /etc.

`ip netns exec` gives each program mounts of its own, so a wrapper can put
this directory over /etc without anybody else noticing.  Files may be written
while the program runs; it sees them change as it would in the real place.
"""

import shutil
import tempfile
from pathlib import Path

MODE_SECRET = 0o600
COVER = 'mount --bind "$0" /etc && exec "$@"'

# Those that waylayd asks for by name, with numbers of Debian.
USERS = {"root": 0, "_apt": 42, "waylay": 990}


class Etc:
    """Use as a context manager; `directory` is its place outside."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="waylay-lab-")
        self.directory = Path(self._temporary.name)
        self.directory.chmod(0o755)
        rows = [f"{n}:x:{u}:{u}::/:/bin/false\n" for n, u in USERS.items()]
        groups = [f"{n}:x:{u}:\n" for n, u in USERS.items()]
        self.write("passwd", "".join(rows))
        self.write("group", "".join(groups))
        self.write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        self.write("hosts", "127.0.0.1 localhost\n")
        self.write("resolv.conf", "")
        alternatives = self.directory / "alternatives"  # which iptables it is
        shutil.copytree("/etc/alternatives", alternatives, symlinks=True)

    def __enter__(self) -> "Etc":
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    @property
    def wrapper(self) -> tuple[str, ...]:
        return ("sh", "-c", COVER, str(self.directory))

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Replaced at once, as editors and resolvconf do."""
        file = self.directory / name
        file.parent.mkdir(exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_text(text)
        new.chmod(mode)
        new.rename(file)

    def write_secret(self, name: str, text: str) -> None:
        self.write(name, text, MODE_SECRET)

    def resolve_by(self, *addresses: str) -> None:
        lines = [f"nameserver {address}\n" for address in addresses]
        self.write("resolv.conf", "".join(lines))
