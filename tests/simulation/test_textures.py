import numpy as np
import pytest

from multigen_core.simulation.textures import TEXTURES, texture

COLORS = ((0.2, 0.3, 0.4), (0.9, 0.8, 0.1))


@pytest.mark.parametrize("family", TEXTURES)
def test_pixels_lie_between_the_two_colours_and_vary(family):
    image = texture(family, seed=5, colors=COLORS, size_px=64)
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8
    low, high = 255 * np.min(COLORS, axis=0), 255 * np.max(COLORS, axis=0)
    assert np.all(image > low - 1.0) and np.all(image < high + 1.0)
    assert image.std(axis=(0, 1)).max() > 1.0


@pytest.mark.parametrize("family", TEXTURES)
def test_a_seed_gives_the_same_texture_again_and_another_seed_another(family):
    first, again, other = (texture(family, seed=seed, colors=COLORS, size_px=64) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
