# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the proofs: what the kernel does, without waylayd.

Each test_Kxx.py asks one question about the kernel; its head comment has the
answer found.  A module has one lab; an Interception lasts for one scenario.
"""

import socket
from collections.abc import Callable

import pytest

from kernel import bpf
from kernel.bpf import ENGINES, Interception, Toolbox


@pytest.fixture(scope="session")
def toolbox(tmp_path_factory: pytest.TempPathFactory) -> Toolbox:
    reason = bpf.missing()
    if reason:
        pytest.skip(f"the proofs need BPF: {reason}")
    return Toolbox(tmp_path_factory.mktemp("bpf"))


@pytest.fixture
def intercept(toolbox, lab, resources) -> Callable[..., Interception]:
    """intercept("nft", "v4"): in place until the scenario ends."""

    def start(engine: str, family: str, *steps: str, **how) -> Interception:
        reason = bpf.missing_engine(lab.gw, engine, family)
        if reason:
            pytest.skip(reason)
        started = Interception(toolbox, lab.gw, engine, family, *steps, **how)
        return resources.enter_context(started)

    return start


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def server(lab, family, resources) -> socket.socket:
    """What the client really asks for: port 80 of srv."""
    return resources.enter_context(lab.srv.listen(family, 80))
