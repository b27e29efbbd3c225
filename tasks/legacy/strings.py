"""Strings, as the CLRS benchmark's package draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState

Inputs = dict[str, Any]


def haystack_and_needle(random: RandomState, size: int, *, length_needle: int | None = None, chars: int = 4) -> Inputs:
    """A haystack of random letters with the needle somewhere in it, and the needle.

    Args:
        random: the generator.
        size: letters of both together.
        length_needle: letters of the needle; a negative one is drawn, at most that many; None is a fifth of the size.
        chars: letters of the alphabet.
    """
    if length_needle is None:
        needle = max(size // 5, 1)
    elif length_needle < 0:
        needle = random.randint(1, high=1 - length_needle)
    else:
        needle = length_needle
    haystack = size - needle
    wanted = random.randint(0, high=chars, size=(needle,))
    letters = random.randint(0, high=chars, size=(haystack,))
    place = random.choice(haystack - needle)  # so the last place but one is the last that the needle is put at
    letters[place : place + needle] = wanted
    return {"string": np.arange(size) >= haystack, "key": np.concatenate([letters, wanted])}


SAMPLERS = {
    "kmp_matcher": haystack_and_needle,
    "naive_string_matcher": haystack_and_needle,
}
