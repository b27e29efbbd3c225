"""`metrics.jsonl`: one line of JSON for every logged step, each step once, over kills and resumptions."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricsFile:
    """Appends lines; a full disk is a warning, and its lines are written once there is room."""

    def __init__(self, path: str | Path, *, position: int = 0) -> None:
        """Open, and drop all that was written past a position.

        Args:
            path: of the file; made if need be.
            position: bytes that are kept: what the resumed checkpoint recorded, or 0 for a new run.
        """
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - open for as long as the run
        self._position = min(position, os.fstat(self._file.fileno()).st_size)
        self._pending = b""
        os.ftruncate(self._file.fileno(), self._position)
        if self._position < position:
            warnings.warn(f"{self.path} is shorter than its checkpoint recorded; lines are missing", stacklevel=2)

    def write(self, metrics: Mapping[str, Any]) -> None:
        """Append a line; numbers that are not finite become null, as JSON has none."""
        line = json.dumps({key: _plain(value) for key, value in metrics.items()}, allow_nan=False)
        self._pending += line.encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        """Write what is pending, all or nothing."""
        try:
            written = self._file.write(self._pending)
            if written != len(self._pending):
                raise OSError(f"wrote {written} of {len(self._pending)} bytes")
        except OSError as error:
            os.ftruncate(self._file.fileno(), self._position)
            warnings.warn(f"{self.path} cannot be written, lines are kept for later: {error}", stacklevel=3)
            return
        self._position += len(self._pending)
        self._pending = b""

    def sync(self) -> int:
        """Bring all lines to the disk.

        Returns:
            The position after the last one, to be recorded in a checkpoint.
        """
        if self._pending:
            self._flush()
        os.fsync(self._file.fileno())
        return self._position

    def close(self) -> None:
        """Write what is pending and close."""
        if self._pending:
            self._flush()
        self._file.close()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
