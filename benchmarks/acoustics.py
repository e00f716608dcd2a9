"""The synthesiser beside real recordings, and how much sound it makes per CPU second.

For every recording in the folder that ``--clips`` names, the resonance is tracked and pours with the same resonance
at the same moments are synthesised, in rooms and with materials as they are drawn for training. Band statistics, Q,
modulation and transients stand side by side; with ``--pictures`` so do the spectrograms. The synthetic figures are
medians over ``SCENES`` draws.
"""

import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from multigen_core.acoustics.character import BANDS_HZ, Character, character_of
from multigen_core.acoustics.pour_detection import find_pour
from multigen_core.acoustics.resonance import air_column_from_hz
from multigen_core.acoustics.synthesiser import TRAINING_SOUND_RANGES, draw_sound_scene, synthesise
from multigen_core.acoustics.tracker import track_resonance
from multigen_core.containers import Material
from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment
from multigen_core.media import read_sound
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.spectrogram import magnitude

SCENES = 7
RATE_HZ = 50.0
GUESSED_RADIUS_M = 0.035
"""Of a cup that was not measured; only the loss of the air column near the brim depends on it."""
MATERIALS: tuple[Material, ...] = ("plastic", "glass", "metal", "paper", "ceramic")
VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".wav", ".flac"}
SECONDS = 12.0


@dataclass(frozen=True)
class Cup:
    radius_m: float
    material: Material


def figures(experiment: Experiment, clips: Path | None = None, pictures: Path | None = None) -> dict[str, object]:
    """Speed per material, and for each recording the figures ``real`` and ``synthetic``."""
    table: dict[str, object] = {"speed_s_per_cpu_s": _speed(experiment.seed)}
    if clips is None:
        return table
    paths = sorted(path for path in clips.rglob("*") if path.suffix.lower() in VIDEOS)
    if not paths:
        raise MissingInput(f"--clips {clips} holds no recordings ({', '.join(sorted(VIDEOS))}): name another folder")
    for path in paths:
        real = read_sound(path)
        character = character_of(real)
        if character is None:
            table[path.stem] = "no pour found"
            continue
        cup = _cup(path)
        likenesses = [_likeness(real, cup, seed) for seed in range(SCENES)]
        others = [found for found in map(character_of, likenesses) if found is not None]
        table[path.stem] = {"real": _row([character]), "synthetic": _row(others)}
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            _draw(pictures / f"{path.stem}.jpg", real, likenesses[0])
    return table


def _speed(seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    steps = int(SECONDS * 10)
    speeds = {}
    for material in MATERIALS:
        scene = draw_sound_scene(np.random.default_rng(seed), material, TRAINING_SOUND_RANGES)
        times = []
        for repeat in range(3):
            started_s = time.process_time()
            synthesise(
                scene,
                flow_ml_s=np.full(steps, 30.0),
                air_column_m=np.linspace(0.1, 0.02, steps),
                fall_height_m=np.full(steps, 0.08),
                radius_m=0.035,
                height_m=0.11,
                seed=seed + repeat,
                rate_hz=10.0,
            )
            times.append(time.process_time() - started_s)
        speeds[material] = SECONDS / min(times)
    return speeds


def _cup(path: Path) -> Cup:
    """Mean radius and material from the measurements beside the recording, or a glass of a usual size."""
    notes = path.with_suffix(".json")
    if not notes.is_file():
        return Cup(GUESSED_RADIUS_M, "glass")
    values = json.loads(notes.read_text())
    sizes = values["measurements"]
    radius_m = (sizes["diameter_bottom"] + sizes["diameter_top"]) / 400.0
    return Cup(radius_m, values["material"] if values["material"] in MATERIALS else "glass")


def _likeness(real: np.ndarray, cup: Cup, seed: int) -> np.ndarray:
    """A synthetic pour, as long, of the same resonance at the same moments, in a scene drawn from ``seed``."""
    track, pour = track_resonance(real), find_pour(real)
    assert pour is not None
    steps_s = np.arange(int(len(real) / SAMPLE_RATE_HZ * RATE_HZ)) / RATE_HZ
    f0_hz = np.interp(steps_s, track.times_s, track.f0_hz)
    column_m = np.maximum(air_column_from_hz(f0_hz, cup.radius_m), 0.002)
    inside = (steps_s >= pour.start_s) & (steps_s < pour.stop_s)
    rng = np.random.default_rng(seed)
    return synthesise(
        draw_sound_scene(rng, cup.material, TRAINING_SOUND_RANGES),
        flow_ml_s=np.where(inside, 30.0, 0.0),
        air_column_m=column_m,
        fall_height_m=0.05 + column_m,
        radius_m=cup.radius_m,
        height_m=float(column_m[inside].max()) + 0.005,
        seed=int(rng.integers(2**63)),
        rate_hz=RATE_HZ,
    )


def _row(characters: list[Character]) -> dict[str, float]:
    """Medians of the figures, one name each."""

    def median(values: list[float]) -> float:
        return round(float(np.median(values)), 2)

    names = [f"{low:g}-{high:g}_hz" for low, high in itertools.pairwise(BANDS_HZ)]
    row = {f"level_{name}_db": median([one.band_db[k] for one in characters]) for k, name in enumerate(names)}
    row |= {f"spread_{name}_db": median([one.band_spread_db[k] for one in characters]) for k, name in enumerate(names)}
    for name in ("tilt_db_per_octave", "modulation_peak_hz", "transients_hz", "q"):
        row[name] = median([getattr(one, name) for one in characters])
    for k, name in enumerate(("first", "third", "fifth")):
        row[f"{name}_partial_db"] = median([one.partials_db[k] for one in characters])
    return row


def _draw(path: Path, real: np.ndarray, synthetic: np.ndarray) -> None:
    """Two spectrograms with the same scales, one above the other."""
    figure = Figure(figsize=(9.0, 4.6), dpi=90, layout="constrained")
    rows = figure.subplots(2, 1, sharex=True)
    for axes, sound, name in zip(rows, (real, synthetic), ("real", "synthetic"), strict=True):
        level = 20.0 * np.log10(magnitude(torch.from_numpy(np.ascontiguousarray(sound))).numpy() + 1e-6)
        top = float(np.percentile(level, 99.7))
        extent = (0.0, len(sound) / SAMPLE_RATE_HZ, 0.0, SAMPLE_RATE_HZ / 2)
        axes.imshow(level, origin="lower", aspect="auto", extent=extent, vmin=top - 55.0, vmax=top, cmap="magma")
        axes.set_ylim(0.0, 5000.0)
        axes.set_ylabel(f"{name} [Hz]")
    rows[-1].set_xlabel("time [s]")
    figure.savefig(path, pil_kwargs={"quality": 82})
