"""Outputs of every stage that the report reads, made up in a few files, with manifests as the real ones have."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from multigen_core.audio_model.conditioning import CONDITIONS
from multigen_core.audio_model.pocket import Normaliser, PocketAudioModel
from multigen_core.audio_model.pocket_network import PocketConfig, PocketTransformer
from multigen_core.audio_model.ruler import Ruler
from multigen_core.clips.catalogue import write_catalogue, write_quarantine
from multigen_core.dataset.lerobot import write_shard
from multigen_core.evaluation.figures import overlay_strip
from multigen_core.evaluation.protocol import plan
from multigen_core.evaluation.table import write_trials
from multigen_core.experiment import Experiment
from multigen_core.media import write_flac, write_masks, write_video
from multigen_core.params import load
from multigen_core.records import SAMPLE_RATE_HZ, Trial
from multigen_core.spectrogram import MELS
from multigen_core.stages import output_of, stage_named
from multigen_core.storage import output_folder, write_json
from tests.pours import made_up_episode, made_up_soundtrack

__all__ = ["experiment", "made_up_run", "made_up_trials"]

FRAMES, FPS, SIZE_PX = 8, 4.0, 32


def experiment(*, trials: int = 8) -> Experiment:
    """The project's params with few trials and one shard."""
    params = load(Path(__file__).parents[2] / "params.yaml")
    return replace(
        params,
        evaluation=replace(params.evaluation, trials=trials, bootstrap=200, videos=1),
        episodes=replace(params.episodes, shards=("000",)),
    )


def made_up_trials(params: Experiment, ablation: str, *, spread: float, seed: int = 0) -> list[Trial]:
    """Trials whose errors are drawn with a spread, as a share of the target."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, task in enumerate(plan(params)):
        capacity_ml = task.receiver.capacity_ml
        target_ml = task.goal_fraction * capacity_ml
        rows.append(
            Trial(
                trial=number,
                ablation=ablation,
                lab="emulated",
                container=task.receiver.name,
                opaque=task.receiver.opaque,
                goal_fraction=task.goal_fraction,
                target_ml=target_ml,
                capacity_ml=capacity_ml,
                poured_ml=float(max(0.0, target_ml * (1.0 + spread * rng.normal()))),
                spilled_ml=float(rng.uniform(0.0, 3.0)),
                in_pitcher_ml=100.0,
                duration_s=9.0,
                outcome="stopped",
                seed=task.seed,
            )
        )
    return rows


def made_up_run(root: Path, params: Experiment) -> None:
    """Fills ``root`` as the stages would."""
    steps = [
        {"step": "candidates", "kept": 3},
        {"step": "without_no_sound", "kept": 2},
        {"step": "accepted", "kept": 2},
    ]
    _finish(root, "clips", None, {"funnel": steps}, _clips)
    _finish(root, "masks", None, {}, _masks)
    _finish(root, "audio_model", None, {}, _audio_model)
    _finish(root, "audiovisual", "000", {}, _audiovisual)
    _finish(root, "audio_report", None, {}, _audio_report)
    for number, ablation in enumerate(params.policy.ablations):
        _finish(root, "policy", ablation, {"episodes": 40}, _policy)
        trials = made_up_trials(params, ablation, spread=0.4 / (1 + number), seed=number)
        _finish(root, "evaluation", ablation, {}, lambda folder, trials=trials: _evaluation(folder, trials))


def _finish(
    root: Path, stage: str, partition: str | None, summary: Mapping[str, object], fill: Callable[[Path], None]
) -> None:
    with output_folder(root / output_of(stage_named(stage), partition)) as folder:
        fill(folder)
        write_json(folder / "summary.json", summary)


def _frames() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (FRAMES, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def _noise() -> np.ndarray:
    samples = round(FRAMES / FPS * SAMPLE_RATE_HZ)
    return np.random.default_rng(2).normal(0.0, 0.1, samples).astype(np.float32)


def _clips(folder: Path) -> None:
    (folder / "media").mkdir()
    rows = []
    for clip_id, source in (("local-1", "local"), ("reference-1", "reference")):
        write_video(folder / "media" / f"{clip_id}.mp4", _frames(), fps=FPS, sound=_noise())
        write_flac(folder / "media" / f"{clip_id}.flac", _noise())
        rows.append(
            {
                "clip_id": clip_id,
                "source": source,
                "source_id": f"{source}<b>",
                "start_s": 1.0,
                "end_s": 3.0,
                "duration_s": 2.0,
                "fps": FPS,
                "width_px": SIZE_PX,
                "height_px": SIZE_PX,
                "onset_s": 0.2,
                "offset_s": 1.8,
                "level_dbfs": -20.0,
                "air_column_error_m": 0.004 if source == "local" else float("nan"),
                "licence": "CC0",
                "sha256": "0" * 64,
                "split": "train",
            }
        )
    write_catalogue(folder, rows)
    write_quarantine(folder, [{"source": "local", "path": "silent.mp4", "reason": "no_sound", "figure": None}])


def _masks(folder: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 4, (FRAMES, SIZE_PX, SIZE_PX), dtype=np.uint8)
    for clip_id in ("local-1", "reference-1"):
        write_masks(folder / f"{clip_id}.mp4", labels, fps=FPS)
    pd.DataFrame({"clip_id": ["local-1", "reference-1"], "usable": [False, True]}).to_parquet(
        folder / "quality.parquet"
    )


def _audio_model(folder: Path) -> None:
    """Weights as they are drawn."""
    config = PocketConfig(
        hidden=16,
        depth=1,
        heads=2,
        window_s=1.0,
        sampling_steps=2,
        guidance=1.0,
        loudness_guidance=1.0,
        vocoder_iterations=2,
    )
    mels, conditions = torch.zeros(MELS), torch.zeros(len(CONDITIONS))
    scales = Normaliser(mels - 3.0, mels + 0.5, conditions, conditions + 1.0)
    PocketAudioModel(PocketTransformer(config), scales, Ruler()).save(folder)
    curve = {"step": [1, 2], "training_loss": [1.0, 0.5], "validation_loss": [1.1, 0.7]}
    pd.DataFrame(curve | {"validation_loss_shuffled": [1.2, 0.9]}).to_parquet(folder / "curve.parquet")


def _audio_report(folder: Path) -> None:
    figures = {"sdr_db": 3.2, "diversity": 0.8, "pitch_error_octaves": 0.1, "onset_lag_s": None}
    write_json(folder / "figures.json", {"generated": figures, "shuffled": figures | {"sdr_db": 1.0}})
    (folder / "fidelity_and_diversity.png").write_bytes(overlay_strip(list(_frames())))
    (folder / "pour-1-spectrograms.png").write_bytes(overlay_strip(list(_frames())))
    for name in ("generated", "physical", "noise"):
        write_flac(folder / f"pour-1-{name}.flac", _noise())


def _policy(folder: Path) -> None:
    names = ["validation_loss", "validation_action_error"]
    rows = [(step, name, 1.0 / step) for step in (1, 2) for name in names]
    pd.DataFrame(rows, columns=["step", "name", "value"]).to_parquet(folder / "curve.parquet")


def _audiovisual(folder: Path) -> None:
    episodes = [made_up_episode(seed) for seed in (0, 1)]
    write_shard(folder, episodes, [made_up_soundtrack(episode) for episode in episodes])


def _evaluation(folder: Path, trials: list[Trial]) -> None:
    write_trials(folder, trials)
    (folder / "videos").mkdir()
    write_video(folder / "videos" / "trial-000.mp4", _frames(), fps=FPS, sound=_noise())
