"""LeRobot's own loader on one of our shards: the yardstick of `loader`.

Run by whichever Python has `lerobot`, since that package's torch is another than ours; so nothing of this project is
imported. ``PYTHON lerobot_loader.py SHARD --chunk N --heard N --batch N`` prints samples per second.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from torch.utils.data import DataLoader

BATCHES = 12
WORKERS = (0, 2)


def main() -> None:
    """Prints one line of JSON: samples per second by the number of worker processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shard", type=Path)
    parser.add_argument("--chunk", type=int, required=True, help="actions ahead of a step")
    parser.add_argument("--heard", type=int, required=True, help="steps of sound up to it")
    parser.add_argument("--batch", type=int, required=True)
    options = parser.parse_args()
    fps = json.loads((options.shard / "meta/info.json").read_text())["fps"]
    dataset = LeRobotDataset(
        "local/shard",
        root=options.shard,
        video_backend="pyav",
        delta_timestamps={
            "action": [step / fps for step in range(options.chunk)],
            "observation.audio.mic": [step / fps for step in range(1 - options.heard, 1)],
        },
    )
    print(json.dumps({f"{workers}": _samples_per_s(dataset, options.batch, workers) for workers in WORKERS}))


def _samples_per_s(dataset: LeRobotDataset, batch: int, workers: int) -> float:
    """Without the first batch, for which workers start."""
    batches = itertools.cycle(DataLoader(dataset, batch, shuffle=True, num_workers=workers, drop_last=True))
    next(batches)
    started_s = time.perf_counter()
    for _ in range(BATCHES):
        next(batches)
    return BATCHES * batch / (time.perf_counter() - started_s)


if __name__ == "__main__":
    main()
