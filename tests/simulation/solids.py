"""Figures of closed triangle meshes, for the tests that draw them."""

import numpy as np

from multigen_core.containers import Container, frustum

__all__ = ["clear_cup", "enclosed_volume_m3", "opaque_cup"]


def enclosed_volume_m3(vertices: np.ndarray, faces: np.ndarray) -> float:
    """By the divergence theorem: the signed volumes of the tetrahedra between the origin and each face."""
    corners = np.asarray(vertices, float)[faces]  # (F, 3, 3)
    return float(np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0)


def opaque_cup(*, opaque: bool = True) -> Container:
    return frustum(
        "test_cup",
        bottom_radius_m=0.03,
        top_radius_m=0.036,
        height_m=0.1,
        material="ceramic",
        opaque=opaque,
        color=(0.7, 0.3, 0.2),
    )


def clear_cup() -> Container:
    return opaque_cup(opaque=False)
