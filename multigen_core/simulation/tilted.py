"""Liquid at rest in a tilted container.

In the frame of a container tilted by theta about x, height is ``y sin(theta) + h cos(theta)``, so the liquid is
``y <= t(h) = (c - h cos(theta)) / sin(theta)``: each disc of radius r holds a segment of area
``r^2 (pi - acos(t / r)) + t sqrt(r^2 - t^2)``. It runs over when ``c`` reaches the lip (y = -R, h = H).
"""

import numpy as np

from multigen_core.containers import Container

__all__ = ["held_ml", "lip_height_m", "surface_height_m", "volume_below_ml"]

_SLICES = 160
_SMALLEST_TILT_RAD = 1e-3
"""Below it the surface is taken to be parallel to the bottom."""


def lip_height_m(container: Container, tilt_rad: float) -> float:
    """Height of the lip above the centre of the inner bottom, along the vertical; negative when it hangs lower."""
    return float(container.height_m * np.cos(tilt_rad) - container.mouth_radius_m * np.sin(tilt_rad))


def volume_below_ml(container: Container, *, tilt_rad: float, height_m: float) -> float:
    """Volume of the container below a horizontal plane, ``height_m`` above the centre of its inner bottom."""
    if tilt_rad < _SMALLEST_TILT_RAD:
        return container.volume_at(height_m) * 1e6
    h = np.linspace(0.0, container.height_m, _SLICES + 1)  # (slices + 1,)
    r = np.interp(h, *np.array(container.profile).T)
    t = np.clip((height_m - h * np.cos(tilt_rad)) / np.sin(tilt_rad), -r, r)
    area = r**2 * (np.pi - np.arccos(t / r)) + t * np.sqrt(np.maximum(r**2 - t**2, 0.0))
    return float(np.trapezoid(area, h) * 1e6)


def held_ml(container: Container, tilt_rad: float) -> float:
    """What the container holds at a tilt before it runs over its lip."""
    return volume_below_ml(container, tilt_rad=tilt_rad, height_m=lip_height_m(container, tilt_rad))


def surface_height_m(container: Container, *, tilt_rad: float, volume_ml: float) -> float:
    """Height of the surface above the centre of the inner bottom, by bisection; at most the height of the lip."""
    low = -container.profile[0][1] * np.sin(tilt_rad) - container.height_m * max(0.0, -np.cos(tilt_rad))
    high = lip_height_m(container, tilt_rad)
    low = min(low, high)
    for _ in range(40):
        middle = 0.5 * (low + high)
        if volume_below_ml(container, tilt_rad=tilt_rad, height_m=middle) < volume_ml:
            low = middle
        else:
            high = middle
    return float(high)
