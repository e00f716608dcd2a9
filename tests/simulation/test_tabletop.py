from dataclasses import replace

import numpy as np
import pytest

from multigen_core.palette import Palette
from multigen_core.simulation.placement import clear_tilt_rad, mouth_centre_m
from multigen_core.simulation.randomisation import REFERENCE_RANGES, TRAINING_RANGES, draw_setup
from multigen_core.simulation.tabletop import TabletopPour
from multigen_core.simulation.tilted import overflow_tilt_rad

SIZE_PX = 48


def _at_edge(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


@pytest.mark.parametrize("seed", range(20))
def test_cup_and_lip_are_in_view_and_lit_in_every_scene(seed):
    setup = draw_setup(seed, TRAINING_RANGES)
    with TabletopPour(setup, SIZE_PX) as pour:
        frame = pour.frame(overflow_tilt_rad(setup.pitcher, setup.initial_ml), 0.02, 30.0)
    receiver = (frame.amodal == Palette.RECEIVER) | (frame.amodal == Palette.LIQUID)
    assert (frame.plain == Palette.RECEIVER).sum() > 0.008 * SIZE_PX**2
    assert not _at_edge(receiver)
    assert (frame.plain == Palette.POURER).sum() > 0.01 * SIZE_PX**2
    brightness = frame.rgb.mean(axis=2)
    assert 20.0 < brightness.mean() < 240.0 and brightness.std() > 5.0


@pytest.mark.parametrize("seed", range(6))
def test_amodal_shows_at_least_the_liquid_of_the_plain_mask(seed):
    setup = draw_setup(seed, TRAINING_RANGES)
    opaque = replace(setup, receiver=replace(setup.receiver, opaque=True))
    with TabletopPour(opaque, SIZE_PX) as pour:
        frame = pour.frame(1.0, 0.4 * setup.receiver.height_m, 20.0)
    assert np.all(frame.amodal[frame.plain == Palette.LIQUID] == Palette.LIQUID)
    assert (frame.amodal == Palette.LIQUID).sum() > (frame.plain == Palette.LIQUID).sum()


def test_liquid_grows_with_the_level_and_the_stream_with_the_flow():
    setup = draw_setup(2, REFERENCE_RANGES)
    with TabletopPour(setup, 96) as pour:
        heights = (0.0, 0.2, 0.4, 0.6)
        levels_m = [share * setup.receiver.height_m for share in heights]
        still = [(pour.frame(1.1, level_m, 0.0).amodal == Palette.LIQUID).sum() for level_m in levels_m]
        flowing = (pour.frame(1.1, 0.0, 40.0).amodal == Palette.LIQUID).sum()
    assert still == sorted(still) and still[3] > still[1] > still[0]
    assert flowing > still[0]


def test_same_setup_same_frame():
    setup = draw_setup(4, REFERENCE_RANGES)
    frames = []
    for _ in range(2):
        with TabletopPour(setup, SIZE_PX) as pour:
            frames.append(pour.frame(1.0, 0.03, 20.0))
    assert np.array_equal(frames[0].rgb, frames[1].rgb)
    assert np.array_equal(frames[0].amodal, frames[1].amodal)


def test_the_lip_comes_over_the_mouth_and_stays_there():
    setup = draw_setup(3, TRAINING_RANGES)
    with TabletopPour(setup, SIZE_PX) as pour:
        path = np.array([pour.lip_position_m(tilt) for tilt in np.radians(np.arange(0.0, 121.0, 10.0))])
        assert pour.fall_height_m(1.5, 0.05) == pytest.approx(pour.fall_height_m(1.5, 0.0) - 0.05)
    aside = path[:, 1] - mouth_centre_m(setup)[1]
    assert np.all(np.diff(aside) <= 1e-12)
    assert abs(aside[-1]) <= setup.receiver.mouth_radius_m
    later = np.radians(np.arange(0.0, 121.0, 10.0)) >= clear_tilt_rad(
        setup, lip_offset=(aside[-1], setup.lip_offset[1])
    )
    assert np.ptp(path[later], axis=0) == pytest.approx(0.0)
