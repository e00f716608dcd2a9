"""Volume and level invert each other, and a profile that is no container is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multigen_core.containers import Container, frustum
from multigen_core.errors import ConfigError

radius = st.floats(0.01, 0.08)


@st.composite
def containers(draw: st.DrawFn) -> Container:
    steps = draw(st.lists(st.floats(0.01, 0.08), min_size=1, max_size=4))
    heights = [0.0]
    for step in steps:
        heights.append(heights[-1] + step)
    profile = tuple((height, draw(radius)) for height in heights)
    return Container("drawn", profile, "glass", opaque=False, color=(1.0, 1.0, 1.0))


@given(containers(), st.floats(0.0, 1.0))
def test_level_inverts_volume(container: Container, fraction: float) -> None:
    volume = fraction * container.capacity_m3
    assert container.volume_at(container.level_at(volume)) == pytest.approx(volume, rel=1e-6, abs=1e-12)


@given(containers(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_level_rises_with_volume(container: Container, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert container.level_at(low * container.capacity_m3) <= container.level_at(high * container.capacity_m3) + 1e-12


def test_a_straight_cup_is_a_cylinder() -> None:
    cup = frustum(
        "straight",
        bottom_radius_m=0.03,
        top_radius_m=0.03,
        height_m=0.1,
        material="glass",
        opaque=False,
        color=(1, 1, 1),
    )
    assert cup.capacity_m3 == pytest.approx(math.pi * 0.03**2 * 0.1)
    assert cup.level_at(cup.capacity_m3 / 4) == pytest.approx(0.025)


@given(containers())
def test_json_round_trip(container: Container) -> None:
    assert Container.from_json(container.to_json()) == container


@pytest.mark.parametrize(
    "profile",
    [
        ((0.0, 0.03),),
        ((0.01, 0.03), (0.1, 0.03)),
        ((0.0, 0.03), (0.1, 0.03), (0.1, 0.04)),
        ((0.0, 0.03), (0.1, 0.0)),
    ],
)
def test_a_profile_that_holds_nothing_is_refused(profile: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ConfigError, match="'odd'"):
        Container("odd", profile, "metal", opaque=True, color=(0, 0, 0))
