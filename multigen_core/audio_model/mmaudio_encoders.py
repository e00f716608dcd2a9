"""What MMAudio sees and hears through: CLIP, Synchformer, the text tower, the VAE and its vocoder, all from files.

MMAudio's own loader would fetch CLIP and the 44.1 kHz vocoder from a hub, so the parts are put together here, and its
``FeaturesUtils`` is only asked to run them.
"""

import importlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from scipy.signal import resample_poly
from torch import Tensor, nn
from torch.nn import functional

from multigen_core.audio_model.mmaudio_weights import CLIP_HZ, CLIP_PX, SYNC_HZ, SYNC_PX, Variant, stay_offline
from multigen_core.palette import Palette
from multigen_core.records import SAMPLE_RATE_HZ

__all__ = ["Encoders", "Square", "mask_frames", "open_encoders", "pour_square", "rgb_frames", "ticks"]

_COLOURS = {Palette.POURER: (255, 0, 0), Palette.RECEIVER: (0, 255, 0), Palette.LIQUID: (0, 0, 255)}
"""Mask classes as Synchformer sees them, as far apart as RGB allows."""
_MARGIN = 1.2


@dataclass(frozen=True)
class Square:
    """Part of an image [px]; it lies inside."""

    top: int
    left: int
    side: int

    def cut(self, frames: np.ndarray) -> np.ndarray:
        """``frames`` (T, H, W, ...) within the square."""
        return frames[:, self.top : self.top + self.side, self.left : self.left + self.side]


def pour_square(masks: UInt8[np.ndarray, "T H W"]) -> Square:
    """The square around cup and liquid, a little larger, at most the short side; the middle of an empty image.

    Synchformer sees the middle square only: without this a pour at the side of a wide video would go unseen. RGB and
    masks are cut alike.
    """
    height, width = masks.shape[1:]
    seen = ((masks == Palette.RECEIVER) | (masks == Palette.LIQUID)).any(axis=0)
    if not seen.any():
        side = min(height, width)
        return Square((height - side) // 2, (width - side) // 2, side)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(min(max(round(_MARGIN * extent), min(height, width) // 2), height, width))
    top, left = ((first + last + 1 - side) // 2 for first, last in ((rows[0], rows[-1]), (columns[0], columns[-1])))
    return Square(int(np.clip(top, 0, height - side)), int(np.clip(left, 0, width - side)), side)


def ticks(frames: int, *, fps: float, rate_hz: float, start_s: float, count: int) -> np.ndarray:
    """Index of the frame that is shown at each moment ``start_s + k / rate_hz``; the last frame stays."""
    moments = start_s + np.arange(count) / rate_hz
    return np.minimum((moments * fps + 1e-6).astype(int), frames - 1)


def rgb_frames(frames: UInt8[np.ndarray, "T H H 3"], size_px: int) -> Float[Tensor, "T 3 size size"]:
    """Square frames resized (bicubic), in [0, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255.0
    return functional.interpolate(pixels, size=(size_px, size_px), mode="bicubic", antialias=True).clamp(0.0, 1.0)


def mask_frames(masks: UInt8[np.ndarray, "T H H"], size_px: int) -> Float[Tensor, "T 3 size size"]:
    """Square palette masks as saturated colours in [0, 1]: resized by the nearest pixel, so that none are mixed."""
    palette = np.zeros((256, 3), np.float32)
    for label, colour in _COLOURS.items():
        palette[label] = np.array(colour, np.float32) / 255.0
    small = torch.from_numpy(np.ascontiguousarray(masks))[:, None].float()
    sized = functional.interpolate(small, size=(size_px, size_px), mode="nearest")[:, 0].byte().numpy()
    return torch.from_numpy(palette[sized]).permute(0, 3, 1, 2)


class Encoders:
    """MMAudio's ``FeaturesUtils`` with the parts of one variant, for windows of one length."""

    def __init__(self, features: Any, variant: Variant, *, window_s: float) -> None:
        self._features = features
        self.variant = variant
        self.window_s = window_s

    @torch.inference_mode()
    def clip(
        self, rgb: UInt8[np.ndarray, "T H W 3"], square: Square, *, fps: float, start_s: float
    ) -> Float[Tensor, "clip_tokens 1024"]:
        """What is to be seen."""
        count = int(self.window_s * CLIP_HZ)
        shown = square.cut(rgb)[ticks(len(rgb), fps=fps, rate_hz=CLIP_HZ, start_s=start_s, count=count)]
        pixels = rgb_frames(shown, CLIP_PX)[None].to(self._features.device)
        return self._features.encode_video_with_clip(pixels)[0].float().cpu()

    @torch.inference_mode()
    def sync(
        self, rgb: UInt8[np.ndarray, "T H W 3"], square: Square, *, fps: float, start_s: float
    ) -> Float[Tensor, "sync_tokens 768"]:
        """When it happens."""
        shown = square.cut(rgb)[self._sync_ticks(len(rgb), fps, start_s)]
        return self._synchformer(rgb_frames(shown, SYNC_PX))

    @torch.inference_mode()
    def mask(
        self, masks: UInt8[np.ndarray, "T H W"], square: Square, *, fps: float, start_s: float
    ) -> Float[Tensor, "sync_tokens 768"]:
        """The mask video through the same eyes as the RGB."""
        shown = square.cut(masks)[self._sync_ticks(len(masks), fps, start_s)]
        return self._synchformer(mask_frames(shown, SYNC_PX))

    @torch.inference_mode()
    def text(self, prompt: str) -> Float[Tensor, "77 1024"]:
        return self._features.encode_text([prompt])[0].float().cpu()

    @torch.inference_mode()
    def latents(
        self, waveform: Float32[np.ndarray, " S"], *, start_s: float
    ) -> tuple[Float[Tensor, "latents channels"], Float[Tensor, "latents channels"]]:
        """Mean and deviation of the VAE's posterior for the window of 16 kHz sound that begins at ``start_s``."""
        first = round(start_s * SAMPLE_RATE_HZ)
        part = waveform[first : first + round(self.window_s * SAMPLE_RATE_HZ)]
        samples = self.variant.samples(self.window_s)
        sound = _resampled(part, SAMPLE_RATE_HZ, self.variant.sound_hz)[:samples]
        padded = np.pad(sound, (0, samples - len(sound)))
        posterior = self._features.encode_audio(torch.from_numpy(padded)[None].to(self._features.device))
        return tuple(value[0].T.float().cpu().contiguous() for value in (posterior.mean, posterior.std))

    @torch.inference_mode()
    def waveforms(self, latents: Float[Tensor, "B latents channels"]) -> list[Float32[np.ndarray, " S"]]:
        """Sound of one window each at 16 kHz."""
        spectrogram = self._features.decode(latents.to(self._features.device))
        sounds = self._features.vocode(spectrogram).float().cpu().numpy().reshape(len(latents), -1)
        samples = round(self.window_s * SAMPLE_RATE_HZ)
        return [_resampled(sound, self.variant.sound_hz, SAMPLE_RATE_HZ)[:samples] for sound in sounds]

    def _sync_ticks(self, frames: int, fps: float, start_s: float) -> np.ndarray:
        count = int(self.window_s * SYNC_HZ)
        return ticks(frames, fps=fps, rate_hz=SYNC_HZ, start_s=start_s, count=count)

    def _synchformer(self, frames: Float[Tensor, "T 3 size size"]) -> Float[Tensor, "sync_tokens 768"]:
        pixels = (2.0 * frames - 1.0)[None].to(self._features.device)
        return self._features.encode_video_with_sync(pixels)[0].float().cpu()


def open_encoders(weights: Path, variant: Variant, *, window_s: float) -> Encoders:
    """The encoders from the files in ``weights``, which were checked before; on the GPU when there is one."""
    stay_offline()
    features_utils = importlib.import_module("mmaudio.model.utils.features_utils")
    features = features_utils.FeaturesUtils(enable_conditions=False, mode=variant.mode)
    features.clip_model, features.clip_preprocess, features.tokenizer = _open_clip(weights / "clip", features_utils)
    features.synchformer = importlib.import_module("mmaudio.ext.synchformer").Synchformer()
    synchformer = torch.load(weights / "synchformer_state_dict.pth", map_location="cpu", weights_only=True)
    features.synchformer.load_state_dict(synchformer)
    features.tod = _Codec(weights, variant)
    features.mel_converter = importlib.import_module("mmaudio.ext.mel_converter").get_mel_converter(variant.mode)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Encoders(features.eval().requires_grad_(False).to(device), variant, window_s=window_s)


class _Codec(nn.Module):
    """VAE and vocoder from files, with the three functions that ``FeaturesUtils`` calls."""

    def __init__(self, weights: Path, variant: Variant) -> None:
        super().__init__()
        vae, vocoder = (weights / file.name for file in variant.codec[:2])
        self.vae: Any = importlib.import_module("mmaudio.ext.autoencoder.vae").get_my_vae(variant.mode)
        self.vae.load_state_dict(torch.load(vae, map_location="cpu", weights_only=True))
        self.vae.remove_weight_norm()
        self.vocoder: Any
        if variant.mode == "16k":
            self.vocoder = importlib.import_module("mmaudio.ext.bigvgan").BigVGAN(vocoder)
        else:
            bigvgan = importlib.import_module("mmaudio.ext.bigvgan_v2.bigvgan").BigVGAN
            self.vocoder = bigvgan.from_pretrained(str(vocoder.parent), use_cuda_kernel=False)
            self.vocoder.remove_weight_norm()

    def encode(self, mel: Tensor) -> Any:
        return self.vae.encode(mel)

    def decode(self, latents: Tensor) -> Tensor:
        return self.vae.decode(latents)

    def vocode(self, mel: Tensor) -> Tensor:
        return self.vocoder(mel)


def _open_clip(folder: Path, features_utils: Any) -> tuple[nn.Module, Any, Any]:
    """CLIP that gives the last hidden states of a text, the normalisation of its images, and its tokenizer."""
    open_clip = importlib.import_module("open_clip")
    model = open_clip.create_model_from_pretrained(f"local-dir:{folder}", return_transform=False)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (_CLIP_MEAN, _CLIP_STD))

    def normalise(frames: Tensor) -> Tensor:
        return (frames - mean.to(frames.device)) / deviation.to(frames.device)

    # The tokenizer's vocabulary lies in the package; that of this name is that of every ViT-H-14.
    return features_utils.patch_clip(model), normalise, open_clip.get_tokenizer("ViT-H-14-378-quickgelu")


_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def _resampled(waveform: Float32[np.ndarray, " S"], before_hz: int, after_hz: int) -> Float32[np.ndarray, " R"]:
    if before_hz == after_hz:
        return np.asarray(waveform, np.float32)
    ratio = Fraction(after_hz, before_hz)
    return resample_poly(waveform, ratio.numerator, ratio.denominator).astype(np.float32)
