"""What makes a trained policy what it is, but for weights and scales."""

from dataclasses import asdict, dataclass
from typing import Any

from multigen_core.policy.drawn_masks import SEGMENTER
from multigen_core.records import ActionSpec

__all__ = ["PolicyConfig"]


@dataclass(frozen=True)
class PolicyConfig:
    """Family, senses, sizes and sampling."""

    family: str
    ablation: str
    uses_sight: bool
    uses_sound: bool
    spec: ActionSpec
    image_px: int
    audio_window_s: float
    chunk: int
    executed: int
    diffusion_steps: int
    sampling_steps: int
    samples: int = 1
    """Chunks drawn per decision, of which the middle one is carried out."""
    image_encoder: str = "pocket"
    sound_encoder: str = "pocket"
    features: int = 96
    width: int = 32

    @property
    def sees_masks(self) -> bool:
        """Whether what it sees are a segmenter's masks, not the image."""
        return self.uses_sight and self.image_encoder == SEGMENTER

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PolicyConfig":
        """The config that :meth:`to_json` wrote."""
        spec = values["spec"]
        action_spec = ActionSpec(
            names=tuple(spec["names"]), units=tuple(spec["units"]), frame=spec["frame"], rate_hz=spec["rate_hz"]
        )
        return cls(**{**values, "spec": action_spec})
