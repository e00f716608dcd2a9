"""How far the masks tell the resonance: of the clips that the audio model learns from, and of the simulator's episodes.

The pitch that the model is asked for follows from the air column in the picture and the scale that the ruler guesses
for the picture. Both errors are in octaves: of the episodes against physics, of the clips against what is heard. The
segmenter's masks and the exact ones of the same clips show what is left of the gap between training and use.

``python -m benchmarks.ruler --json FILE`` reads the folders of ``make demo``, for half a minute.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.__main__ import commit
from multigen_core.acoustics.tracker import ResonanceTrack, track_resonance
from multigen_core.audio_model.conditioning import PITCH, STREAM, foot_height, mask_features
from multigen_core.audio_model.report import truth_of
from multigen_core.audio_model.ruler import Reading, Ruler, fit_ruler, heard_scale
from multigen_core.clips.catalogue import read_catalogue, true_masks
from multigen_core.dataset.lerobot import Shard
from multigen_core.machine import hardware
from multigen_core.media import read_flac, read_masks
from multigen_core.params import load

CLIPS, MASKS = Path("data") / "clips", Path("data") / "masks"
EPISODES = Path("data") / "episodes"


def figures(shards: Sequence[str]) -> dict[str, object]:
    """The ruler laid on the segmenter's masks, and on exact ones, and what each makes of the episodes."""
    pairs = list(_clips())
    segmented, exact = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    both = [(a.scale, b.scale) for a, b in pairs if a.scale is not None and b.scale is not None]
    swollen = np.array([a - b for a, b in both])
    episodes = [_episode(Shard(EPISODES / f"shard={name}"), index) for name in shards for index in range(_length(name))]
    rising = np.array([over_a_pour for _, over_a_pour in episodes])
    return {
        "clips": len(both),
        "segmented_masks_longer_octaves": {"median": float(np.median(swollen)), "sd": float(swollen.std())},
        "episodes": len(episodes),
        "along_one_pour_octaves": {"mean": float(rising.mean()), "sd": float(rising.std())},
        "ruler_on_segmented_masks": _errors(fit_ruler(segmented), [reading for reading, _ in episodes]),
        "ruler_on_exact_masks": _errors(fit_ruler(exact), [reading for reading, _ in episodes]),
    }


def _clips() -> Iterator[tuple[Reading, Reading]]:
    """By the segmenter's masks and by exact ones, of every clip for training that has both."""
    usable = pd.read_parquet(MASKS / "quality.parquet").set_index("clip_id")["usable"]
    catalogue = read_catalogue(CLIPS)
    rows = zip(catalogue["clip_id"], catalogue["fps"].astype(float), catalogue["split"], strict=True)
    for clip_id, fps, split in rows:
        exact = true_masks(CLIPS, clip_id)
        if split == "train" and usable.loc[clip_id] and exact.is_file():
            track = track_resonance(read_flac(CLIPS / "media" / f"{clip_id}.flac"))
            segmented = read_masks(MASKS / f"{clip_id}.mp4")
            yield _reading(segmented, track, fps), _reading(read_masks(exact), track, fps)


def _reading(masks: np.ndarray, track: ResonanceTrack, fps: float) -> Reading:
    return Reading(foot_height(masks), heard_scale(track, mask_features(masks, fps=fps), fps=fps))


def _episode(shard: Shard, index: int) -> tuple[Reading, float]:
    """Its scale by physics, and by how much that differs between the last and the first quarter of the pour."""
    episode = shard.episode(index)
    truth = truth_of(episode)
    features = mask_features(episode.masks_amodal, fps=episode.rate_hz)
    pours = truth.flowing & (features[:, STREAM] > 0.5)
    scales = np.log2(truth.f0_hz[pours]) + features[pours, PITCH]
    quarter = max(len(scales) // 4, 1)
    reading = Reading(foot_height(episode.masks_amodal), float(np.median(scales)))
    return reading, float(scales[-quarter:].mean() - scales[:quarter].mean())


def _length(shard: str) -> int:
    return len(Shard(EPISODES / f"shard={shard}"))


def _errors(ruler: Ruler, readings: Sequence[Reading]) -> dict[str, float]:
    errors = np.array([ruler.scale(one.foot_height) - one.scale for one in readings if one.scale is not None])
    return {"mean": float(errors.mean()), "sd": float(errors.std()), "median_absolute": float(np.median(abs(errors)))}


def main(arguments: list[str] | None = None) -> None:
    """Prints the figures; with ``--json`` also writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ruler", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(arguments)
    experiment = load(Path("params.yaml"))
    found = {"hardware": hardware(), "commit": commit(), "seed": experiment.seed}
    found["figures"] = figures(experiment.episodes.shards)
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
