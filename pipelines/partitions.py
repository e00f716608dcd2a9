"""Partition keys, read from params.yaml when Dagster loads the project, and how they map between stages."""

import dagster as dg

from multigen_core.stages import Stage, partitions_of, stage_named
from pipelines.project import load_experiment, project_root

__all__ = ["partitions_def_of", "upstream_of"]


def partitions_def_of(stage: Stage) -> dg.StaticPartitionsDefinition | None:
    """The stage's keys: simulation shards or policy ablations; None when it has no partitions."""
    if stage.partitions is None:
        return None
    keys = partitions_of(stage, load_experiment(project_root()))
    return dg.StaticPartitionsDefinition([key for key in keys if key is not None])


def upstream_of(stage: Stage) -> list[dg.AssetDep]:
    """What the stage reads: the same partition where both share their keys, else all partitions of the upstream."""
    deps = []
    for name in stage.inputs:
        upstream = stage_named(name)
        every = upstream.partitions is not None and upstream.partitions != stage.partitions
        deps.append(dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping() if every else None))
    return deps
