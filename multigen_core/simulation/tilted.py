"""Liquid at rest in a tilted container.

In the frame of a container tilted by theta about x, height is ``y sin(theta) + h cos(theta)``, so the liquid is
``y <= t(h) = (c - h cos(theta)) / sin(theta)``: each disc of radius r holds a segment of area
``r^2 (pi - acos(t / r)) + t sqrt(r^2 - t^2)``. It runs over when ``c`` reaches the lip (y = -R, h = H).
"""

import numpy as np
from jaxtyping import Float, Int32
from scipy.optimize import brentq

from multigen_core.containers import Container
from multigen_core.simulation.surface import EMPTY_MESH, LiquidMesh

__all__ = [
    "held_ml",
    "lip_height_m",
    "overflow_tilt_rad",
    "surface_height_m",
    "tilted_body",
    "volume_below_ml",
]

_SLICES = 160
_SIDES = 40
_WALL_GAP_M = 0.0003
"""Keeps a drawn body off the wall it fills."""
_SURFACE_TOLERANCE_M = 1e-8
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
    """Height of the surface above the centre of the inner bottom; at most the height of the lip."""
    high = lip_height_m(container, tilt_rad)
    low = min(high, -container.profile[0][1] * float(np.sin(tilt_rad)))

    def too_much_ml(height_m: float) -> float:
        return volume_below_ml(container, tilt_rad=tilt_rad, height_m=height_m) - volume_ml

    if too_much_ml(high) <= 0.0:
        return high
    if too_much_ml(low) >= 0.0:
        return low
    return float(brentq(too_much_ml, low, high, xtol=_SURFACE_TOLERANCE_M))


def overflow_tilt_rad(container: Container, volume_ml: float) -> float:
    """The tilt at which a volume begins to run over the lip, by bisection."""
    low, high = 0.0, float(np.pi)
    for _ in range(40):
        middle = 0.5 * (low + high)
        if held_ml(container, middle) > volume_ml:
            low = middle
        else:
            high = middle
    return high


def tilted_body(
    container: Container,
    *,
    tilt_rad: float,
    volume_ml: float,
    pose_container_to_world: Float[np.ndarray, "4 4"],
) -> LiquidMesh:
    """The surface of a volume at rest in a container tilted about x; what would run over is left out."""
    tilt_rad = max(tilt_rad, np.radians(0.5))
    height = surface_height_m(container, tilt_rad=tilt_rad, volume_ml=volume_ml)
    h, r, t = _wet_slices(container, tilt_rad=tilt_rad, height_m=height)
    if volume_ml <= 0.0 or len(h) < 2:
        return EMPTY_MESH
    angles = np.linspace(0.0, 2.0 * np.pi, _SIDES, endpoint=False)
    x, y = r[:, None] * np.cos(angles), r[:, None] * np.sin(angles)  # (slices, sides)
    cut = y > t[:, None]
    x = np.where(cut, np.sign(x) * np.minimum(np.abs(x), np.sqrt(np.maximum(r**2 - t**2, 0.0))[:, None]), x)
    y = np.where(cut, t[:, None], y)
    rings = np.stack([x, y, np.broadcast_to(h[:, None], x.shape)], axis=-1)
    wall = np.stack([np.cos(angles), np.sin(angles), np.zeros(_SIDES)], axis=-1)
    upward = np.array([0.0, np.sin(tilt_rad), np.cos(tilt_rad)])
    normals = np.where(cut[..., None], upward, wall)
    bottom, top = np.array([0.0, 0.0, -1.0]), np.array([0.0, 0.0, 1.0])
    vertices = np.concatenate(
        [
            rings.reshape(-1, 3),
            rings[0],
            rings[0].mean(0, keepdims=True),
            rings[-1],
            rings[-1].mean(0, keepdims=True),
        ]
    )
    all_normals = np.concatenate(
        [normals.reshape(-1, 3), np.tile(bottom, (_SIDES + 1, 1)), np.tile(top, (_SIDES + 1, 1))]
    )
    rotation = pose_container_to_world[:3, :3]
    return LiquidMesh(
        vertices=(vertices @ rotation.T + pose_container_to_world[:3, 3]).astype(np.float32),
        normals=(all_normals @ rotation.T).astype(np.float32),
        faces=_closed_tube_faces(len(h)),
    )


def _wet_slices(
    container: Container, *, tilt_rad: float, height_m: float
) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, " S"], Float[np.ndarray, " S"]]:
    """Heights, radii and cuts ``t`` of slices from one end of the liquid to the other, closest where it thins out."""

    def slices(h: Float[np.ndarray, " S"]) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, " S"]]:
        r = np.interp(h, *np.array(container.profile).T) - _WALL_GAP_M
        return r, (height_m - h * np.cos(tilt_rad)) / np.sin(tilt_rad)

    h = np.linspace(_WALL_GAP_M, container.height_m, 20 * _SLICES)
    r, t = slices(h)
    wet = h[t > -r]
    if len(wet) == 0:
        return wet, wet, wet
    partly = h[(t > -r) & (t < r)]
    h = np.linspace(wet[0], wet[-1], 16)
    if len(partly):
        h = np.union1d(h, np.linspace(partly[0], partly[-1], 16))
    return h, *slices(h)


def _closed_tube_faces(slices: int) -> Int32[np.ndarray, "F 3"]:
    """Triangles between rings of ``_SIDES`` vertices, then those of two lids, each a ring and its centre."""
    here = np.arange(_SIDES)
    there = (here + 1) % _SIDES
    band = np.concatenate(
        [np.stack([here, there, _SIDES + there], 1), np.stack([here, _SIDES + there, _SIDES + here], 1)]
    )
    walls = (band[None] + _SIDES * np.arange(slices - 1)[:, None, None]).reshape(-1, 3)
    bottom = slices * _SIDES
    top = bottom + _SIDES + 1
    caps = [
        np.stack([bottom + there, bottom + here, np.full(_SIDES, bottom + _SIDES)], 1),
        np.stack([top + here, top + there, np.full(_SIDES, top + _SIDES)], 1),
    ]
    return np.concatenate([walls, *caps]).astype(np.int32)
