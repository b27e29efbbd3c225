"""What a training has taken so far, over all its resumptions."""

from __future__ import annotations

import time
from typing import NamedTuple


class Seconds(NamedTuple):
    """Two kinds of time.

    Attributes:
        wall: on the clock.
        processor: of all threads of this process; sampling ahead counts, and so may exceed the wall's.
    """

    wall: float
    processor: float


class Stopwatch:
    """Adds up the time between `start` and `stop`, and what is carried over from before."""

    def __init__(self) -> None:
        """Stand at nothing."""
        self._before = Seconds(0.0, 0.0)
        self._began: Seconds | None = None

    def start(self) -> None:
        """Run."""
        self._began = Seconds(time.monotonic(), time.process_time())

    def stop(self) -> None:
        """Stand; `read` stays."""
        self._before, self._began = self.read(), None

    def carry_over(self, before: Seconds) -> None:
        """Count what a checkpoint says was taken before it, in place of what was before `start`."""
        self._before = before

    def read(self) -> Seconds:
        """What has been taken, the time since `start` included."""
        if self._began is None:
            return self._before
        wall = self._before.wall + time.monotonic() - self._began.wall
        return Seconds(wall, self._before.processor + time.process_time() - self._began.processor)
