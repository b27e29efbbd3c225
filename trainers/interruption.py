"""Stopping between two steps: Ctrl-C, SIGTERM, a time limit."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

TIMEOUT_CODE = 124  # what timeout(1) exits with


class Interrupted(Exception):
    """Training was stopped and its state saved; it can be resumed.

    Attributes:
        code: what to exit with: 130 after Ctrl-C, 143 after SIGTERM, 124 at the time limit.
        step: steps done.
    """

    def __init__(self, reason: str, code: int, step: int) -> None:
        super().__init__(f"stopped by {reason} after step {step}; the same command goes on from there")
        self.code, self.step = code, step


class Stop:
    """Notes signals while in a `with` statement; a second one of a kind acts as it would have without."""

    def __init__(self, time_limit: float = 0.0) -> None:
        """Prepare.

        Args:
            time_limit: seconds from entering to the stop, 0 for none.
        """
        self.time_limit = time_limit
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._entered = 0.0

    def __enter__(self) -> Stop:
        self._entered = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for one in (signal.SIGINT, signal.SIGTERM):
                self._before[one] = signal.signal(one, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        signal.signal(number, self._before.pop(self.signal))

    @property
    def wanted(self) -> bool:
        """Whether to stop."""
        late = self.time_limit and time.monotonic() - self._entered >= self.time_limit
        return self.signal is not None or bool(late)

    def interrupted(self, step: int) -> Interrupted:
        """The exception to raise once the state is saved."""
        if self.signal is not None:
            return Interrupted(self.signal.name, 128 + self.signal, step)
        if self.wanted:
            return Interrupted("trainer.time_limit", TIMEOUT_CODE, step)
        return Interrupted("another process", 128 + signal.SIGTERM, step)
