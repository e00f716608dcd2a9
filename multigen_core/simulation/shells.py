"""Cups and pitchers as closed surfaces with a wall, revolved from their profiles."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32

from multigen_core.containers import Container

__all__ = ["Shell", "shell"]

SIDES = 48


class Shell(NamedTuple):
    """A triangle mesh in the frame of the container: origin at the centre of the inner bottom, z along the axis."""

    vertices: Float64[np.ndarray, "V 3"]
    """[m]."""
    normals: Float64[np.ndarray, "V 3"]
    """Outward, one per vertex; edges are sharp, their vertices stand there twice."""
    faces: Int32[np.ndarray, "F 3"]
    """Counter-clockwise from outside."""


def shell(container: Container) -> Shell:
    """Bottom, outside, rim, inside and inner bottom of a container."""
    inner = np.array([(radius, height) for height, radius in container.profile])
    outer = inner + np.array([container.wall_m, 0.0])
    base = (0.0, -container.wall_m)
    outline = np.array(
        [
            base,
            (outer[0, 0], -container.wall_m),
            *outer,
            *inner[::-1],
            (0.0, 0.0),
        ]
    )  # (points, 2): radius, height
    segments = np.stack([outline[:-1], outline[1:]], axis=1)  # (S, 2, 2)
    along = segments[:, 1] - segments[:, 0]
    segments = segments[np.linalg.norm(along, axis=1) > 0.0]
    return _revolved(segments)


def _revolved(segments: Float64[np.ndarray, "S 2 2"]) -> Shell:
    """Turns each segment (radius, height) about the axis; the outside is on its right."""
    angles = np.linspace(0.0, 2.0 * np.pi, SIDES, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (sides, 2)
    radii, heights = segments[..., 0], segments[..., 1]  # (S, 2)
    vertices = np.concatenate(
        [
            radii[:, :, None, None] * circle,
            np.broadcast_to(heights[:, :, None, None], (*heights.shape, SIDES, 1)),
        ],
        axis=-1,
    )  # (S, 2, sides, 3)
    along = segments[:, 1] - segments[:, 0]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    out, up = along[:, 1], -along[:, 0]  # the segment's direction, turned to the right
    normal = np.concatenate(
        [out[:, None, None] * circle, np.broadcast_to(up[:, None, None], (len(up), SIDES, 1))], axis=-1
    )
    normals = np.broadcast_to(normal[:, None], vertices.shape)

    ring = np.arange(SIDES)
    following = (ring + 1) % SIDES
    one_band = np.concatenate(
        [
            np.stack([ring, following, SIDES + following], axis=1),
            np.stack([ring, SIDES + following, SIDES + ring], axis=1),
        ]
    )
    faces = one_band[None] + 2 * SIDES * np.arange(len(segments))[:, None, None]
    return Shell(vertices.reshape(-1, 3), normals.reshape(-1, 3), faces.reshape(-1, 3).astype(np.int32))
