from itertools import pairwise

import numpy as np
import pytest

from multigen_core.simulation.randomisation import TRAINING_PITCHERS, TRAINING_RECEIVERS
from multigen_core.simulation.shells import shell
from tests.simulation.solids import enclosed_volume_m3


def _frustum_m3(height: float, first: float, second: float) -> float:
    return np.pi * height * (first**2 + first * second + second**2) / 3.0


@pytest.mark.parametrize("container", TRAINING_RECEIVERS + TRAINING_PITCHERS, ids=lambda container: container.name)
def test_shell_encloses_wall_and_bottom_but_not_the_inside(container):
    surface = shell(container)
    wall, bottom = container.wall_m, container.profile[0][1]
    outside = sum(_frustum_m3(z1 - z0, r0 + wall, r1 + wall) for (z0, r0), (z1, r1) in pairwise(container.profile))
    base = _frustum_m3(wall, bottom + wall, bottom + wall)
    solid_m3 = outside + base - container.capacity_m3
    assert enclosed_volume_m3(surface.vertices, surface.faces) == pytest.approx(solid_m3, rel=0.01)


def test_normals_point_the_way_the_faces_look():
    surface = shell(TRAINING_RECEIVERS[1])
    first, second, third = (surface.vertices[surface.faces[:, k]] for k in range(3))
    face_normals = np.cross(second - first, third - first)
    area = np.linalg.norm(face_normals, axis=1)
    agree = np.einsum("fi,fi->f", face_normals, surface.normals[surface.faces[:, 0]])
    assert np.all(agree[area > 1e-12] > 0.0)
