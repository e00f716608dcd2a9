import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import mujoco
import mujoco.egl
import numpy as np
import pytest

from multigen_core.errors import MissingExtra
from multigen_core.palette import Palette
from multigen_core.simulation import renderer as renderer_module
from multigen_core.simulation.placement import receiver_position_m
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.renderer import SceneRenderer, require_rendering
from multigen_core.simulation.scene import build_scene
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.surface import LiquidMesh, revolved_body
from multigen_core.simulation.vessels import LIQUID_VERTICES
from tests.simulation.solids import clear_cup, opaque_cup

SIZE_PX = 64
POURING_RAD = np.radians([-2.0, 73.0, 169.0, -126.0, -5.0, 109.0, 71.0])
"""Brings the pitcher into view."""
OPAQUE = replace(draw_setup(1, TRAINING_RANGES), receiver=opaque_cup())
CLEAR = replace(OPAQUE, receiver=clear_cup())


def _renderer(setup: PourSetup) -> SceneRenderer:
    model = build_scene(setup)
    data = mujoco.MjData(model)
    data.qpos[:] = POURING_RAD
    mujoco.mj_forward(model, data)
    return SceneRenderer(model, data, SIZE_PX)


def _filled(setup: PourSetup, fraction: float) -> LiquidMesh:
    return revolved_body(setup.receiver, fraction * setup.receiver.height_m, receiver_position_m(setup))


@pytest.fixture(scope="module")
def opaque() -> Iterator[SceneRenderer]:
    with _renderer(OPAQUE) as renderer:
        yield renderer


@pytest.fixture(scope="module")
def clear() -> Iterator[SceneRenderer]:
    with _renderer(CLEAR) as renderer:
        yield renderer


def test_masks_hold_the_palette_and_nothing_else(opaque):
    plain, amodal = opaque.masks(_filled(OPAQUE, 0.5))
    assert plain.shape == amodal.shape == (SIZE_PX, SIZE_PX) and plain.dtype == amodal.dtype == np.uint8
    assert set(np.unique(plain)) <= {Palette.BACKGROUND, Palette.POURER, Palette.RECEIVER, Palette.LIQUID}
    assert {Palette.BACKGROUND, Palette.POURER, Palette.RECEIVER, Palette.LIQUID} == set(np.unique(amodal))


def test_an_opaque_cup_hides_its_liquid_from_picture_and_plain_mask_only(opaque):
    low, high = _filled(OPAQUE, 0.1), _filled(OPAQUE, 0.4)
    assert np.array_equal(opaque.rgb(low), opaque.rgb(high))
    plain, amodal = opaque.masks(high)
    assert (plain == Palette.LIQUID).sum() == 0
    assert (amodal == Palette.LIQUID).sum() > 100
    assert (amodal == Palette.LIQUID).sum() > 2 * (opaque.masks(low)[1] == Palette.LIQUID).sum()


def test_a_clear_cup_shows_its_level_in_picture_and_plain_mask(clear):
    low, high = _filled(CLEAR, 0.1), _filled(CLEAR, 0.4)
    assert np.abs(clear.rgb(low).astype(int) - clear.rgb(high)).max() > 20
    plain, amodal = clear.masks(high)
    assert np.array_equal(plain, amodal) and (plain == Palette.LIQUID).sum() > 100


def test_pitcher_and_cup_keep_their_pixels_in_the_amodal_mask(opaque):
    plain, amodal = opaque.masks(_filled(OPAQUE, 0.5))
    assert np.array_equal(plain == Palette.POURER, amodal == Palette.POURER)
    assert np.array_equal(plain[amodal != Palette.LIQUID], amodal[amodal != Palette.LIQUID])


def test_a_handle_is_part_of_the_receiver_in_both_masks(opaque):
    with _renderer(replace(OPAQUE, receiver=replace(OPAQUE.receiver, handle=True))) as renderer:
        for bare, handled in zip(opaque.masks(None), renderer.masks(None), strict=True):
            assert np.all(handled[bare == Palette.RECEIVER] == Palette.RECEIVER)
            assert (handled == Palette.RECEIVER).sum() > (bare == Palette.RECEIVER).sum() + 5


def test_without_a_mesh_there_is_no_liquid(opaque):
    opaque.masks(_filled(OPAQUE, 0.5))
    assert (opaque.masks(None)[1] == Palette.LIQUID).sum() == 0


def test_same_scene_same_picture_whatever_was_drawn_before(opaque):
    mesh = _filled(OPAQUE, 0.5)
    opaque.rgb(None)
    picture = opaque.rgb(mesh)
    with _renderer(OPAQUE) as other:
        assert np.array_equal(other.rgb(_filled(OPAQUE, 0.5)), picture)


def test_a_mesh_beyond_the_room_is_refused(opaque):
    vertices = np.zeros((LIQUID_VERTICES + 1, 3), np.float32)
    mesh = LiquidMesh(vertices=vertices, normals=vertices, faces=np.zeros((1, 3), np.int32))
    with pytest.raises(ValueError, match="has room for"):
        opaque.rgb(mesh)


def test_a_closed_renderer_says_so_and_may_be_closed_twice():
    renderer = _renderer(CLEAR)
    renderer.close()
    renderer.close()
    with pytest.raises(RuntimeError, match="closed"):
        renderer.rgb(None)


def test_without_egl_the_packages_are_named(monkeypatch):
    def broken(*_: object) -> None:
        raise ImportError("Unable to load EGL library")

    monkeypatch.setattr(mujoco.egl, "GLContext", broken)
    monkeypatch.delattr(renderer_module._windows, "window", raising=False)
    with pytest.raises(MissingExtra, match=r"libegl1 and libgl1-mesa-dri"):
        require_rendering()


def test_a_forgotten_renderer_makes_no_noise_at_exit():
    program = """
import mujoco
from multigen_core.simulation.randomisation import TRAINING_RANGES, draw_setup
from multigen_core.simulation.renderer import SceneRenderer
from multigen_core.simulation.scene import build_scene
model = build_scene(draw_setup(0, TRAINING_RANGES))
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = SceneRenderer(model, data, 32)
print(renderer.rgb(None).mean() > 1.0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert done.stderr == ""
