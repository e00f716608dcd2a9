"""How long it takes to curate a thousand recordings: cold, killed half-way, and when nothing changed.

Local recordings of 8 s are made from a few rendered pours, each with its own speed, gain, noise, light and part of the
picture; those that still come out too alike end as duplicates, after they were cut and measured. The peer is ffmpeg,
called on the same files by the same number of processes: one call that decodes each, to learn whether it is whole, and
one that cuts, scales and encodes as the stage does. It finds no pours, measures nothing and writes no catalogue.

``python -m benchmarks.clips --size 1000 --json FILE`` runs it alone; ``FFMPEG`` in the environment names the program.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from multigen_core.clips.curation import CUTS
from multigen_core.clips.reference import ReferenceClips
from multigen_core.experiment import Clips, Experiment, seed_for
from multigen_core.media import read_flac, read_video, write_video
from multigen_core.params import load
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.storage import read_summary

SIZE = 1000
SMALL = 60
"""As one benchmark among others."""
LENGTH_S = 8.0
FPS = 25.0
HEIGHT_PX, WIDTH_PX = 288, 384
_POURS = 3
_RENDERED_PX, _RENDERED_FPS = 320, 10.0
_KILL_AT = 0.5


def figures(experiment: Experiment, size: int = SMALL) -> dict[str, float | str]:
    """Seconds and clips per second of every run, in the numbers of ``size`` recordings."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        clips = replace(experiment.clips, sources=("local",), inbox="inbox")
        workers = experiment.compute.workers or len(os.sched_getaffinity(0))
        (root / "inbox").mkdir()
        (root / "rendered").mkdir()
        _render(experiment, root / "rendered")
        _spread(_make, [(root, number) for number in range(size)], workers)
        (root / "params.yaml").write_text(_params(clips))
        found: dict[str, float | str] = {
            "recordings": float(size),
            "seconds_each": LENGTH_S,
            "processes": float(workers),
        }
        found["recordings_megabytes"] = sum(path.stat().st_size for path in (root / "inbox").iterdir()) / 1e6
        found |= _curated(root, size)
        found |= _peer(root, clips, workers, size)
    return found


def _params(clips: Clips) -> str:
    """This project's params with the inbox of the benchmark."""
    lines = Path("params.yaml").read_text().splitlines()
    changed = {"  sources:": "  sources: [local]", "  inbox:": f"  inbox: {clips.inbox}"}
    return "\n".join(next((new for old, new in changed.items() if line.startswith(old)), line) for line in lines) + "\n"


def _render(experiment: Experiment, folder: Path) -> None:
    """The pours that the recordings are made of."""
    seeds = tuple(seed_for(experiment, "benchmark", "clips", k) for k in range(_POURS))
    source = ReferenceClips(seeds=seeds, length_s=1.3 * LENGTH_S, fps=_RENDERED_FPS, size_px=_RENDERED_PX)
    for candidate in source.discover():
        source.fetch(candidate, folder)


@lru_cache(maxsize=_POURS)
def _rendered(root: Path, pour: int) -> tuple[np.ndarray, np.ndarray]:
    stem = root / "rendered" / f"reference-{pour:04d}"
    return np.stack(list(read_video(stem.with_suffix(".mp4")))), read_flac(stem.with_suffix(".flac"))


def _make(job: tuple[Path, int]) -> None:
    """Recording ``number``: a pour at another speed, so that pitch and rhythm differ, in another light."""
    root, number = job
    rng = np.random.default_rng(number)
    pictures, sound = _rendered(root, number % _POURS)
    speed = rng.uniform(0.8, 1.25)
    samples = np.arange(round(LENGTH_S * SAMPLE_RATE_HZ)) * speed
    faster = np.interp(samples, np.arange(len(sound)), sound, left=0.0, right=0.0)
    hiss = rng.uniform(0.02, 0.1) * np.sqrt(np.mean(faster**2)) * rng.standard_normal(len(faster))
    heard = (rng.uniform(0.5, 1.5) * (faster + hiss)).clip(-1.0, 1.0).astype(np.float32)
    top, left = rng.integers(0, _RENDERED_PX - HEIGHT_PX, 2)
    light = rng.uniform(0.7, 1.1)
    shown = np.minimum((np.arange(round(LENGTH_S * FPS)) * speed * _RENDERED_FPS / FPS).astype(int), len(pictures) - 1)
    side = WIDTH_PX - (_RENDERED_PX - left)
    seen = (
        np.pad(
            (light * pictures[k, top : top + HEIGHT_PX, left:]).clip(0, 255).astype(np.uint8),
            ((0, 0), (0, side), (0, 0)),
            mode="edge",
        )
        for k in shown
    )
    write_video(root / "inbox" / f"pour {number:05d}.mp4", seen, fps=FPS, sound=heard, crf=23)


def _curated(root: Path, size: int) -> Iterator[tuple[str, float | str]]:
    """The stage as a process of its own: killed half-way, gone on with, and run again."""
    store = root / CUTS
    started_s = time.monotonic()
    process = _start(root)
    while process.poll() is None and len(list(store.glob("[0-9a-f]*"))) < _KILL_AT * size:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done, first_s = len(list(store.glob("[0-9a-f]*"))), time.monotonic() - started_s
    yield "cut_when_killed", float(done)
    yield "until_killed_s", first_s
    went_on_s = _finish(root)
    yield "after_the_kill_s", went_on_s
    yield "again_nothing_changed_s", _finish(root)
    shutil.rmtree(store)
    cold_s = _finish(root)
    yield "cold_s", cold_s
    yield "cold_recordings_per_s", size / cold_s
    # Of the largest process: the parent, or one of the workers.
    yield "memory_of_one_process_megabytes", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    summary = read_summary(root / "data" / "clips")
    yield "accepted", float(str(summary["accepted"]))
    reasons = summary["quarantined"]
    assert isinstance(reasons, dict)
    yield "quarantined", ", ".join(f"{count} {name}" for name, count in reasons.items() if count) or "none"


def _start(root: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-m", "multigen_core", "clips"],
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _finish(root: Path) -> float:
    started_s = time.monotonic()
    if _start(root).wait() != 0:
        raise RuntimeError(f"python -m multigen_core clips failed in {root}")
    return time.monotonic() - started_s


def _peer(root: Path, clips: Clips, workers: int, size: int) -> Iterator[tuple[str, float | str]]:
    program = os.environ.get("FFMPEG") or shutil.which("ffmpeg")
    if program is None:
        yield "ffmpeg", "not here: FFMPEG=/path/to/ffmpeg puts it into the table"
        return
    (root / "peer").mkdir()
    started_s = time.monotonic()
    recordings = sorted((root / "inbox").iterdir())
    _spread(_probe_and_cut, [(program, path, root / "peer" / f"{path.stem}", clips) for path in recordings], workers)
    taken_s = time.monotonic() - started_s
    yield "ffmpeg_probing_and_cutting_s", taken_s
    yield "ffmpeg_recordings_per_s", size / taken_s


def _probe_and_cut(job: tuple[str, Path, Path, Clips]) -> None:
    program, recording, place, clips = job
    quiet = [program, "-nostdin", "-v", "error", "-threads", "1"]
    subprocess.run([*quiet, "-i", str(recording), "-f", "null", "-"], check=True)
    cut = ["-ss", "0.5", "-t", str(clips.length_s), "-i", str(recording)]
    scale = f"fps={clips.fps},scale=-2:{clips.size_px}:flags=area"
    video = [
        "-vf",
        scale,
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "18",
        "-threads",
        "1",
        "-g",
        "10",
        "-bf",
        "0",
    ]
    sound = ["-ac", "1", "-ar", str(SAMPLE_RATE_HZ)]
    files = [*video, "-c:a", "aac", *sound, f"{place}.mp4", "-vn", *sound, "-c:a", "flac", f"{place}.flac"]
    subprocess.run([*quiet, "-y", *cut, *files], check=True)


def _spread(function: object, jobs: Sequence[object], workers: int) -> None:
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(function, jobs, chunksize=4))  # type: ignore[arg-type]


def main() -> None:
    """Runs this benchmark alone, at any size."""
    from benchmarks.__main__ import commit
    from multigen_core.machine import hardware

    parser = argparse.ArgumentParser(prog="python -m benchmarks.clips", description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=SIZE, help=f"recordings; default {SIZE}")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    os.environ.setdefault("MUJOCO_GL", "egl")
    found = figures(load(Path("params.yaml")), options.size)
    for name, value in found.items():
        print(f"{name:36} {value if isinstance(value, str) else format(value, '.4g')}")
    if options.json:
        result = {"name": "clips", "hardware": hardware(), "commit": commit(), "figures": found}
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
