"""Trials in the lab, and the report."""

from pipelines.declaration import CORES, GPU, stage_asset

__all__ = ["evaluation", "report"]

evaluation = stage_asset(
    "evaluation",
    "Closed-loop pours in the lab, one row per trial, for every ablation on the same cups and goals.",
    kinds={"mujoco", "parquet", "dvc"},
    owner="policy",
    pool=GPU,
    ages=True,
)

report = stage_asset(
    "report",
    "The page to look at and listen to: NMAE per ablation and container, sound figures, videos, lineage.",
    kinds={"html", "dvc"},
    owner="policy",
    pool=CORES,
)
