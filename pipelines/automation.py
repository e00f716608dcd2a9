"""When things run by themselves, and when their results count as old.

Everything here is off until somebody switches it on in Dagster's Automation page.
"""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import dagster as dg

from multigen_core.experiment import Automation
from pipelines.jobs import whole_graph
from pipelines.resources.compute import Compute

__all__ = ["WHEN_DATA_CHANGED", "fresh_enough", "inbox_digest", "new_clips", "remake_what_changed", "weekly_retraining"]

WHEN_DATA_CHANGED = (
    dg.AutomationCondition.eager()
    .replace("newly_updated", dg.AutomationCondition.data_version_changed())
    .with_label("upstream data changed")
)
"""Like ``eager()``, which would also fire when an upstream was made again with the same bytes."""

remake_what_changed = dg.AutomationConditionSensorDefinition(
    name="remake_what_changed",
    target=dg.AssetSelection.all(),
    description="Makes what is downstream of an asset whose data version changed, and nothing after the same bytes.",
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=60,
)


def weekly_retraining(settings: Automation) -> dg.ScheduleDefinition:
    """Runs the whole graph by ``automation.cron``."""
    return dg.ScheduleDefinition(
        name="weekly_retraining",
        job=whole_graph,
        cron_schedule=settings.cron,
        execution_timezone=settings.time_zone,
        description="Takes in new clips of the inbox, trains again where something changed, and judges the champion.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def new_clips(settings: Automation) -> dg.SensorDefinition:
    """Runs the whole graph when files came into the inbox, changed or went, and nothing is being copied any more."""

    @dg.sensor(
        name="new_clips",
        job=whole_graph,
        description="Watches the folder clips.inbox; two looks in a row must see the same, so that a copy is finished.",
        minimum_interval_seconds=settings.inbox_poll_s,
        default_status=dg.DefaultSensorStatus.STOPPED,
    )
    def look(context: dg.SensorEvaluationContext, compute: Compute) -> dg.SensorResult | dg.SkipReason:
        clips = compute.experiment().clips
        inbox = compute.folder / clips.inbox
        if "local" not in clips.sources:
            return dg.SkipReason("clips.sources has no 'local', so nobody reads the inbox")
        if not inbox.is_dir():
            return dg.SkipReason(
                f"clips.inbox is {clips.inbox!r}, which is not a folder: create it or name another one"
            )
        return _compare(context.cursor, inbox_digest(inbox))

    return look


def fresh_enough(settings: Automation) -> dg.FreshnessPolicy:
    """An alarm on what was not made for ``automation.fresh_days``, and a warning when 4/5 of that are over."""
    limit = timedelta(days=settings.fresh_days)
    return dg.FreshnessPolicy.time_window(fail_window=limit, warn_window=0.8 * limit)


def inbox_digest(inbox: Path) -> str:
    """Of names, sizes and times of all files that are not hidden; empty when there are none."""
    rows = []
    for path in sorted(inbox.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(inbox).parts):
            state = path.stat()
            rows.append((path.relative_to(inbox).as_posix(), state.st_size, state.st_mtime_ns))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] if rows else ""


def _compare(cursor: str | None, now: str) -> dg.SensorResult | dg.SkipReason:
    """The cursor keeps what the last run was asked for, what the last look saw, and how many runs were asked for."""
    asked, seen, count = json.loads(cursor) if cursor else ("", "", 0)
    runs = int(count)
    if now == asked:
        return dg.SensorResult(skip_reason="nothing new in the inbox", cursor=json.dumps([asked, now, runs]))
    if now != seen:
        return dg.SensorResult(skip_reason="the inbox is changing", cursor=json.dumps([asked, now, runs]))
    # The number keeps Dagster from taking a state that returned for one that it has answered already.
    request = dg.RunRequest(run_key=f"{runs + 1}-{now or 'empty'}")
    return dg.SensorResult(run_requests=[request], cursor=json.dumps([now, now, runs + 1]))
