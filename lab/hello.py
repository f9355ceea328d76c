# SPDX-License-Identifier: Apache-2.0
"""The first bytes of TLS and QUIC clients, with any name in them.

The TLS hello is the one that Python's OpenSSL sends.  QUIC Initials are built
here from RFC 9000 and RFC 9001 (RFC 9369 for version 2), around the same
hello, in one datagram or several, in order or not.
"""

import hashlib
import hmac
import os
import ssl
from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSIONS = {
    1: {
        "number": 1,
        "salt": bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
        "prefix": b"quic ",
        "initial": 0b00,
    },
    2: {
        "number": 0x6B3343CF,
        "salt": bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
        "prefix": b"quicv2 ",
        "initial": 0b01,
    },
}
TAG_BYTES = 16
DATAGRAM_BYTES = 1200


def client_hello(name: str, at_least: int = 0) -> bytes:
    """A TLS record, longer than `at_least` bytes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if at_least:
        context.set_alpn_protocols([f"{i:0>200}" for i in range(at_least // 200 + 1)])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=name or None)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass  # it waits for the server
    hello = outgoing.read()
    assert len(hello) > at_least
    return hello


def split_records(hello: bytes, size: int) -> bytes:
    """The same handshake message in many records."""
    body = hello[5:]
    pieces = (body[i : i + size] for i in range(0, len(body), size))
    return b"".join(hello[:3] + len(p).to_bytes(2, "big") + p for p in pieces)


# --- QUIC --------------------------------------------------------------------


def expand(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label of RFC 8446 section 7.1, one block."""
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()[:length]


class Keys:
    def __init__(self, version: int, dcid: bytes):
        how = VERSIONS[version]
        secret = hmac.new(how["salt"], dcid, hashlib.sha256).digest()
        client = expand(secret, b"client in", 32)
        self.key = expand(client, how["prefix"] + b"key", 16)
        self.iv = expand(client, how["prefix"] + b"iv", 12)
        self.hp = expand(client, how["prefix"] + b"hp", 16)


def varint(value: int) -> bytes:
    if value < 64:
        return bytes([value])
    return (value | 0x4000).to_bytes(2, "big")


def crypto_frame(offset: int, data: bytes) -> bytes:
    return b"\x06" + varint(offset) + varint(len(data)) + data


def initial(
    version: int, dcid: bytes, number: int, frames: bytes, fixed_bit: int = 1
) -> bytes:
    """One packet that fills its datagram."""
    how = VERSIONS[version]
    keys = Keys(version, dcid)
    head = bytes([0b10000001 | fixed_bit << 6 | how["initial"] << 4])
    head += how["number"].to_bytes(4, "big") + bytes([len(dcid)]) + dcid + b"\0\0"
    payload_bytes = DATAGRAM_BYTES - len(head) - 2 - 2 - TAG_BYTES
    frames = frames.ljust(payload_bytes, b"\0")
    head += varint(2 + len(frames) + TAG_BYTES) + number.to_bytes(2, "big")
    nonce = bytes(a ^ b for a, b in zip(keys.iv, number.to_bytes(12, "big")))
    sealed = AESGCM(keys.key).encrypt(nonce, frames, head)
    ecb = Cipher(algorithms.AES(keys.hp), modes.ECB()).encryptor()
    mask = ecb.update(sealed[2:18])  # 4 bytes behind the number's place
    packet = bytearray(head + sealed)
    packet[0] ^= mask[0] & 0x0F
    for i in range(2):
        packet[len(head) - 2 + i] ^= mask[1 + i]
    return bytes(packet)


def initials(
    name: str,
    version: int = 1,
    pieces: int = 1,
    order: Iterable[int] | None = None,
    fixed_bit: int = 1,
) -> list[bytes]:
    """The hello in so many datagrams, sent in this order."""
    body = client_hello(name, 1500 if pieces > 1 else 0)[5:]
    dcid = os.urandom(8)
    size = -(-len(body) // pieces)
    packets = []
    for i in range(pieces):
        frame = crypto_frame(i * size, body[i * size :][:size])
        packets.append(initial(version, dcid, i, frame, fixed_bit))
    return [packets[i] for i in order or range(pieces)]
