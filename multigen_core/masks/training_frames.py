"""Simulator frames whose masks come for free: the training set of the pocket U-Net."""

import colorsys
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from multigen_core.containers import Container
from multigen_core.simulation.randomisation import REFERENCE_RANGES, TRAINING_RANGES, Ranges, draw_setup
from multigen_core.simulation.tabletop import TabletopPour

__all__ = ["LabelledFrames", "SceneItem", "any_paint", "render_scene"]

_RANGES: dict[str, Ranges] = {"reference": REFERENCE_RANGES, "training": TRAINING_RANGES}
_POURING = 0.75
"""Share of the frames in which liquid flows."""
_PAINTED = 0.5
"""Share of the opaque vessels that get any paint at all: of a few colours, the network would learn that whatever is as
dark as cola is cola, the empty black cup too."""


@dataclass(frozen=True)
class SceneItem:
    """One random scene, to be rendered in any process."""

    seed: int
    ranges: Literal["reference", "training"]
    frames: int
    image_px: int


@dataclass(frozen=True)
class LabelledFrames:
    """Frames of one scene with their palette masks."""

    rgb: UInt8[np.ndarray, "frames H W 3"]
    masks: UInt8[np.ndarray, "frames H W"]


def render_scene(item: SceneItem) -> LabelledFrames:
    """Draws the scene at random moments of a pour: any tilt, level and flow.

    The label shows the liquid inside a clear receiver; inside an opaque one nobody could see it.
    """
    generator = np.random.default_rng(item.seed)
    setup = draw_setup(item.seed, _RANGES[item.ranges])
    receiver, pitcher = (any_paint(vessel, generator) for vessel in (setup.receiver, setup.pitcher))
    setup = replace(setup, receiver=receiver, pitcher=pitcher)
    images, masks = [], []
    with TabletopPour(setup, item.image_px) as scene:
        for _ in range(item.frames):
            pouring = generator.random() < _POURING
            frame = scene.frame(
                float(np.radians(generator.uniform(35.0, 110.0) if pouring else generator.uniform(0.0, 60.0))),
                float(setup.receiver.height_m * generator.uniform(0.0, 0.97)),
                float(generator.uniform(5.0, 70.0)) if pouring else 0.0,
            )
            images.append(frame.rgb)
            masks.append(frame.plain if setup.receiver.opaque else frame.amodal)
    return LabelledFrames(np.stack(images), np.stack(masks))


def any_paint(vessel: Container, generator: np.random.Generator) -> Container:
    """Half of the opaque vessels in any colour, from black to white and from grey to garish; the others as they are."""
    if not vessel.opaque or generator.random() >= _PAINTED:
        return vessel
    hue, saturation, value = generator.uniform(0.0, 1.0), generator.uniform(0.0, 0.9), generator.uniform(0.03, 0.95)
    return replace(vessel, color=colorsys.hsv_to_rgb(hue, saturation, value))
