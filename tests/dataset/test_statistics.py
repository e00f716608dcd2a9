"""Counted shades give the figures of all pixels."""

import numpy as np
import pytest
from jaxtyping import UInt8

from multigen_core.dataset.statistics import image_statistics, statistics_of


@pytest.mark.parametrize(
    "frames",
    [
        np.random.default_rng(1).integers(0, 256, (7, 6, 4, 3), dtype=np.uint8),
        np.random.default_rng(2).integers(0, 4, (5, 6, 8), dtype=np.uint8) * np.uint8(60),
        np.full((1, 2, 2, 3), 255, np.uint8),
        np.random.default_rng(3).integers(0, 9, (200, 2, 3, 3), dtype=np.uint8),
    ],
    ids=["colours", "masks", "white", "every third frame"],
)
def test_image_statistics_are_those_of_the_pixels(frames: UInt8[np.ndarray, "T H W *channels"]) -> None:
    shown = frames[:: max(1, len(frames) // 64)] / 255.0
    pixels = shown.reshape(-1, 3) if shown.ndim == 4 else np.repeat(shown.reshape(-1, 1), 3, axis=1)
    expected = statistics_of(pixels)

    figures = image_statistics(frames)
    assert set(figures) == set(expected) and figures["count"] == [len(shown)]
    for name in set(figures) - {"count"}:
        np.testing.assert_allclose(np.squeeze(figures[name]), expected[name], atol=1e-12)
        assert np.shape(figures[name]) == (3, 1, 1)
