"""Triangle meshes of the liquid: from particles for the episodes, from revolved profiles for the reference clips.

All meshes are in the world frame; positions in metres, outward unit normals, counter-clockwise triangles seen from
outside.
"""

from dataclasses import dataclass

import numpy as np
import pysplashsurf
from jaxtyping import Float, Float32, Int32

from multigen_core.containers import Container

__all__ = ["EMPTY_MESH", "LiquidMesh", "joined", "particles_to_mesh", "revolved_body", "stream_tube"]

# In multiples of the particle radius, whatever the docstring of pysplashsurf says.
SMOOTHING_LENGTH = 2.0
CUBE_SIZE = 1.25
ISO_LEVEL = 0.6
SMOOTHING_ITERATIONS = 4
NORMAL_SMOOTHING_ITERATIONS = 6

BODY_SIDES = 40
TUBE_SIDES = 10
WALL_GAP_M = 0.0003
"""A revolved body keeps off the wall it fills, so that the two surfaces do not fight for the same pixels."""


@dataclass(frozen=True)
class LiquidMesh:
    """A surface with smooth normals."""

    vertices: Float32[np.ndarray, "V 3"]
    """World frame [m]."""
    normals: Float32[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]


EMPTY_MESH = LiquidMesh(
    vertices=np.zeros((0, 3), np.float32), normals=np.zeros((0, 3), np.float32), faces=np.zeros((0, 3), np.int32)
)


def joined(*meshes: LiquidMesh) -> LiquidMesh:
    """All meshes as one."""
    if not meshes:
        return EMPTY_MESH
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return LiquidMesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        faces=np.concatenate([mesh.faces + np.int32(k) for mesh, k in zip(meshes, offsets, strict=True)]),
    )


def particles_to_mesh(positions_m: Float32[np.ndarray, "N 3"], particle_ml: float) -> LiquidMesh:
    """The liquid's surface around particles of ``particle_ml`` each.

    SPH colour field, marching cubes and Laplacian smoothing, all by splashsurf.
    """
    if len(positions_m) == 0:
        return EMPTY_MESH
    diameter_m = float(np.cbrt(particle_ml * 1e-6))
    reconstruction = pysplashsurf.reconstruct_surface(
        np.ascontiguousarray(positions_m, np.float32),
        particle_radius=diameter_m / 2.0,
        smoothing_length=SMOOTHING_LENGTH,
        cube_size=CUBE_SIZE,
        iso_surface_threshold=ISO_LEVEL,
        multi_threading=False,
        subdomain_grid=False,
    )
    mesh = reconstruction.mesh
    if len(mesh.vertices) == 0:
        return EMPTY_MESH
    neighbours = mesh.vertex_vertex_connectivity()
    pysplashsurf.laplacian_smoothing_parallel(
        mesh, neighbours, iterations=SMOOTHING_ITERATIONS, beta=1.0, weights=np.ones(len(mesh.vertices), np.float32)
    )
    normals = mesh.vertex_normals_parallel()
    pysplashsurf.laplacian_smoothing_normals_parallel(normals, neighbours, iterations=NORMAL_SMOOTHING_ITERATIONS)
    return LiquidMesh(
        vertices=np.asarray(mesh.vertices, np.float32),
        normals=np.asarray(normals, np.float32),
        faces=np.asarray(mesh.triangles, np.int32),
    )


def revolved_body(container: Container, level_m: float, position: Float[np.ndarray, "3"]) -> LiquidMesh:
    """Liquid at rest in an upright container, from its inner bottom up to ``level_m``.

    ``position`` is the centre of the inner bottom, world frame [m].
    """
    level_m = min(level_m, container.height_m)
    if level_m <= 2.0 * WALL_GAP_M:
        return EMPTY_MESH
    heights = [WALL_GAP_M, *(z for z, _ in container.profile if WALL_GAP_M < z < level_m), level_m]
    radii = [container.radius_at(z) - WALL_GAP_M for z in heights]
    side = _tube(np.array([[0.0, 0.0, z] for z in heights]), np.array(radii), BODY_SIDES)
    return LiquidMesh(
        vertices=(side.vertices + np.asarray(position)).astype(np.float32), normals=side.normals, faces=side.faces
    )


def stream_tube(path_points: Float[np.ndarray, "P 3"], radii: Float[np.ndarray, " P"]) -> LiquidMesh:
    """A closed tube along a path [m] whose radius [m] changes from point to point, for example a falling stream."""
    if len(path_points) < 2:
        return EMPTY_MESH
    return _tube(np.asarray(path_points, float), np.asarray(radii, float), TUBE_SIDES)


def _tube(path: Float[np.ndarray, "P 3"], radii: Float[np.ndarray, " P"], sides: int) -> LiquidMesh:
    """Rings of ``sides`` vertices around the path, closed by flat caps with normals of their own."""
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    # One reference direction for all rings: a pouring path stays in a plane and never turns by 90 degrees across it.
    reference = np.eye(3)[np.argmin(np.abs(tangents[0]))]
    first = np.cross(reference, tangents)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(tangents, first)
    angles = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    spokes = (
        np.cos(angles)[None, :, None] * first[:, None] + np.sin(angles)[None, :, None] * second[:, None]
    )  # (P, sides, 3)
    rings = path[:, None] + radii[:, None, None] * spokes
    slope = np.gradient(radii) / np.maximum(np.linalg.norm(np.gradient(path, axis=0), axis=1), 1e-9)
    outward = spokes - slope[:, None, None] * tangents[:, None]
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)

    count = len(path)
    here = np.arange(sides)
    there = (here + 1) % sides
    walls = [
        face
        for k in range(count - 1)
        for face in (
            np.stack([k * sides + here, k * sides + there, (k + 1) * sides + there], axis=1),
            np.stack([k * sides + here, (k + 1) * sides + there, (k + 1) * sides + here], axis=1),
        )
    ]
    start_cap, end_cap = count * sides, count * sides + sides + 1
    caps = [
        np.stack([np.full(sides, start_cap), start_cap + 1 + there, start_cap + 1 + here], axis=1),
        np.stack([np.full(sides, end_cap), end_cap + 1 + here, end_cap + 1 + there], axis=1),
    ]
    vertices = np.concatenate([rings.reshape(-1, 3), path[:1], rings[0], path[-1:], rings[-1]])
    normals = np.concatenate(
        [
            outward.reshape(-1, 3),
            np.repeat(-tangents[:1], sides + 1, axis=0),
            np.repeat(tangents[-1:], sides + 1, axis=0),
        ]
    )
    return LiquidMesh(
        vertices=vertices.astype(np.float32),
        normals=normals.astype(np.float32),
        faces=np.concatenate(walls + caps).astype(np.int32),
    )
