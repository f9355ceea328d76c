# SPDX-License-Identifier: Apache-2.0
"""All endings of test_endings.py, of flows that are cut through already."""

import pytest

import waylay
from cut_case import make_cut
from test_endings import (  # noqa: F401, the scenarios
    test_F43_a_half_closed_flow_lives_on,
    test_F43_data_before_fin_arrive_first,
    test_F43_the_other_direction_flows_on_after_fin,
    test_F44_a_reset_arrives_as_a_reset,
)

CONFIG = waylay.config(cut="on", more="timeouts { connect 2s; }")


@pytest.fixture
def pair(pair, gateway):
    def connected(family: str, port: int = 0):
        ends = pair(family, port)
        make_cut(gateway, ends.client, ends.server)
        return ends

    return connected
