"""Cups and pitchers as bodies of revolution: the inner radius as a function of height.

The profile is piecewise linear, so a container is a stack of frustums and volume <-> level is exact:
``V(h) = pi h (r0^2 + r0 r + r^2) / 3`` inside one frustum, and its inverse is the root of a cubic.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from multigen_core.errors import ConfigError

__all__ = ["Container", "Material", "frustum"]

Material = Literal["plastic", "glass", "metal", "ceramic", "paper"]


@dataclass(frozen=True)
class Container:
    """A cup or a pitcher.

    Raises ConfigError if the profile does not rise, has no volume, or a radius is not positive.
    """

    name: str
    profile: tuple[tuple[float, float], ...]
    """Inner (height [m], radius [m]) from the bottom, height 0, to the rim; heights strictly rise."""
    material: Material
    opaque: bool
    color: tuple[float, float, float]
    """RGB in [0, 1]."""
    wall_m: float = 0.002
    handle: bool = False
    """Drawn beside the wall; it holds nothing."""

    def __post_init__(self) -> None:
        heights = [height for height, _ in self.profile]
        if len(heights) < 2 or heights[0] != 0.0 or any(b <= a for a, b in pairwise(heights)):
            raise ConfigError(
                f"container {self.name!r}: profile heights are {heights}; they must start at 0 and strictly rise"
            )
        if any(radius <= 0.0 for _, radius in self.profile):
            raise ConfigError(f"container {self.name!r}: every profile radius must be positive")

    @property
    def height_m(self) -> float:
        """From the inner bottom to the rim."""
        return self.profile[-1][0]

    @property
    def mouth_radius_m(self) -> float:
        """Inner radius at the rim."""
        return self.profile[-1][1]

    @cached_property
    def capacity_m3(self) -> float:
        """Volume up to the rim."""
        return self.volume_at(self.height_m)

    @property
    def capacity_ml(self) -> float:
        return self.capacity_m3 * 1e6

    def radius_at(self, height_m: float) -> float:
        """Inner radius [m] at a height [m] above the inner bottom."""
        heights, radii = zip(*self.profile, strict=True)
        return float(np.interp(height_m, heights, radii))

    def volume_at(self, level_m: float) -> float:
        """Volume [m3] below a level [m] above the inner bottom; levels beyond the rim count as the rim."""
        level_m = min(max(level_m, 0.0), self.height_m)
        volume = 0.0
        for (z0, r0), (z1, r1) in pairwise(self.profile):
            top = min(level_m, z1)
            if top <= z0:
                break
            radius = r0 + (r1 - r0) * (top - z0) / (z1 - z0)
            volume += np.pi * (top - z0) * (r0 * r0 + r0 * radius + radius * radius) / 3.0
        return float(volume)

    def level_at(self, volume_m3: float) -> float:
        """Level [m] above the inner bottom at which the container holds ``volume_m3``; full beyond capacity."""
        if volume_m3 <= 0.0:
            return 0.0
        below = 0.0
        for (z0, r0), (z1, r1) in pairwise(self.profile):
            step = np.pi * (z1 - z0) * (r0 * r0 + r0 * r1 + r1 * r1) / 3.0
            if volume_m3 <= below + step:
                slope = (r1 - r0) / (z1 - z0)
                rest = volume_m3 - below
                if abs(slope) < 1e-9:
                    return float(z0 + rest / (np.pi * r0 * r0))
                # (r0 + slope h)^3 = r0^3 + 3 slope V / pi
                return float(z0 + (np.cbrt(r0**3 + 3.0 * slope * rest / np.pi) - r0) / slope)
            below += step
        return self.height_m

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Container":
        """The container that :meth:`to_json` wrote."""
        return cls(
            name=values["name"],
            profile=tuple((float(z), float(r)) for z, r in values["profile"]),
            material=values["material"],
            opaque=values["opaque"],
            color=(values["color"][0], values["color"][1], values["color"][2]),
            wall_m=values["wall_m"],
            handle=values.get("handle", False),
        )


def frustum(
    name: str,
    *,
    bottom_radius_m: float,
    top_radius_m: float,
    height_m: float,
    material: Material,
    opaque: bool,
    color: tuple[float, float, float],
    wall_m: float = 0.002,
) -> Container:
    """A straight or tapered cup."""
    profile = ((0.0, bottom_radius_m), (height_m, top_radius_m))
    return Container(name=name, profile=profile, material=material, opaque=opaque, color=color, wall_m=wall_m)
