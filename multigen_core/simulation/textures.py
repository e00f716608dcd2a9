"""Procedural surfaces that repeat without a seam, made of two colours."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from multigen_core.simulation.setup import Rgb

__all__ = ["TEXTURES", "texture"]

Mix = Float[np.ndarray, "N N"]
"""Share of the second colour in each pixel, 0 to 1."""


def texture(family: str, *, seed: int, colors: tuple[Rgb, Rgb], size_px: int = 128) -> UInt8[np.ndarray, "N N 3"]:
    """The texture of a family and seed; KeyError for a family that is not in ``TEXTURES``."""
    mix = np.clip(TEXTURES[family](np.random.default_rng(seed), size_px), 0.0, 1.0)[..., None]
    first, second = (np.array(color) for color in colors)
    return np.asarray(np.round(255.0 * (first + (second - first) * mix)), np.uint8)


def _waves(
    rng: np.random.Generator,
    size_px: int,
    *,
    cycles: tuple[float, float],
    stretch: float = 1.0,
    slope: float = 1.2,
) -> Mix:
    """Smooth periodic noise with mean 0.5: random phases in a band of spatial frequencies.

    ``stretch`` > 1 draws the grain out along the first axis; amplitudes fall as frequency to the power ``-slope``.
    """
    frequency = np.fft.fftfreq(size_px, 1.0 / size_px)
    radius = np.hypot(frequency[:, None] * stretch, frequency[None, :])
    band = (radius >= cycles[0]) & (radius <= cycles[1])
    amplitude = np.where(band, np.maximum(radius, 1.0) ** -slope, 0.0)
    spectrum = amplitude * np.exp(2j * np.pi * rng.uniform(size=radius.shape))
    noise = np.fft.ifft2(spectrum).real
    return 0.5 + 0.2 * noise / max(float(noise.std()), 1e-12)


def _grid(size_px: int) -> tuple[Mix, Mix]:
    """Row and column of every pixel, 0 to 1."""
    place = np.arange(size_px) / size_px
    rows, columns = np.meshgrid(place, place, indexing="ij")
    return rows, columns


def _plain(rng: np.random.Generator, size_px: int) -> Mix:
    return 0.15 * _waves(rng, size_px, cycles=(1.0, 40.0), slope=0.5)


def _clouds(rng: np.random.Generator, size_px: int) -> Mix:
    return 0.5 + 1.4 * (_waves(rng, size_px, cycles=(1.0, 12.0), slope=1.6) - 0.5)


def _speckle(rng: np.random.Generator, size_px: int) -> Mix:
    grains = _waves(rng, size_px, cycles=(12.0, 40.0), slope=0.0)
    return (grains > 0.72).astype(float) * 0.9 + 0.1 * grains


def _wood(rng: np.random.Generator, size_px: int) -> Mix:
    rows, _ = _grid(size_px)
    planks = int(rng.integers(2, 5))
    warp = _waves(rng, size_px, cycles=(1.0, 6.0), stretch=4.0)
    rings = 0.5 + 0.5 * np.sin(2.0 * np.pi * (4.0 * planks * rows + 3.0 * warp))
    fibres = _waves(rng, size_px, cycles=(4.0, 60.0), stretch=0.08, slope=0.4).T
    seams = (np.abs((rows * planks) % 1.0 - 0.5) > 0.485).astype(float)
    shade = rng.uniform(0.0, 0.35, planks)[np.minimum((rows * planks).astype(int), planks - 1)]
    return 0.3 * rings + 0.35 * fibres + shade + 0.6 * seams


def _stripes(rng: np.random.Generator, size_px: int) -> Mix:
    rows, columns = _grid(size_px)
    count, across = int(rng.integers(2, 7)), int(rng.integers(0, 2))
    wave = np.sin(2.0 * np.pi * count * (rows if across else columns))
    return 0.5 + 0.45 * np.tanh(6.0 * (wave - rng.uniform(-0.5, 0.5)))


def _bricks(rng: np.random.Generator, size_px: int) -> Mix:
    rows, columns = _grid(size_px)
    courses, per_course = 8, 4
    course = (rows * courses).astype(int)
    shifted = (columns * per_course + 0.5 * (course % 2)) % per_course
    joint = ((rows * courses) % 1.0 < 0.1) | (shifted % 1.0 < 0.05)
    shade = rng.uniform(0.0, 0.4, (courses, per_course))[course, shifted.astype(int)]
    return np.where(joint, 0.95, shade) + 0.1 * (_waves(rng, size_px, cycles=(4.0, 40.0)) - 0.5)


def _tiles(rng: np.random.Generator, size_px: int) -> Mix:
    rows, columns = _grid(size_px)
    count = int(rng.integers(2, 5))
    joint = ((rows * count) % 1.0 < 0.06) | ((columns * count) % 1.0 < 0.06)
    shade = rng.uniform(0.0, 0.25, (count, count))[(rows * count).astype(int), (columns * count).astype(int)]
    return np.where(joint, 0.9, shade)


def _marble(rng: np.random.Generator, size_px: int) -> Mix:
    rows, columns = _grid(size_px)
    warp = _waves(rng, size_px, cycles=(1.0, 20.0), slope=1.5)
    veins = np.abs(np.sin(np.pi * (rows + columns) + 7.0 * warp))
    return 0.85 * (1.0 - veins) ** 3 + 0.15 * warp


def _weave(rng: np.random.Generator, size_px: int) -> Mix:
    rows, columns = _grid(size_px)
    count = 2 * int(rng.integers(5, 10))
    over = ((rows * count).astype(int) + (columns * count).astype(int)) % 2 == 0
    warp, weft = np.abs(np.sin(np.pi * count * rows)), np.abs(np.sin(np.pi * count * columns))
    return np.where(over, 0.15 + 0.5 * (1.0 - warp), 0.45 + 0.5 * (1.0 - weft))


def _terrazzo(rng: np.random.Generator, size_px: int) -> Mix:
    chips = _waves(rng, size_px, cycles=(5.0, 16.0), slope=0.0)
    return np.select([chips > 0.72, chips < 0.3], [0.95, 0.5], 0.08)


TEXTURES: dict[str, Callable[[np.random.Generator, int], Mix]] = {
    "plain": _plain,
    "clouds": _clouds,
    "speckle": _speckle,
    "wood": _wood,
    "stripes": _stripes,
    "bricks": _bricks,
    "tiles": _tiles,
    "marble": _marble,
    "weave": _weave,
    "terrazzo": _terrazzo,
}
"""Family -> generator. Training uses the first six, the lab may use the others."""
