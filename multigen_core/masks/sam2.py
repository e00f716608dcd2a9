"""The real mask provider: SAM 2.1 (Ravi et al. 2024, arXiv 2408.00714), prompted by hand once per clip and object.

Prompts are a YAML file; frames count from 0, pixels are (right, down) in the clip as kept, labels are 1 inside and
0 outside::

    kitchen-0001:
      - {object: receiver, frame: 0, points: [[64, 90]], labels: [1]}
      - {object: pourer, frame: 0, box: [70, 8, 120, 60]}
      - {object: liquid, frame: 14, points: [[64, 70]], labels: [1]}

Liquid is not there at first, so it needs a later frame.
"""

import importlib
import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import av
import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from multigen_core.errors import ConfigError, MissingExtra, MissingInput
from multigen_core.experiment import Experiment
from multigen_core.palette import Palette

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["Prompt", "Sam2Provider", "open_sam2", "read_prompts"]

_PAINTED_LAST = (Palette.POURER, Palette.RECEIVER, Palette.LIQUID)
"""Where objects overlap the later one is kept: liquid is seen through the receiver."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Prompt:
    """Where one object is in one frame: points, a box, or both."""

    object: Literal["pourer", "receiver", "liquid"]
    frame: Annotated[int, Field(ge=0)]
    points: tuple[tuple[float, float], ...] = ()
    """(right, down) [px]."""
    labels: tuple[Literal[0, 1], ...] = ()
    """One per point: 1 inside the object, 0 outside."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom [px]."""

    def __post_init__(self) -> None:
        if len(self.points) != len(self.labels):
            raise ValueError(f"{len(self.points)} points have {len(self.labels)} labels; give one label per point")
        if not self.points and self.box is None:
            raise ValueError("a prompt needs points or a box")


def read_prompts(path: Path, clip_ids: Sequence[str]) -> dict[str, tuple[Prompt, ...]]:
    """The prompts of every clip.

    Raises MissingInput when the file or a clip's prompts for the receiver or the liquid are missing, ConfigError when
    the file cannot be understood.
    """
    if not path.is_file():
        raise MissingInput(
            f"{path} does not exist: write SAM 2 prompts for the clips there or set masks.provider to unet"
        )
    try:
        values = YAML(typ="safe").load(path.read_text())
        prompts = TypeAdapter(dict[str, tuple[Prompt, ...]]).validate_python(values)
    except YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ConfigError(f"{path}: {place}: {problem['msg']}") from error
    for clip_id in clip_ids:
        named = {prompt.object for prompt in prompts.get(clip_id, ())}
        if lacking := {"receiver", "liquid"} - named:
            raise MissingInput(f"{path} has no prompt for {', '.join(sorted(lacking))} of clip {clip_id!r}: add one")
    return prompts


class Sam2Provider:
    """Follows the prompted objects through a clip, forwards and backwards from their prompts."""

    def __init__(self, predictor: Any, prompts: Mapping[str, tuple[Prompt, ...]]) -> None:
        self._predictor = predictor
        self._prompts = prompts

    @torch.inference_mode()
    def annotate(self, clip_id: str, frames: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T H W"]:
        """See :class:`multigen_core.masks.contract.MaskProvider`."""
        masks = np.zeros(frames.shape[:3], np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            _write_jpegs(Path(folder), frames)
            state = self._predictor.init_state(video_path=folder)
            for prompt in self._prompts[clip_id]:
                self._predictor.add_new_points_or_box(
                    inference_state=state,
                    frame_idx=min(prompt.frame, len(frames) - 1),
                    obj_id=int(Palette[prompt.object.upper()]),
                    points=np.array(prompt.points, np.float32) if prompt.points else None,
                    labels=np.array(prompt.labels, np.int32) if prompt.points else None,
                    box=None if prompt.box is None else np.array(prompt.box, np.float32),
                )
            for backwards in (False, True):
                for frame, objects, logits in self._predictor.propagate_in_video(state, reverse=backwards):
                    masks[frame] = _painted(objects, logits)
        return masks


def _painted(objects: Sequence[int], logits: torch.Tensor) -> UInt8[np.ndarray, "H W"]:
    """One palette mask from the logits of each object, shape (objects, 1, H, W)."""
    inside = (logits[:, 0] > 0.0).cpu().numpy()
    mask = np.zeros(inside.shape[1:], np.uint8)
    for label in _PAINTED_LAST:
        if label in objects:
            mask[inside[list(objects).index(label)]] = label
    return mask


def _write_jpegs(folder: Path, frames: UInt8[np.ndarray, "T H W 3"]) -> None:
    """SAM 2 reads a folder of JPEG files whose names are frame numbers."""
    for index, pixels in enumerate(frames):
        with av.open(str(folder / f"{index:05d}.jpg"), "w", format="mjpeg") as container:
            stream = container.add_stream("mjpeg", rate=1)
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt = "yuvj444p"
            stream.options = {"qmin": "1", "q": "1"}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
            container.mux(stream.encode(None))


def open_sam2(experiment: Experiment, inputs: "Inputs", clip_ids: Sequence[str]) -> Sam2Provider:
    """The predictor with its checkpoint, on the GPU when there is one.

    Raises MissingExtra for the package, MissingInput for the checkpoint or prompts.
    """
    params = experiment.masks.sam2
    if importlib.util.find_spec("sam2") is None:
        raise MissingExtra(
            "masks.provider is 'sam2' but the package is not installed: run `pip install -e .[sam2]` "
            "(docs/going_real.md) or set masks.provider to unet"
        )
    checkpoint = inputs.root / params.checkpoint
    if not checkpoint.is_file():
        raise MissingInput(
            f"masks.sam2.checkpoint {params.checkpoint!r} does not exist: put a SAM 2.1 checkpoint there "
            "(docs/going_real.md) or set masks.provider to unet"
        )
    prompts = read_prompts(inputs.root / params.prompts, clip_ids)
    build = importlib.import_module("sam2.build_sam").build_sam2_video_predictor
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Sam2Provider(build(params.model_config, ckpt_path=str(checkpoint), device=device), prompts)
