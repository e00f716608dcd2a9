"""Laws of the liquid's meshes: closed, facing outwards, as large as what they show."""

import numpy as np
import pytest

from multigen_core.containers import Container, frustum
from multigen_core.simulation.surface import (
    EMPTY_MESH,
    LiquidMesh,
    joined,
    particles_to_mesh,
    revolved_body,
    stream_tube,
)

CUP = frustum(
    "cup", bottom_radius_m=0.03, top_radius_m=0.04, height_m=0.1, material="glass", opaque=False, color=(1.0, 1.0, 1.0)
)
BULGE = Container(
    name="bulge",
    profile=((0.0, 0.02), (0.03, 0.04), (0.1, 0.03)),
    material="glass",
    opaque=False,
    color=(1.0, 1.0, 1.0),
)
HERE = np.array([0.5, -0.02, 0.003])


def enclosed_m3(mesh: LiquidMesh) -> float:
    """Signed volume by the divergence theorem: positive when the faces turn outwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(float) for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)


def block_of_particles(per_side: int, particle_ml: float) -> np.ndarray:
    step = np.cbrt(particle_ml * 1e-6)
    axis = np.arange(per_side) * step
    return np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3).astype(np.float32)


@pytest.mark.parametrize("cup", [CUP, BULGE], ids=lambda cup: cup.name)
@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_a_revolved_body_has_the_volume_of_its_level(cup: Container, share: float) -> None:
    level = share * cup.height_m
    mesh = revolved_body(cup, level, HERE)
    assert enclosed_m3(mesh) == pytest.approx(cup.volume_at(level), rel=0.06)
    assert mesh.vertices[:, 2].max() == pytest.approx(HERE[2] + level, abs=1e-6)


def test_a_body_without_depth_is_empty() -> None:
    assert len(revolved_body(CUP, 0.0, HERE).faces) == 0
    assert len(particles_to_mesh(np.zeros((0, 3), np.float32), 0.5).faces) == 0


def test_a_stream_encloses_its_section_times_its_length() -> None:
    path = np.array([[0.5, 0.0, 0.3 - 0.05 * k] for k in range(5)])
    mesh = stream_tube(path, np.full(5, 0.004))
    assert enclosed_m3(mesh) == pytest.approx(np.pi * 0.004**2 * 0.2, rel=0.08)


def test_a_bent_stream_faces_outwards() -> None:
    fall = np.linspace(0.0, 1.0, 8)
    path = np.stack([np.full(8, 0.5), -0.05 * fall, 0.3 - 0.2 * fall**2], axis=1)
    assert enclosed_m3(stream_tube(path, np.linspace(0.005, 0.003, 8))) > 0.0


@pytest.mark.parametrize(
    "mesh",
    [
        revolved_body(BULGE, 0.08, HERE),
        stream_tube(np.array([[0.0, 0.0, 0.2], [0.0, 0.0, 0.1]]), np.array([0.004, 0.003])),
        particles_to_mesh(block_of_particles(6, 0.5), 0.5),
    ],
    ids=["body", "stream", "particles"],
)
def test_normals_are_unit_and_point_the_way_faces_turn(mesh: LiquidMesh) -> None:
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-3)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    agreement = np.einsum("ij,ij->i", face_normals, mesh.normals[mesh.faces].mean(axis=1))
    assert (agreement > 0.0).mean() > 0.99
    assert mesh.vertices.dtype == mesh.normals.dtype == np.float32
    assert mesh.faces.dtype == np.int32


def test_particles_get_a_closed_surface_of_about_their_volume() -> None:
    positions = block_of_particles(9, 0.5)
    mesh = particles_to_mesh(positions, 0.5)
    assert enclosed_m3(mesh) == pytest.approx(len(positions) * 0.5e-6, rel=0.2)
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert (uses == 2).all()


def test_joined_keeps_every_face_on_its_own_vertices() -> None:
    body = revolved_body(CUP, 0.05, HERE)
    stream = stream_tube(np.array([[0.0, 0.0, 0.2], [0.0, 0.0, 0.1]]), np.array([0.004, 0.003]))
    both = joined(body, EMPTY_MESH, stream)
    assert enclosed_m3(both) == pytest.approx(enclosed_m3(body) + enclosed_m3(stream), rel=1e-5)
    assert len(joined().faces) == 0
