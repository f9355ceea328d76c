# SPDX-License-Identifier: Apache-2.0
"""UDP sockets of srv and cli, closed with the scenario's resources."""

import socket

from namespace import family_of


def server(lab, family: str, resources, port: int, host=None) -> socket.socket:
    host = host or lab.srv
    s = resources.enter_context(host.udp(family))
    s.bind((host.address(family), port))
    return s


def client(lab, resources, to: socket.socket | tuple) -> socket.socket:
    name = to if isinstance(to, tuple) else to.getsockname()[:2]
    s = resources.enter_context(lab.cli.udp(family_of(name[0])))
    s.connect(name)
    return s
