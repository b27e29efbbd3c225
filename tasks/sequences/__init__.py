"""Tasks on sequences, read in the order of the nodes."""

from tasks.sequences import (
    associative_recall,
    bigram_flip,
    binary_addition,
    binary_multiplication,
    copy,
    counting_language,
    duplicate,
    dyck,
    dynamic_ngrams,
    integer_sort,
    key_value_recall,
    priority_sort,
    repeat_copy,
    reverse,
    series_copy,
    transduction,
)

__all__ = [
    "associative_recall",
    "bigram_flip",
    "binary_addition",
    "binary_multiplication",
    "copy",
    "counting_language",
    "duplicate",
    "dyck",
    "dynamic_ngrams",
    "integer_sort",
    "key_value_recall",
    "priority_sort",
    "repeat_copy",
    "reverse",
    "series_copy",
    "transduction",
]
