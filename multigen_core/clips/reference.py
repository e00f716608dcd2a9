"""Reference clips: pours that are rendered and sounded here, so that everything about them is known.

Sight and sound follow the same curves: frame k shows the state at k / fps, sample n is heard at n / 16 kHz.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from multigen_core import media
from multigen_core.acoustics.synthesiser import TRAINING_SOUND_RANGES, draw_sound_scene, synthesise
from multigen_core.clips.contract import Candidate, Media, Truth
from multigen_core.clips.pour_curves import CURVE_RATE_HZ, PourCurves, draw_curves
from multigen_core.experiment import Experiment, seed_for
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.simulation.randomisation import REFERENCE_RANGES, PourSetup, draw_setup
from multigen_core.simulation.tabletop import TabletopPour

__all__ = ["ReferenceClips"]

_RANGES = replace(REFERENCE_RANGES, lip_along_y_m=(0.0, 0.011))
"""The lip stays over the receiver; the sound's fall height relies on it."""
_FINE_CRF = 8
"""The clip is encoded once more when it is cut: this first time nearly without loss."""


@dataclass(frozen=True)
class ReferenceClips:
    """``count`` pours of ``length_s``; clip k depends on its own seed only."""

    name: ClassVar[str] = "reference"
    seeds: tuple[int, ...]
    length_s: float
    fps: float
    size_px: int

    @classmethod
    def configured(cls, experiment: Experiment, root: Path) -> "ReferenceClips":
        clips = experiment.clips
        return cls(
            seeds=tuple(seed_for(experiment, "clips", "reference", k) for k in range(clips.reference_count)),
            length_s=clips.length_s,
            fps=clips.fps,
            size_px=clips.size_px,
        )

    def discover(self) -> list[Candidate]:
        return [
            Candidate(clip_id=f"reference-{k:04d}", source_id=f"reference-{k:04d}", location=str(k), licence="MIT")
            for k in range(len(self.seeds))
        ]

    def funnel(self) -> dict[str, int]:
        return {"rendered": len(self.seeds)}

    def recipe(self, candidate: Candidate) -> str | None:
        return f"{self.seeds[int(candidate.location)]} {self.length_s} {self.fps} {self.size_px}"

    def fetch(self, candidate: Candidate, folder: Path) -> Media:
        seed = self.seeds[int(candidate.location)]
        setup = draw_setup(seed, _RANGES)
        shape_rng, sound_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
        curves = draw_curves(shape_rng, setup, length_s=self.length_s)
        video, sound = folder / f"{candidate.clip_id}.mp4", folder / f"{candidate.clip_id}.flac"
        truth = self._render(setup, curves, video)
        media.write_flac(sound, self._sound(setup, curves, sound_rng))
        return Media(video=video, sound=sound, truth=truth)

    def _render(self, setup: PourSetup, curves: PourCurves, video: Path) -> Truth:
        frames = int(self.length_s * self.fps + 1e-6)
        shown = curves.at(np.arange(frames) / self.fps)
        states = shown[["tilt_rad", "level_m", "flow_ml_s"]].to_numpy(float)
        with TabletopPour(setup, self.size_px) as scene:
            drawn = [scene.frame(*state) for state in states]
        media.write_video(video, [frame.rgb for frame in drawn], fps=self.fps, crf=_FINE_CRF)
        return Truth(masks=np.stack([frame.amodal for frame in drawn]), curves=shown)

    def _sound(self, setup: PourSetup, curves: PourCurves, rng: np.random.Generator) -> np.ndarray:
        waveform = synthesise(
            draw_sound_scene(rng, setup.receiver.material, TRAINING_SOUND_RANGES),
            flow_ml_s=curves.flow_ml_s,
            air_column_m=curves.air_column_m,
            fall_height_m=curves.fall_height_m,
            radius_m=setup.receiver.mouth_radius_m,
            height_m=setup.receiver.height_m,
            seed=int(rng.integers(2**63)),
            rate_hz=CURVE_RATE_HZ,
        )
        return waveform[: int(self.length_s * SAMPLE_RATE_HZ)]
