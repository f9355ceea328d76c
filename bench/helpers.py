# SPDX-License-Identifier: Apache-2.0
"""Compiles the traffic helpers (*.c of this directory) for one run."""

import os
import pathlib

from process import run

SOURCES = pathlib.Path(__file__).resolve().parent
NAMES = ("connect_loop", "first_byte", "flood", "http_server", "idle_client",
         "socks_server", "test_run", "udp_echo", "udp_ping", "udp_send", "udp_sink")
SHARED = ("helper.c", "frame.c")
MORE = {"socks_server": ("socks_relay.c", "socks_udp.c")}  # of one alone
FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra")


def compile_all(directory):
    """Name -> path of the program."""
    paths = {name: pathlib.Path(directory) / name for name in NAMES}
    for name, path in paths.items():
        run([os.environ.get("CC", "cc"), *FLAGS, "-o", path,
             *(SOURCES / c for c in (f"{name}.c", *MORE.get(name, ()), *SHARED)),
             "-Wl,--as-needed", "-lbpf"])
    return paths
