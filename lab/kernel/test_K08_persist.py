# SPDX-License-Identifier: Apache-2.0
"""K8, the other half: `flags owner, persist`, which nft 1.0.6 cannot say.

    owner ── netlink socket, closed or killed ──► orphan ── same flags ──► next owner

The kernel has it (from 6.9), so the table is made here by netlink.  It stays
with its contents when the owner ends, and is then free for all: a foreign
delete, change or `flush ruleset` succeeds.  A next owner adopts it by creating
it with exactly the same flags, and foreign changes are EPERM again; other
flags are EOPNOTSUPP.  Two traps with nft 1.0.6 and an orphan: its listing says
`flags` and nothing more, which nft cannot read back; and the usual atomic
replacement, `table inet kept` first, is EOPNOTSUPP, while `delete table` works.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from namespace import Namespace

NETLINK_NETFILTER, SUBSYSTEM_NFTABLES = 12, 10
BATCH_BEGIN, BATCH_END = 16, 17
NEW_TABLE, DELETE_TABLE, NEW_CHAIN = (
    SUBSYSTEM_NFTABLES << 8 | number for number in (0, 2, 3)
)
REQUEST, ACK, CREATE = 1, 4, 0x400
TABLE_NAME, TABLE_FLAGS, CHAIN_NAME = 1, 2, 3  # attributes; 1 is a chain's table
OWNER, PERSIST = 2, 4
FAMILY_INET = 1


def attribute(number: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return struct.pack("=HH", length, number) + data + bytes(-length % 4)


def message(kind: int, flags: int, family: int, resource: int, body: bytes) -> bytes:
    head = struct.pack("=IHHII", 20 + len(body), kind, flags, 1, 0)
    return head + struct.pack("!BBH", family, 0, resource) + body


class Owner:
    """One netlink socket, which is what the kernel takes for an owner."""

    def __init__(self, host: Namespace):
        with host.inside():
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER
            )
        self._socket.settimeout(5)

    def close(self) -> None:
        self._socket.close()

    def make_table(self, flags: int) -> int:
        number = struct.pack("!I", flags)
        return self._change(NEW_TABLE, attribute(TABLE_FLAGS, number))

    def make_chain(self) -> int:
        return self._change(NEW_CHAIN, attribute(CHAIN_NAME, b"mine\0"))

    def delete_table(self) -> int:
        return self._change(DELETE_TABLE, b"")

    def _change(self, kind: int, more: bytes) -> int:
        """A batch of one message; 0 or the errno."""
        begin, end = (
            message(edge, REQUEST, 0, SUBSYSTEM_NFTABLES, b"")
            for edge in (BATCH_BEGIN, BATCH_END)
        )
        flags = REQUEST | ACK | (0 if kind == DELETE_TABLE else CREATE)
        body = attribute(TABLE_NAME, b"kept\0") + more
        self._socket.send(begin + message(kind, flags, FAMILY_INET, 0, body) + end)
        (number,) = struct.unpack_from("=i", self._socket.recv(4096), 16)
        return -number


@pytest.fixture
def host(lab) -> Iterator[Namespace]:
    yield lab.gw
    lab.gw.nft("flush ruleset")


@pytest.fixture
def owner(host) -> Iterator[Owner]:
    """Of a table with a chain in it."""
    owner = Owner(host)
    number = owner.make_table(OWNER | PERSIST)
    if number in (errno.EINVAL, errno.EOPNOTSUPP):
        pytest.skip(f"this kernel has no persist: {os.strerror(number)}")
    assert number == 0
    assert owner.make_chain() == 0
    yield owner
    owner.close()


@pytest.fixture
def other(host) -> Iterator[Owner]:
    other = Owner(host)
    yield other
    other.close()


@pytest.fixture
def orphan(owner) -> None:
    owner.close()


def listing(host: Namespace) -> str:
    return host.run("nft", "list", "ruleset").stdout


def problem(host: Namespace, text: str) -> str:
    return host.run("nft", "-f", "-", input=text, check=False).stderr


def test_an_owned_table_is_protected(host, owner, other):
    assert "not permitted" in problem(host, "delete table inet kept")
    assert "not permitted" in problem(host, "add chain inet kept foreign")
    assert problem(host, "flush ruleset") == ""
    assert other.make_table(OWNER | PERSIST) == errno.EPERM
    assert other.delete_table() == errno.EPERM
    assert "chain mine" in listing(host)


def test_it_stays_with_its_contents(host, owner):
    owner.close()
    assert "chain mine" in listing(host)


def test_without_persist_it_ends(host, other):
    """The twin."""
    assert other.make_table(OWNER) == 0
    assert "kept" in listing(host)
    other.close()
    assert listing(host) == ""


@pytest.mark.parametrize("text", ["delete table inet kept", "flush ruleset"])
def test_an_orphan_is_anybodys(host, orphan, text):
    assert problem(host, "add chain inet kept foreign") == ""
    assert "chain foreign" in listing(host)
    assert problem(host, text) == ""
    assert listing(host) == ""


def test_the_next_owner_adopts_it(host, orphan, other):
    assert other.make_table(OWNER | PERSIST) == 0
    assert "chain mine" in listing(host)
    assert "not permitted" in problem(host, "delete table inet kept")
    other.close()
    assert "chain mine" in listing(host)


@pytest.mark.parametrize("flags", [0, OWNER])
def test_other_flags_do_not_adopt_it(host, orphan, other, flags):
    assert other.make_table(flags) == errno.EOPNOTSUPP
    assert problem(host, "delete table inet kept") == ""


# --- nft 1.0.6 and an orphan --------------------------------------------------


@pytest.fixture
def old_nft(host) -> None:
    version = host.run("nft", "--version").stdout
    if "v1.0.6" not in version:
        pytest.skip(f"the answer is for nft 1.0.6, here is {version.strip()}")


def test_its_listing_cannot_be_read_back(host, orphan, old_nft):
    text = listing(host)
    assert "flags \n" in text
    assert problem(host, "delete table inet kept") == ""
    assert "syntax error" in problem(host, text)


def test_the_usual_replacement_fails(host, orphan, old_nft):
    text = "table inet kept\ndelete table inet kept\ntable inet kept { }"
    assert "not supported" in problem(host, text)
    assert "chain mine" in listing(host)
    assert problem(host, text.partition("\n")[2]) == ""
    assert "chain mine" not in listing(host)
