"""Figures' names in words."""

import pytest

from multigen_core.quantities import with_unit


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("onset_lag_s", "onset lag [s]"),
        ("validation_flow_error_ml_s", "validation flow error [ml/s]"),
        ("spilled_ml", "spilled [ml]"),
        ("latency_ms", "latency [ms]"),
        ("min_level_dbfs", "min level [dBFS]"),
        ("pitch_error_octaves", "pitch error [octave]"),
        ("never_stopped", "never stopped"),
        ("trials", "trials"),
    ],
)
def test_the_unit_stands_in_brackets(name: str, words: str) -> None:
    assert with_unit(name) == words
