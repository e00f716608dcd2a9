"""Which frequencies a vessel, its wall and a bubble answer with.

Notation of the laws, as in "The Sound of Water" (arXiv 2411.11222) and its sources, against the names used here:

- c -> SPEED_OF_SOUND_M_S
- l -> air_column_m, height of the air above the liquid
- R, H, a -> radius_m, height_m, wall_m of the vessel
- h -> level_m, height of the liquid
- Y, rho_g, rho_l -> youngs_pa, density_kg_m3 of the wall, WATER_KG_M3
- (m, n) -> the axial and circumferential mode of the wall
"""

import numpy as np
from jaxtyping import Float

__all__ = [
    "END_CORRECTION",
    "SPEED_OF_SOUND_M_S",
    "WALL_MODES",
    "WATER_KG_M3",
    "air_column_from_hz",
    "bottle_hz",
    "minnaert_hz",
    "quarter_wave_hz",
    "tapered_hz",
    "wall_mode_hz",
]

SPEED_OF_SOUND_M_S = 340.0
WATER_KG_M3 = 998.0
END_CORRECTION = 0.62
"""The air column sounds longer than it is by this share of the mouth's radius (unflanged open end)."""
WALL_MODES = ((1.875, 2), (4.694, 3))
"""(m, n) of the two lowest bending modes of a cup's wall."""

_FRENCH_LOADING = 0.25
Hertz = Float[np.ndarray, "*shape"] | float
Metres = Float[np.ndarray, "*shape"] | float


def quarter_wave_hz(air_column_m: Metres, radius_m: Metres, *, partial: int = 1) -> Hertz:
    """Resonance k [Hz] of the air in a cup: ``f_k = (2 k - 1) c / (4 (l + 0.62 R))``, k from 1."""
    return (2 * partial - 1) * SPEED_OF_SOUND_M_S / (4.0 * (air_column_m + END_CORRECTION * radius_m))


def air_column_from_hz(f0_hz: Hertz, radius_m: Metres) -> Metres:
    """Air column [m] whose lowest resonance is ``f0_hz``: the inverse of :func:`quarter_wave_hz`."""
    return SPEED_OF_SOUND_M_S / (4.0 * f0_hz) - END_CORRECTION * radius_m


def tapered_hz(slant_m: Metres, *, bottom_radius_m: Metres, top_radius_m: Metres) -> Hertz:
    """Resonance [Hz] of the air in a markedly conical cup, ``f = (c / 2) / (s + 1.28 (r_bottom + r_top))``.

    ``slant_m`` is the length s of the wall along its slope above the liquid, ``bottom_radius_m`` the radius at the
    liquid's surface.
    """
    return SPEED_OF_SOUND_M_S / 2.0 / (slant_m + 1.28 * (bottom_radius_m + top_radius_m))


def bottle_hz(air_column_m: Metres, *, radius_m: Metres, neck_radius_m: Metres, neck_length_m: Metres) -> Hertz:
    """Helmholtz resonance [Hz] of a bottle with air column l below the neck.

    ``f = (c / 2 pi) (R_n / R) sqrt(1 / ((H_n + (0.6 + 8 / 3 pi) R_n) l))``: the neck's end corrections are those of an
    open end outside (0.6) and of a flanged piston inside (8 / 3 pi).
    """
    neck_m = neck_length_m + (0.6 + 8.0 / (3.0 * np.pi)) * neck_radius_m
    return SPEED_OF_SOUND_M_S / (2.0 * np.pi) * (neck_radius_m / radius_m) / np.sqrt(neck_m * air_column_m)


def wall_mode_hz(
    level_m: Metres,
    *,
    radius_m: float,
    height_m: float,
    wall_m: float,
    youngs_pa: float,
    density_kg_m3: float,
    mode: tuple[float, int] = WALL_MODES[0],
) -> Hertz:
    """Bending mode [Hz] of a cup's wall with liquid up to ``level_m``; it falls as the cup fills.

    ``f_0 = (1 / 12 pi) sqrt(3 Y / rho_g) (a / R^2) sqrt(((n^2 - 1)^2 + (m R / H)^4) / (1 + 1 / n^2))`` and
    ``f = f_0 / sqrt(1 + 0.25 (rho_l R / rho_g a) (h / H)^4)``: A. P. French, "In vino veritas", Am. J. Phys. 51 (1983).
    """
    m, n = mode
    stiffness = np.sqrt(((n**2 - 1) ** 2 + (m * radius_m / height_m) ** 4) / (1.0 + 1.0 / n**2))
    empty_hz = np.sqrt(3.0 * youngs_pa / density_kg_m3) * wall_m / radius_m**2 * stiffness / (12.0 * np.pi)
    loading = _FRENCH_LOADING * WATER_KG_M3 * radius_m / (density_kg_m3 * wall_m)
    return empty_hz / np.sqrt(1.0 + loading * (level_m / height_m) ** 4)


def minnaert_hz(bubble_radius_m: Metres) -> Hertz:
    """Note [Hz] of an air bubble in water, ``f = 3.26 / r`` (M. Minnaert, 1933)."""
    return 3.26 / bubble_radius_m
