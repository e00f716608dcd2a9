"""What the segmenter learns from: vessels of any colour, and labels that show only what can be seen."""

import numpy as np

from multigen_core.masks.training_frames import SceneItem, any_paint, render_scene
from multigen_core.simulation.randomisation import REFERENCE_RANGES, TRAINING_RANGES, draw_setup
from multigen_core.simulation.training_ware import TRAINING_RECEIVERS


def test_opaque_vessels_are_painted_black_white_and_garish() -> None:
    generator = np.random.default_rng(0)
    opaque = next(cup for cup in TRAINING_RECEIVERS if cup.opaque)
    painted = [any_paint(opaque, generator) for _ in range(600)]
    colors = np.array([vessel.color for vessel in painted if vessel.color != opaque.color])
    assert 0.4 < len(colors) / len(painted) < 0.6
    brightest, darkest = colors.max(axis=1), colors.min(axis=1)
    assert (brightest < 0.15).any() and (darkest > 0.7).any() and (brightest - darkest > 0.6).any()
    assert {(vessel.profile, vessel.opaque) for vessel in painted} == {(opaque.profile, True)}


def test_clear_vessels_stay_clear() -> None:
    generator = np.random.default_rng(0)
    clear = [cup for cup in TRAINING_RECEIVERS if not cup.opaque]
    assert all(any_paint(cup, generator) == cup for cup in clear for _ in range(20))


def test_liquid_is_labelled_in_clear_receivers_and_not_behind_opaque_walls() -> None:
    shown = {True: 0, False: 0}
    for seed in range(12):
        ranges = "reference" if seed % 2 else "training"
        frames = render_scene(SceneItem(seed=seed, ranges=ranges, frames=3, image_px=48))
        opaque = draw_setup(seed, REFERENCE_RANGES if seed % 2 else TRAINING_RANGES).receiver.opaque
        inside = (frames.masks == 3) & _below_the_rim(frames.masks)
        shown[opaque] += int(inside.sum())
    assert shown[False] > 200
    assert shown[True] < 0.1 * shown[False]


def _below_the_rim(masks: np.ndarray) -> np.ndarray:
    """Rows in the lower half of what belongs to the receiver or to liquid."""
    place = np.zeros(masks.shape, bool)
    for mask, rows in zip(masks, place, strict=True):
        lines = np.flatnonzero((mask == 2).any(axis=1))
        if len(lines):
            rows[(lines[0] + lines[-1]) // 2 : lines[-1] + 1] = True
    return place
