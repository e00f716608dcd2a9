"""The catalogue's schema lets good rows through and names bad ones."""

from pathlib import Path
from typing import Any

import pytest
from pandera.errors import SchemaError

from multigen_core.clips.catalogue import (
    read_catalogue,
    read_quarantine,
    write_catalogue,
    write_quarantine,
)
from multigen_core.errors import MissingInput, UserError

GOOD: dict[str, Any] = {
    "clip_id": "local-a-1",
    "source": "local",
    "source_id": "a",
    "start_s": 1.0,
    "end_s": 5.0,
    "duration_s": 4.0,
    "fps": 10.0,
    "width_px": 42,
    "height_px": 32,
    "onset_s": 0.5,
    "offset_s": 4.0,
    "level_dbfs": -30.0,
    "air_column_error_m": 0.004,
    "licence": "unknown",
    "sha256": "0" * 64,
    "split": "train",
}


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_catalogue(tmp_path, [GOOD, GOOD | {"clip_id": "local-a-2"}])
    assert read_catalogue(tmp_path).to_dict("records")[0] == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"clip_id": "with space"},
        {"clip_id": "local-b-1"},
        {"width_px": 41},
        {"end_s": 6.0},
        {"onset_s": 4.5},
        {"offset_s": 4.5},
        {"level_dbfs": 1.0},
        {"air_column_error_m": -0.1},
        {"sha256": "abc"},
        {"split": "test"},
        {"split": "validation"},
        {"fps": 0.0},
    ],
    ids=str,
)
def test_a_bad_row_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        write_catalogue(tmp_path, [GOOD | {"clip_id": "local-b-1"}, GOOD | change])


def test_an_unknown_column_is_refused_on_reading(tmp_path: Path) -> None:
    table = write_catalogue(tmp_path, [GOOD])
    table.assign(mood="good").to_parquet(tmp_path / "catalogue.parquet", index=False)
    with pytest.raises(UserError, match=r"catalogue\.parquet breaks its schema"):
        read_catalogue(tmp_path)


def test_a_missing_catalogue_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="multigen_core clips"):
        read_catalogue(tmp_path)


def test_an_empty_quarantine_is_fine_and_an_unknown_reason_is_not(tmp_path: Path) -> None:
    write_quarantine(tmp_path, [])
    assert len(read_quarantine(tmp_path)) == 0
    row = {"source": "local", "path": "x.mp4", "reason": "ugly", "figure": float("nan")}
    with pytest.raises(SchemaError):
        write_quarantine(tmp_path, [row])
