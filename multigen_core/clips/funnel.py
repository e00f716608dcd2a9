"""How many candidates are left after each step of the clips stage."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from multigen_core.clips.catalogue import REASONS
from multigen_core.records import Json, Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EPIC_POURS", "Funnel", "funnel_summary", "steps_of"]

EPIC_POURS = "pours"
"""Step of the source ``epic``: annotated segments of the wanted verb class, before any filter."""

Funnel = list[tuple[str, int]]
"""Step and how many it keeps, in order."""


def funnel_summary(sources: Mapping[str, Mapping[str, int]], candidates: int, quarantine: "pd.DataFrame") -> Summary:
    """The figures ``funnel``, ``funnel_<source>`` and ``epic_pour_segments`` (null without that source).

    A funnel is a list of ``{"step", "kept"}``: JSON keeps the order of a list, not that of keys. Between
    ``candidates`` and ``accepted`` stands every reason of the quarantine with what is left without those it rejected.
    """
    left, steps = candidates, [("candidates", candidates)]
    for reason in REASONS:
        left -= int((quarantine["reason"] == reason).sum())
        steps.append((f"without_{reason}", left))
    summary: Summary = {"funnel": _listed([*steps, ("accepted", left)])}
    summary |= {f"funnel_{name}": _listed(list(found.items())) for name, found in sources.items()}
    summary["epic_pour_segments"] = sources["epic"][EPIC_POURS] if "epic" in sources else None
    return summary


def steps_of(summary: Summary, name: str = "funnel") -> Funnel:
    """A funnel as it was written; empty when the summary has none."""
    listed = summary.get(name)
    if not isinstance(listed, list):
        return []
    return [(str(row["step"]), int(str(row["kept"]))) for row in listed if isinstance(row, dict)]


def _listed(steps: Funnel) -> Json:
    return [{"step": step, "kept": kept} for step, kept in steps]
