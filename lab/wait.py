# SPDX-License-Identifier: Apache-2.0
"""Wait for conditions, never for time.

The only place of the lab that lets time pass.  Everything else states what
it waits for and until when it is worth waiting.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STEP_S = 0.01  # between two looks at a condition


def wait_for(what: str, condition: Callable[[], T], deadline_s: float = 5) -> T:
    """The first true value of `condition`; AssertionError after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(STEP_S)


def pass_time(seconds: float) -> None:
    """For what happens at any moment: a crash."""
    time.sleep(seconds)
