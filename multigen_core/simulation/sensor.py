"""What a camera's lens, exposure and sensor make of a rendered picture."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from scipy.ndimage import gaussian_filter

from multigen_core.simulation.setup import CameraDraw

__all__ = ["sensed"]

GAMMA = 2.2
"""Pixel values are the light to the power of 1 / GAMMA, so that a change of exposure is a plain factor for them too."""
READ_SHARE = 0.25
"""Of the noise's variance in white, that is there in black too; the rest is the light's own and grows with it."""


def sensed(
    picture: UInt8[np.ndarray, "H W 3"], camera: CameraDraw, *, seed: Sequence[int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture blurred by the lens, exposed, and with noise; the same for the same seed.

    Shot noise on top of read noise: the variance is affine in the signal (the linear model of EMVA standard 1288).
    """
    light = picture.astype(np.float32)
    if camera.blur > 0.0:
        spread = camera.blur * picture.shape[0]
        light = gaussian_filter(light, (spread, spread, 0.0), mode="nearest", truncate=2.0)
    light *= np.float32(2.0 ** (camera.exposure_ev / GAMMA) / 255.0)
    if camera.noise > 0.0:
        grain = np.random.default_rng(seed).standard_normal(light.shape, dtype=np.float32)
        light += np.float32(camera.noise) * np.sqrt(READ_SHARE + (1.0 - READ_SHARE) * np.minimum(light, 1.0)) * grain
    return np.clip(255.0 * light + 0.5, 0.0, 255.0).astype(np.uint8)
