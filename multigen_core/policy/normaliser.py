"""Between physical units and numbers of order one, per quantity; fitted on the training episodes only."""

from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from multigen_core.dataset.windows import Windows

__all__ = ["Affine", "Normaliser"]

_SMALLEST_SCALE = 1e-4
"""A quantity that never moved in training is left at this scale instead of divided by zero."""


@dataclass(frozen=True)
class Affine:
    """``normalised = (physical - offset) / scale``, per dimension."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def normalise(self, physical: Float[Tensor, "*batch dims"]) -> Float[Tensor, "*batch dims"]:
        return (physical - physical.new_tensor(self.offset)) / physical.new_tensor(self.scale)

    def restore(self, normalised: Float[Tensor, "*batch dims"]) -> Float[Tensor, "*batch dims"]:
        """The inverse of :meth:`normalise`."""
        return normalised * normalised.new_tensor(self.scale) + normalised.new_tensor(self.offset)

    @classmethod
    def standard(cls, values: Float[Tensor, "rows dims"]) -> "Affine":
        """To zero mean and unit deviation."""
        scale = values.std(dim=0, correction=0).clamp(min=_SMALLEST_SCALE)
        return cls(offset=tuple(values.mean(dim=0).tolist()), scale=tuple(scale.tolist()))

    @classmethod
    def about_zero(cls, values: Float[Tensor, "rows dims"]) -> "Affine":
        """To unit root mean square, with zero left where it is."""
        scale = values.square().mean(dim=0).sqrt().clamp(min=_SMALLEST_SCALE)
        return cls(offset=(0.0,) * values.shape[1], scale=tuple(scale.tolist()))


@dataclass(frozen=True)
class Normaliser:
    """The scales of everything a policy reads and writes."""

    actions: Affine
    """About zero, so that holding still is zero on both sides."""
    action_limits: tuple[tuple[float, ...], tuple[float, ...]]
    """Smallest and largest normalised action of the expert, per dimension; sampling is clamped to it."""
    joints: Affine
    joint_speeds: Affine
    goal: Affine
    auxiliary: Affine
    log_mel: Affine
    """One figure for all bands: differences between bands are what is to be heard."""

    @classmethod
    def fit(cls, windows: Windows) -> "Normaliser":
        """From the steps of the training episodes."""
        actions = Affine.about_zero(windows.actions)
        normalised = actions.normalise(windows.actions)
        lowest, highest = normalised.amin(dim=0).clamp(max=0.0), normalised.amax(dim=0).clamp(min=0.0)
        return cls(
            actions=actions,
            action_limits=(tuple(lowest.tolist()), tuple(highest.tolist())),
            joints=Affine.standard(windows.joints_rad),
            joint_speeds=Affine.standard(windows.joint_speeds_rad_s),
            goal=Affine.standard(windows.goal_fraction),
            auxiliary=Affine.standard(windows.auxiliary),
            log_mel=Affine.standard(windows.log_mel.reshape(-1, 1)),
        )

    def clamp_actions(self, normalised: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Normalised actions no larger than the expert's."""
        lowest, highest = (normalised.new_tensor(limit) for limit in self.action_limits)
        return normalised.clamp(lowest, highest)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Normaliser":
        """The normaliser that :meth:`to_json` wrote."""
        limits = values["action_limits"]
        scales = {
            name: Affine(offset=tuple(pair["offset"]), scale=tuple(pair["scale"]))
            for name, pair in values.items()
            if name != "action_limits"
        }
        return cls(action_limits=(tuple(limits[0]), tuple(limits[1])), **scales)
