"""The audio report on made-up episodes: physics scores well, noise does not, and nothing is missing."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multigen_core.audio_model import report
from multigen_core.audio_model.listening_page import LARGEST_BYTES
from multigen_core.audio_model.metrics import onset_lag_s, pitch_error_octaves
from multigen_core.dataset.lerobot import write_shard
from multigen_core.params import load
from multigen_core.progress import Silent
from multigen_core.records import Episode, Soundtrack
from multigen_core.stages import Inputs
from tests.pours import made_up_episode


class PhysicsModel:
    """The best audio model there could be: it knows the episodes and asks physics."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._episodes = episodes

    def generate(
        self,
        masks: Sequence[np.ndarray],
        *,
        fps: float,
        seeds: Sequence[int],
        rgb: Sequence[np.ndarray] | None = None,
    ) -> list[np.ndarray]:
        return [report.physical_sound(self._of(one), seed=seed) for one, seed in zip(masks, seeds, strict=True)]

    def _of(self, masks: np.ndarray) -> Episode:
        return next(episode for episode in self._episodes if np.array_equal(episode.masks_amodal, masks))


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [made_up_episode(seed, steps=45) for seed in range(4)]


def test_physical_sound_has_the_pitch_and_onset_of_its_episode(episodes: list[Episode]) -> None:
    for episode in episodes:
        waveform, truth = report.physical_sound(episode, seed=1), report.truth_of(episode)
        assert waveform.shape == (45 * 1600,)
        error, onset = pitch_error_octaves(waveform, truth), onset_lag_s(waveform, truth)
        assert error is not None and error < 0.1
        assert onset is not None and abs(onset) < 0.3


def test_report_ranks_physics_before_noise(
    episodes: list[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rng = PhysicsModel(episodes), np.random.default_rng(0)
    sounds = model.generate([episode.masks_amodal for episode in episodes], fps=10.0, seeds=[11, 12, 13, 14])
    noises = [rng.normal(0.0, 0.05, len(sound)).astype(np.float32) for sound in sounds]
    for stage, waveforms, origin in (("audiovisual", sounds, "generated"), ("noise_augmented", noises, "noise")):
        tracks = [
            Soundtrack(episode_id=episode.episode_id, waveform=waveform, origin=origin)
            for episode, waveform in zip(episodes, waveforms, strict=True)
        ]
        write_shard(tmp_path / stage, episodes, tracks)
    monkeypatch.setattr(report, "load_audio_model", lambda folder: model)
    params = load(Path("params.yaml"))
    params = replace(params, audio_report=replace(params.audio_report, episodes=3, seeds_per_episode=2))
    folders = {name: (tmp_path / name,) for name in ("audiovisual", "noise_augmented", "audio_model")}
    (tmp_path / "audio_model").mkdir()
    (tmp_path / "audio_model" / "config.json").write_text('{"backend": "pocket"}')
    out = tmp_path / "out"
    out.mkdir()
    summary = report.run(params, Inputs(tmp_path, folders, None), out, Silent())

    assert summary["episodes"] == 3
    for figure in ("sdr_db", "diversity", "pitch_error_octaves", "onset_lag_s", "offset_lag_s"):
        for prefix in ("", "noise_", "shuffled_", "other_seed_"):
            assert isinstance(summary[prefix + figure], float)
    assert float(summary["pitch_error_octaves"] or 9.0) < 0.1 < float(summary["noise_pitch_error_octaves"] or 0.0)
    assert float(summary["sdr_db"] or 0.0) > float(summary["noise_sdr_db"] or 0.0) + 1.0
    assert set(json.loads((out / "figures.json").read_text())) == set(report.CONDITIONS)
    assert len(pd.read_parquet(out / "scores.parquet")) == 3 * len(report.CONDITIONS)
    assert len(list(out.glob("*.png"))) == 1 + 3 and len(list(out.glob("*.flac"))) == 9
    page = (out / "index.html").read_text()
    assert page.count("<video") == 3 * 3 and page.count("data:image/jpeg") == 3
    assert len(page) < LARGEST_BYTES
    assert "http://" not in page and "https://" not in page
    assert all(condition.replace("_", " ") in page for condition in report.CONDITIONS)
