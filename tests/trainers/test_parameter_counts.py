"""Parameter counts beside published ones: the page is what the models are, and the nearest models are near."""

from __future__ import annotations

import pytest

from trainers.parameter_counts import PAGE, page, published_counts


def test_page_is_what_the_models_are() -> None:
    assert PAGE.read_text("utf-8") == page(published_counts()), "write it anew: python -m trainers.parameter_counts"


@pytest.mark.parametrize("entry", published_counts(), ids=lambda entry: entry.model)
def test_counts_are_near_the_published_ones(entry) -> None:
    """Equal where the modules themselves were counted; of the order where a paper gives but a number."""
    if entry.published.evidence == "recomputed":
        assert entry.ours() == entry.published.value
    else:
        assert 0.75 < entry.ours() / entry.published.value < 1.05
