"""When things run by themselves. Both are off until somebody turns them on in Dagster's Automation page."""

import dagster as dg

from pipelines.jobs import whole_graph

__all__ = ["WHEN_DATA_CHANGED", "weekly_retraining"]

WHEN_DATA_CHANGED = (
    dg.AutomationCondition.eager()
    .replace("newly_updated", dg.AutomationCondition.data_version_changed())
    .with_label("upstream data changed")
)
"""Like ``eager()``, which would also fire when an upstream was made again with the same bytes."""

weekly_retraining = dg.ScheduleDefinition(
    name="weekly_retraining",
    job=whole_graph,
    cron_schedule="0 2 * * 0",
    description="Takes in new clips of the inbox and trains again where something changed, on Sunday at 2:00.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
