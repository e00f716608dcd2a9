"""Stage ``audio_report``: Figure 4a, how true and how varied the generated sound is, against its controls.

The sound that physics gives the same episode is the reference. Beside the generated sound four controls are scored:
``noise`` (the baseline's sound), ``shuffled`` (generated for another episode) and ``other_seed`` (physics again, in
another room: the ceiling). Synthesiser and scorer share one formula, so this shows that the model tells pours apart;
whether it sounds real, the listening examples decide.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8

from multigen_core.acoustics.resonance import quarter_wave_hz
from multigen_core.acoustics.synthesiser import TRAINING_SOUND_RANGES, draw_sound_scene, synthesise
from multigen_core.audio_model import pictures
from multigen_core.audio_model.contract import CONFIG, load_audio_model
from multigen_core.audio_model.listening_page import Hearing, Track, listening_page
from multigen_core.audio_model.metrics import (
    PourTruth,
    band_sdr_db,
    diversity,
    lag_s,
    loudness_bias_db,
    matched_track_contrast_db,
    offset_lag_s,
    onset_lag_s,
    pitch_error_octaves,
)
from multigen_core.dataset.lerobot import Shard
from multigen_core.experiment import Experiment, seed_for
from multigen_core.media import write_flac
from multigen_core.progress import Progress
from multigen_core.records import Episode, Summary
from multigen_core.storage import write_json

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["CONDITIONS", "SCORES", "EpisodeSounds", "physical_sound", "run", "truth_of"]

CONDITIONS = ("generated", "noise", "shuffled", "other_seed")
SCORES = "scores.parquet"
"""One row per episode and condition."""
_MEDIANS = (
    "sdr_db",
    "pitch_error_octaves",
    "track_contrast_db",
    "loudness_bias_db",
    "onset_lag_s",
    "offset_lag_s",
    "lag_s",
)
_EXAMPLES = 3
"""Episodes with a picture and sound files."""
_HEARD = 10
"""Episodes on the listening page."""
_WORDS = {
    "generated": "what the policy learns from",
    "physical": "the reference",
    "noise": "the baseline",
}

Waveform = Float32[np.ndarray, " S"]


@dataclass(frozen=True)
class EpisodeSounds:
    """Everything that is heard for one episode."""

    episode_id: str
    container: str
    """The receiver's name."""
    truth: PourTruth
    generated: tuple[Waveform, ...]
    """The shard's own sound first, then further seeds."""
    noise: Waveform
    physical: tuple[Waveform, ...]
    """The reference first, then other rooms and seeds."""
    rgb: UInt8[np.ndarray, "T H W 3"]
    caption: str

    @property
    def heard(self) -> dict[str, Waveform]:
        """What is put side by side, by name."""
        return {"generated": self.generated[0], "physical": self.physical[0], "noise": self.noise}


def run(experiment: Experiment, inputs: "Inputs", out: Path, progress: Progress) -> Summary:
    """Scores up to ``audio_report.episodes`` episodes, evenly taken from all shards."""
    sounds = _gather(experiment, inputs, progress)
    rows = []
    for index, one in enumerate(sounds):
        another = sounds[(index + 1) % len(sounds)]
        heard = {
            "generated": one.generated[0],
            "noise": one.noise,
            "shuffled": another.generated[0],
            "other_seed": one.physical[1],
        }
        for condition, waveform in heard.items():
            scores = _scores(waveform, one)
            row = {"episode_id": one.episode_id, "container": one.container, "condition": condition}
            rows.append(row | scores)
        progress.update(index + 1, len(sounds), "episodes scored")
    table = pd.DataFrame(rows)
    table.to_parquet(out / SCORES)
    figures = _figures(table, sounds)
    write_json(out / "figures.json", figures)
    (out / "fidelity_and_diversity.png").write_bytes(pictures.fidelity_and_diversity(figures))
    hearings = []
    for number, one in enumerate(sounds[:_HEARD]):
        picture = pictures.spectrograms(one.heard, one.truth)
        hearings.append(_hearing(one, picture))
        if number < _EXAMPLES:
            _write_example(out, one, picture)
        progress.update(number + 1, min(len(sounds), _HEARD), "episodes put on the listening page")
    backend = str(json.loads((inputs.one("audio_model") / CONFIG).read_text())["backend"])
    (out / "index.html").write_text(listening_page(hearings, figures=figures, backend=backend))
    generated = figures.pop("generated")
    prefixed = {f"{condition}_{name}": value for condition, row in figures.items() for name, value in row.items()}
    return {"episodes": len(sounds), **generated, **prefixed}


def truth_of(episode: Episode) -> PourTruth:
    """What physics says about an episode."""
    f0_hz = quarter_wave_hz(np.maximum(episode.air_column_m.astype(float), 0.0), episode.receiver.mouth_radius_m)
    return PourTruth(rate_hz=episode.rate_hz, flow_ml_s=episode.flow_ml_s.astype(float), f0_hz=np.asarray(f0_hz))


def physical_sound(episode: Episode, *, seed: int) -> Waveform:
    """What a microphone would hear: the episode's true flow, level and fall in a room drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    receiver = episode.receiver
    return synthesise(
        draw_sound_scene(rng, receiver.material, TRAINING_SOUND_RANGES),
        flow_ml_s=episode.flow_ml_s,
        air_column_m=np.maximum(episode.air_column_m, 0.0),
        fall_height_m=episode.fall_height_m,
        radius_m=receiver.mouth_radius_m,
        height_m=receiver.height_m,
        seed=int(rng.integers(2**63)),
        rate_hz=episode.rate_hz,
    )


def _gather(experiment: Experiment, inputs: "Inputs", progress: Progress) -> list[EpisodeSounds]:
    """The sounds of the chosen episodes, generated and synthesised."""
    params = experiment.audio_report
    dubbed = [Shard(folder) for folder in inputs.folders["audiovisual"]]
    noisy = [Shard(folder) for folder in inputs.folders["noise_augmented"]]
    places = [(shard, index) for shard in range(len(dubbed)) for index in range(len(dubbed[shard]))]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(params.episodes, len(places))).round().astype(int))
    model = load_audio_model(inputs.one("audio_model"))
    sounds = []
    for shard, index in (places[place] for place in chosen):
        episode = dubbed[shard].episode(index)
        seeds = [seed_for(experiment, "audio_report", episode.episode_id, k) for k in range(params.seeds_per_episode)]
        count = len(seeds) - 1
        further = model.generate(
            [episode.masks_amodal] * count, fps=episode.rate_hz, seeds=seeds[1:], rgb=[episode.rgb] * count
        )
        sounds.append(
            EpisodeSounds(
                episode_id=episode.episode_id,
                container=episode.receiver.name,
                truth=truth_of(episode),
                generated=(dubbed[shard].soundtrack(index).waveform, *further),
                noise=noisy[shard].soundtrack(index).waveform,
                physical=tuple(physical_sound(episode, seed=seed) for seed in seeds),
                rgb=episode.rgb,
                caption=_caption(episode),
            )
        )
        progress.update(len(sounds), len(chosen), "episodes sounded")
    return sounds


def _scores(waveform: Waveform, one: EpisodeSounds) -> dict[str, float | None]:
    onset, offset = onset_lag_s(waveform, one.truth), offset_lag_s(waveform, one.truth)
    return {
        "sdr_db": band_sdr_db(waveform, one.physical[0]),
        "pitch_error_octaves": pitch_error_octaves(waveform, one.truth),
        "track_contrast_db": matched_track_contrast_db(waveform, one.truth),
        "loudness_bias_db": _loudness_bias_db(waveform, one),
        "onset_lag_s": None if onset is None else abs(onset),
        "offset_lag_s": None if offset is None else abs(offset),
        "lag_s": abs(lag_s(waveform, one.truth)),
    }


def _loudness_bias_db(waveform: Waveform, one: EpisodeSounds) -> float | None:
    """Against the mean of all rooms: one room alone is several decibels louder or quieter than another."""
    rooms = [sound for sound in one.physical if sound is not waveform]
    biases = [loudness_bias_db(waveform, sound, one.truth) for sound in rooms]
    told = [bias for bias in biases if bias is not None]
    return float(np.mean(told)) if told else None


def _figures(table: pd.DataFrame, sounds: Sequence[EpisodeSounds]) -> dict[str, dict[str, float | None]]:
    """Condition -> figure -> value: medians over episodes, and how varied each set is against physics.

    ``diversity`` is between episodes, ``diversity_of_seeds`` between the sounds of one episode.
    """
    physical = [one.physical[0] for one in sounds]
    sets: Mapping[str, list[Waveform]] = {
        "generated": [one.generated[0] for one in sounds],
        "noise": [one.noise for one in sounds],
        # The same sounds in another order: as varied, and wrong.
        "shuffled": [one.generated[0] for one in sounds],
        "other_seed": [one.physical[1] for one in sounds],
    }
    figures: dict[str, dict[str, float | None]] = {}
    for condition in CONDITIONS:
        rows = table[table["condition"] == condition]
        medians = {name: float(rows[name].astype(float).median()) for name in _MEDIANS}
        figures[condition] = {name: None if np.isnan(value) else round(value, 4) for name, value in medians.items()}
        figures[condition]["diversity"] = round(diversity(sets[condition], physical), 4)
    of_seeds = [diversity(one.generated, one.physical) for one in sounds]
    figures["generated"]["diversity_of_seeds"] = round(float(np.median(of_seeds)), 4)
    return figures


def _caption(episode: Episode) -> str:
    receiver, liquid = episode.receiver, episode.liquid.name.replace("_", " ")
    return (
        f"{liquid} into {receiver.name.replace('_', ' ')} ({'opaque' if receiver.opaque else 'clear'}, "
        f"{receiver.capacity_ml:.0f} ml): {episode.poured_ml[-1]:.0f} of {episode.target_ml:.0f} ml"
    )


def _hearing(one: EpisodeSounds, picture: bytes) -> Hearing:
    tracks = tuple(Track(name, _WORDS[name], waveform) for name, waveform in one.heard.items())
    return Hearing(one.episode_id, one.caption, one.rgb, one.truth.rate_hz, tracks, picture)


def _write_example(out: Path, one: EpisodeSounds, picture: bytes) -> None:
    for name, waveform in one.heard.items():
        write_flac(out / f"{one.episode_id}-{name}.flac", waveform)
    (out / f"{one.episode_id}-spectrograms.png").write_bytes(picture)
