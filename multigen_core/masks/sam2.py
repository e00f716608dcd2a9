"""The real mask provider: SAM 2.1 (Ravi et al. 2024, arXiv 2408.00714), prompted once per clip and object.

Prompts come from people (:mod:`multigen_core.masks.prompts`), and from the pocket U-Net where they said nothing.
"""

import importlib
import importlib.util
import itertools
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import torch
from jaxtyping import Bool, UInt8

from multigen_core.errors import ConfigError, MissingExtra, MissingInput
from multigen_core.experiment import Experiment
from multigen_core.masks.automatic_prompts import AutomaticPrompts
from multigen_core.masks.prompts import Prompt, read_prompts, require_prompts
from multigen_core.masks.unet import load_unet
from multigen_core.palette import Palette
from multigen_core.storage import file_sha256

if TYPE_CHECKING:
    from multigen_core.stages import Inputs

__all__ = ["Sam2Provider", "load_builder", "open_sam2", "tiles_of"]

_PAINTED_LAST = (Palette.POURER, Palette.RECEIVER, Palette.LIQUID)
"""Where objects overlap the later one is kept: liquid is seen through the receiver."""

Objects = dict[Palette, Bool[np.ndarray, "T H W"]]


class Sam2Provider:
    """Follows the prompted objects through a clip, forwards and backwards from their prompts.

    A clip is looked at in tiles of ``tile_frames`` frames that share one frame, because SAM 2 holds a whole video in
    memory (12.6 MB per frame); the mask in the shared frame is the prompt of the next tile.
    """

    def __init__(
        self,
        predictor: Any,
        prompts: Mapping[str, tuple[Prompt, ...]],
        *,
        automatic: AutomaticPrompts | None = None,
        tile_frames: int = 80,
        device: str = "cpu",
    ) -> None:
        self._predictor = predictor
        self._prompts = prompts
        self._automatic = automatic
        self._tile_frames = tile_frames
        self._device = device

    @torch.inference_mode()
    def annotate(self, clip_id: str, frames: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T H W"]:
        """See :class:`multigen_core.masks.contract.MaskProvider`; ConfigError for a prompt outside the picture."""
        prompts = self._prompts.get(clip_id, ())
        _require_inside(clip_id, prompts, frames.shape[2], frames.shape[1])
        if self._automatic is not None:
            prompts = self._automatic.completed(clip_id, frames, prompts)
        masks = np.zeros(frames.shape[:3], np.uint8)
        # On a CPU too: SAM 2 keeps its memory in bfloat16, and autocast brings the weights that meet it there.
        with torch.autocast(self._device, dtype=torch.bfloat16):
            followed = self._followed(frames, prompts)
        for label in _PAINTED_LAST:
            if label in followed:
                masks[followed[label]] = label
        return masks

    def _followed(self, frames: UInt8[np.ndarray, "T H W 3"], prompts: Sequence[Prompt]) -> Objects:
        """Forwards through the tiles; what is first prompted in a later tile is then followed back to the beginning."""
        tiles = tiles_of(len(frames), self._tile_frames)
        by_tile: list[list[Prompt]] = [[] for _ in tiles]
        first: dict[Palette, int] = {}
        for prompt in prompts:
            # A frame beyond the end of the clip stands for its last one.
            frame = min(prompt.frame, len(frames) - 1)
            number = next(k for k, tile in enumerate(tiles) if frame in tile)
            by_tile[number].append(prompt)
            label = Palette[prompt.object.upper()]
            first[label] = min(first.get(label, number), number)
        found: Objects = {label: np.zeros(frames.shape[:3], bool) for label in first}
        for number, tile in enumerate(tiles):
            carried = {label: found[label][tile.start] for label, begins in first.items() if begins < number}
            self._follow_tile(frames, tile, by_tile[number], carried, tile.start, found)
        for number, tile in reversed(list(enumerate(tiles))):
            carried = {label: found[label][tile.stop - 1] for label, begins in first.items() if begins > number}
            self._follow_tile(frames, tile, (), carried, tile.stop - 1, found)
        return found

    def _follow_tile(
        self,
        frames: UInt8[np.ndarray, "T H W 3"],
        tile: range,
        prompts: Iterable[Prompt],
        carried: Mapping[Palette, Bool[np.ndarray, "H W"]],
        carried_frame: int,
        found: Objects,
    ) -> None:
        """Adds the objects in one tile to ``found``; an object that has left the picture is not looked for."""
        prompts = list(prompts)
        carried = {label: mask for label, mask in carried.items() if mask.any()}
        if not prompts and not carried:
            return
        with tempfile.TemporaryDirectory() as folder:
            _write_jpegs(Path(folder), frames[tile.start : tile.stop])
            state = self._predictor.init_state(video_path=folder, offload_video_to_cpu=self._device == "cuda")
        for label, mask in carried.items():
            self._predictor.add_new_mask(
                inference_state=state, frame_idx=carried_frame - tile.start, obj_id=int(label), mask=torch.tensor(mask)
            )
        for prompt in prompts:
            self._predictor.add_new_points_or_box(
                inference_state=state,
                frame_idx=min(prompt.frame, tile.stop - 1) - tile.start,
                obj_id=int(Palette[prompt.object.upper()]),
                points=np.array(prompt.points, np.float32) if prompt.points else None,
                labels=np.array(prompt.labels, np.int32) if prompt.points else None,
                box=None if prompt.box is None else np.array(prompt.box, np.float32),
            )
        for backwards in (False, True):
            for frame, labels, logits in self._predictor.propagate_in_video(state, reverse=backwards):
                inside = (logits[:, 0] > 0.0).cpu().numpy()  # (objects, H, W)
                for place, label in enumerate(labels):
                    found[Palette(label)][tile.start + frame] = inside[place]


def tiles_of(frames: int, tile_frames: int) -> list[range]:
    """Stretches of at most ``tile_frames`` frames (2 or more), each sharing one frame with the next."""
    starts = range(0, max(frames - 1, 1), tile_frames - 1)
    return [range(start, min(start + tile_frames, frames)) for start in starts]


def _require_inside(clip_id: str, prompts: Sequence[Prompt], width: int, height: int) -> None:
    for prompt in prompts:
        corners = [prompt.box[:2], prompt.box[2:]] if prompt.box else []
        for right, down in itertools.chain(prompt.points, corners):
            if right > width or down > height:
                raise ConfigError(
                    f"a prompt for {prompt.object} of clip {clip_id!r} is at ({right:g}, {down:g}), outside its "
                    f"{width} x {height} pixels: prompt the clip as it is kept in data/clips/media"
                )


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

    Raises MissingExtra for the package; MissingInput for the checkpoint, prompts, or the U-Net that makes them;
    ConfigError for a checkpoint that is not the one of params.yaml.
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
    _require_digest(checkpoint, params.sha256)
    prompts = read_prompts(inputs.root / params.prompts)
    automatic = None
    if params.automatic_prompts:
        automatic = AutomaticPrompts(load_unet(inputs.one("segmenter")))
    else:
        require_prompts(inputs.root / params.prompts, prompts, clip_ids)
    build = load_builder().build_sam2_video_predictor
    device = "cuda" if torch.cuda.is_available() else "cpu"
    predictor = build(params.model_config, ckpt_path=str(checkpoint), device=device)
    if importlib.util.find_spec("sam2._C") is None:
        predictor.fill_hole_area = 0  # needs the compiled part; without it every frame would say so
    return Sam2Provider(predictor, prompts, automatic=automatic, tile_frames=params.tile_frames, device=device)


def _require_digest(checkpoint: Path, wanted: str) -> None:
    if wanted and (found := file_sha256(checkpoint)) != wanted.lower():
        raise ConfigError(
            f"masks.sam2.checkpoint {str(checkpoint)!r} has sha256 {found}, not {wanted}: "
            "download it again, or correct masks.sam2.sha256 if this is the one you mean"
        )


def load_builder() -> Any:
    """The package's module ``build_sam``, beside the versions of hydra and torch that this project has."""
    _load_torchvision()
    hydra = importlib.import_module("hydra")
    if not importlib.import_module("hydra.core.global_hydra").GlobalHydra.instance().is_initialized():
        # Left to itself the package asks for hydra's behaviour of 1.2, which 1.4 refuses; DVC needs 1.4.
        hydra.initialize_config_module("sam2")
    return importlib.import_module("sam2.build_sam")


def _load_torchvision() -> None:
    """SAM 2 imports torchvision for its image transforms.

    Wheels that were compiled for CUDA fail beside a torch without it, since their operators cannot be loaded; none of
    them is used here, so that it is enough to declare the two whose absence stops the import.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        operators: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(operators)
        importlib.import_module("torchvision")


_DECLARED: list[Any] = []
"""Operators are there for as long as the object that declared them."""
