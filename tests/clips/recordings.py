"""Recordings to curate: good ones, and every way in which one can be bad."""

from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32, UInt8

from multigen_core.experiment import Experiment
from multigen_core.media import write_video
from multigen_core.params import load
from multigen_core.records import SAMPLE_RATE_HZ
from multigen_core.stages import Inputs
from tests.acoustics.pours import scene_of, sound_of, steady_pour

ROOT = Path(__file__).parents[2]
REAL_CLIPS = ROOT.parent / "shared" / "data" / "real_clips"
POUR_START_S = 1.0


def small_experiment(**clips: object) -> Experiment:
    """The pocket parameters with small clips from the local source only, in this process."""
    experiment = load(ROOT / "params.yaml")
    small = {"sources": ("local",), "inbox": "data/inbox", "size_px": 32, "length_s": 4.0}
    values = vars(experiment.clips) | small | clips
    return Experiment(
        **vars(experiment)
        | {
            "clips": type(experiment.clips)(**values),
            "compute": type(experiment.compute)(engine="serial", workers=1),
        }
    )


def inputs_at(root: Path) -> Inputs:
    return Inputs(root=root, folders={}, partition=None)


def pour_sound(seed: int = 0) -> Float32[np.ndarray, " samples"]:
    """7 s; it pours from second 1 to second 6."""
    return sound_of(steady_pour(), scene_of(seed), seed=seed)


def frames(seconds: float, *, width: int = 64, height: int = 48, fps: float = 25.0) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Dark pictures until the pour starts, bright ones from then on; something small moves along the bottom."""
    times_s = np.arange(round(seconds * fps)) / fps
    taken = [np.full((height, width, 3), 200 if t >= POUR_START_S - 1e-6 else 40, np.uint8) for t in times_s]
    for k, pixels in enumerate(taken):
        pixels[-height // 6 :, k * (width - 8) // max(len(taken), 1) :][:, :8] = 120
    return taken


def write_pour(path: Path, *, width: int = 64, height: int = 48, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames(7.0, width=width, height=height), fps=25.0, sound=pour_sound(seed))


def write_sound_only(path: Path) -> None:
    """An mp4 with a sound track and no pictures."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(pour_sound()[None], format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def write_truncated(path: Path, *, share: float) -> None:
    """A good recording of which only the first part was copied."""
    write_pour(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])


def write_truncated_without_index(path: Path) -> None:
    """The same for a recorder that writes its index last."""
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for pixels in frames(3.0):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
    path.write_bytes(path.read_bytes()[:-400])
