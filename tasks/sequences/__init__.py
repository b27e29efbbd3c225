"""Tasks on sequences, read in the order of the nodes."""

from tasks.sequences import associative_recall, copy, repeat_copy

__all__ = ["associative_recall", "copy", "repeat_copy"]
