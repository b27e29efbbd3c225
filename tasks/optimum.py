"""What tasks have of which is known how well one can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from tasks.batch import Batch


@runtime_checkable
class HasOptimum(Protocol):
    """A task with an optimal estimator: no predictions from the same inputs have a lower expected cross-entropy."""

    def optimal_outputs(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The optimal estimator's predictions of a batch.

        Args:
            batch: of this task.

        Returns:
            Logits of every output by name, in the form of `zoo.Prediction`; whatever where no answer is due.
        """
        ...
