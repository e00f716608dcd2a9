"""Both dubbing stages on a tiny shard: lengths, origins, seeds, and untouched pictures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multigen_core.audio_model.contract import Backend
from multigen_core.dataset.lerobot import Shard, write_shard
from multigen_core.dub import audiovisual, noise_augmented
from multigen_core.experiment import Experiment
from multigen_core.params import load
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.pours import made_up_episode


class ToneModel:
    """As loud as the masks hold liquid; remembers its calls."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.batches: list[int] = []

    def generate(
        self,
        masks: Sequence[np.ndarray],
        *,
        fps: float,
        seeds: Sequence[int],
        rgb: Sequence[np.ndarray] | None = None,
    ) -> list[np.ndarray]:
        assert rgb is None or [len(one) for one in rgb] == [len(one) for one in masks]
        self.seeds += seeds
        self.batches.append(len(masks))
        return [
            (np.sin(np.arange(round(len(one) / fps * 16_000)) * 0.3) * np.mean(one == 3)).astype(np.float32)
            for one in masks
        ]


@pytest.fixture
def experiment() -> Experiment:
    pocket = load(Path("params.yaml"))
    return replace(pocket, compute=replace(pocket.compute, engine="serial"))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    source = tmp_path / "episodes"
    write_shard(source, [made_up_episode(seed, steps=12 + 3 * seed) for seed in range(6)])
    return Inputs(tmp_path, {"episodes": (source,), "audio_model": (tmp_path / "model",)}, "000")


@pytest.mark.parametrize(("at_once", "batches"), [(1, [1] * 6), (4, [4, 2])])
def test_every_episode_gets_the_sound_of_its_own_amodal_masks(
    experiment: Experiment,
    inputs: Inputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    batches: list[int],
) -> None:
    """One after the other, as for the pocket model, or many at once, as for MMAudio."""
    model = ToneModel()
    monkeypatch.setattr(audiovisual, "backend_of", lambda folder: Backend("", at_once=at_once))
    monkeypatch.setattr(audiovisual, "_model", lambda folder: model)
    out = tmp_path / "audiovisual"
    out.mkdir()
    summary = audiovisual.run(experiment, inputs, out, Silent())
    silent, dubbed = Shard(inputs.one("episodes")), Shard(out)
    assert summary["episodes"] == len(dubbed) == 6
    for index in range(6):
        track, episode = dubbed.soundtrack(index), silent.episode(index)
        assert track.origin == "generated" and track.episode_id == episode.episode_id
        (expected,) = ToneModel().generate([episode.masks_amodal], fps=10.0, seeds=[0])
        assert np.allclose(track.waveform, expected, atol=2e-4)
        assert np.array_equal(dubbed.episode(index).rgb, episode.rgb)
    assert len(set(model.seeds)) == 6
    assert model.batches == batches


def test_noise_has_nothing_to_do_with_the_pour(experiment: Experiment, inputs: Inputs, tmp_path: Path) -> None:
    tracks = []
    for name in ("first", "again"):
        out = tmp_path / name
        out.mkdir()
        summary = noise_augmented.run(experiment, inputs, out, Silent())
        tracks.append([Shard(out).soundtrack(index) for index in range(6)])
    assert {track.origin for track in tracks[0]} == {"noise"}
    assert float(summary["level_dbfs_min"] or 0.0) > -46.0
    for index, (first, again) in enumerate(zip(*tracks, strict=True)):
        assert np.array_equal(first.waveform, again.waveform)
        assert len(first.waveform) == (12 + 3 * index) * 1600
