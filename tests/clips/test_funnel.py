"""The funnel: in order, whatever JSON does to keys."""

import json
from itertools import pairwise
from pathlib import Path

import pandas as pd

from multigen_core.clips.catalogue import REASONS
from multigen_core.clips.funnel import funnel_summary, steps_of
from multigen_core.evaluation.figures import funnel
from multigen_core.storage import write_json

QUARANTINE = pd.DataFrame({"reason": ["gone", "no_sound", "no_sound"]})
EPIC = {"annotated": 900, "pours": 242, "liquids": 137, "candidates": 126, "videos_here": 4}


def test_a_funnel_keeps_its_order_through_json(tmp_path: Path) -> None:
    summary = funnel_summary({"local": {"videos": 4}, "epic": EPIC}, 130, QUARANTINE)
    write_json(tmp_path / "summary.json", summary)
    read = json.loads((tmp_path / "summary.json").read_text())
    steps = steps_of(read)
    assert [name for name, _ in steps] == ["candidates", *(f"without_{reason}" for reason in REASONS), "accepted"]
    kept = dict(steps)
    assert kept["candidates"] == 130 and kept["without_gone"] == 129 and kept["without_no_sound"] == 127
    assert all(before >= after for (_, before), (_, after) in pairwise(steps))
    assert steps[-1] == ("accepted", 127)
    assert steps_of(read, "funnel_epic") == list(EPIC.items())
    assert read["epic_pour_segments"] == 242


def test_without_epic_its_figure_is_null() -> None:
    summary = funnel_summary({"local": {"videos": 3}}, 3, QUARANTINE.head(0))
    assert summary["epic_pour_segments"] is None
    assert steps_of(summary, "funnel_epic") == []
    assert steps_of(summary)[-1] == ("accepted", 3)


def test_the_plot_leaves_out_what_took_nothing_away() -> None:
    steps = [("candidates", 5), *((f"without_{reason}", 5) for reason in REASONS), ("accepted", 5)]
    short = funnel([("candidates", 5), ("accepted", 5)])
    assert funnel(steps) == short
    assert funnel([("candidates", 5), ("without_gone", 3), ("accepted", 3)]) != short
    assert funnel([]).startswith(b"\x89PNG")
