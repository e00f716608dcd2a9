"""Names of figures as people read them: ``onset_lag_s`` is "onset lag [s]"."""

__all__ = ["with_unit"]

_UNITS = {
    "_ml_s": "ml/s",
    "_ml": "ml",
    "_s": "s",
    "_ms": "ms",
    "_m": "m",
    "_db": "dB",
    "_dbfs": "dBFS",
    "_octaves": "octave",
    "_px": "px",
    "_hz": "Hz",
}
"""By the endings of the names; a longer one comes before the shorter one it ends in."""


def with_unit(name: str) -> str:
    """The name in words, its unit in brackets where it has one."""
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ')} [{unit}]"
    return name.replace("_", " ")
