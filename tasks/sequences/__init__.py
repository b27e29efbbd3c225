"""Tasks on sequences, read in the order of the nodes."""

from tasks.sequences import associative_recall, copy, duplicate, repeat_copy, reverse, transduction

__all__ = ["associative_recall", "copy", "duplicate", "repeat_copy", "reverse", "transduction"]
