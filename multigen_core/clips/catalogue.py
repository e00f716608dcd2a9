"""The tables of the clips stage: what was kept, and what was not and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaError, SchemaErrors

from multigen_core.errors import MissingInput, UserError

__all__ = [
    "CATALOGUE",
    "QUARANTINE",
    "REASONS",
    "CatalogueSchema",
    "QuarantineSchema",
    "read_catalogue",
    "read_quarantine",
    "true_masks",
    "write_catalogue",
    "write_quarantine",
]

CATALOGUE = "catalogue.parquet"
QUARANTINE = "quarantine.parquet"
REASONS = (
    "licence",
    "bad_annotation",
    "missing_video",
    "gone",
    "private",
    "age_restricted",
    "blocked",
    "unreachable",
    "not_decodable",
    "no_video",
    "no_sound",
    "too_short",
    "no_pour",
    "too_quiet",
    "clipped",
    "still",
    "cut",
    "speech",
    "music",
    "duplicate",
)
"""In the order in which a candidate meets them: first what a source cannot bring, then what cannot be used."""

FIGURES = (
    "too_short: seconds; no_pour, too_quiet: dBFS; clipped: share of samples; still: range of the picture in levels of "
    "255; cut: correlation of neighbouring frames; speech, music: share of the time; duplicate: share of bits or time "
    "in common; else empty"
)


def _times_agree(rows: pd.DataFrame) -> "pd.Series[bool]":
    """The pour lies in the clip, and the clip is as long as its ends say."""
    same_length = (rows["end_s"] - rows["start_s"] - rows["duration_s"]).abs() < 1e-6
    return same_length & (rows["onset_s"] < rows["offset_s"]) & (rows["offset_s"] <= rows["duration_s"] + 1e-6)


def _on_one_side(rows: pd.DataFrame) -> "pd.Series[bool]":
    """No recording is in both splits."""
    return rows.groupby(["source", "source_id"])["split"].transform("nunique") == 1


_EVEN = [pa.Check.gt(0), pa.Check(lambda side: side % 2 == 0, name="even", element_wise=True)]

CatalogueSchema = pa.DataFrameSchema(
    {
        "clip_id": pa.Column(str, pa.Check.str_matches(r"^[A-Za-z0-9_-]+$"), unique=True),
        "source": pa.Column(str, description="name of the source in clips.sources"),
        "source_id": pa.Column(str, description="the recording the clip was cut from"),
        "start_s": pa.Column(float, pa.Check.ge(0.0), description="where the clip begins in its recording"),
        "end_s": pa.Column(float, pa.Check.gt(0.0)),
        "duration_s": pa.Column(float, pa.Check.gt(0.0)),
        "fps": pa.Column(float, pa.Check.gt(0.0)),
        "width_px": pa.Column(int, _EVEN),
        "height_px": pa.Column(int, _EVEN),
        "onset_s": pa.Column(float, pa.Check.ge(0.0), description="first sound of the pour, in clip time"),
        "offset_s": pa.Column(float, pa.Check.gt(0.0), description="last sound of the pour, in clip time"),
        "level_dbfs": pa.Column(float, pa.Check.le(0.0), description="root mean square of the clip's sound"),
        "air_column_error_m": pa.Column(
            float,
            pa.Check.ge(0.0),
            nullable=True,
            description="median error of the air column heard, where the receiver was measured",
        ),
        "licence": pa.Column(str),
        "sha256": pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{64}$"), description="of the recording's file"),
        "split": pa.Column(str, pa.Check.isin(["train", "validation"]), description="by recording"),
    },
    checks=[pa.Check(_times_agree, name="times_agree"), pa.Check(_on_one_side, name="recordings_on_one_side")],
    strict=True,
    ordered=True,
)
"""One row per clip."""

QuarantineSchema = pa.DataFrameSchema(
    {
        "source": pa.Column(str),
        "path": pa.Column(str),
        "reason": pa.Column(str, pa.Check.isin(REASONS)),
        "figure": pa.Column(float, nullable=True, description=FIGURES),
    },
    strict=True,
    ordered=True,
)
"""One row per recording that did not become a clip."""


def write_catalogue(folder: Path, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Checks and writes the catalogue; raises pandera's schema error when a row breaks its schema."""
    return _write(folder / CATALOGUE, CatalogueSchema, rows)


def write_quarantine(folder: Path, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Checks and writes the quarantine, which may be empty."""
    return _write(folder / QUARANTINE, QuarantineSchema, rows)


def read_catalogue(folder: Path) -> pd.DataFrame:
    """The checked catalogue of a finished clips stage.

    Raises MissingInput when there is none, UserError when it breaks its schema.
    """
    return _read(folder / CATALOGUE, CatalogueSchema)


def read_quarantine(folder: Path) -> pd.DataFrame:
    """What was not kept; errors as in :func:`read_catalogue`."""
    return _read(folder / QUARANTINE, QuarantineSchema)


def true_masks(folder: Path, clip_id: str) -> Path:
    """Video of the masks that a clip was rendered with; not there for clips of other sources."""
    return folder / "truth" / f"{clip_id}.mp4"


def _write(path: Path, schema: pa.DataFrameSchema, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    kinds = {name: column.dtype.type for name, column in schema.columns.items()}
    table = pd.DataFrame(list(rows), columns=list(kinds)).astype(kinds)
    checked: pd.DataFrame = schema.validate(table)
    checked.to_parquet(path, index=False)
    return checked


def _read(path: Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    if not path.is_file():
        raise MissingInput(f"{path} does not exist: run `python -m multigen_core clips` first")
    try:
        checked: pd.DataFrame = schema.validate(pd.read_parquet(path))
    except (SchemaError, SchemaErrors) as error:
        raise UserError(
            f"{path} breaks its schema ({' '.join(str(error).split())[:200]}): run the stage `clips` again"
        ) from error
    return checked
