"""When assets would be made by themselves."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from multigen_core.params import load, override
from pipelines.automation import WHEN_DATA_CHANGED, new_clips, weekly_retraining
from pipelines.definitions import ASSETS, defs
from pipelines.resources.compute import Compute
from tests.skeleton import REPOSITORY

SETTINGS = load(REPOSITORY / "params.yaml").automation
DATA_VERSION = "dagster/data_version"


@dg.asset
def upstream() -> None:
    return None


@dg.asset(deps=[upstream], automation_condition=WHEN_DATA_CHANGED)
def downstream() -> None:
    return None


@pytest.mark.filterwarnings("ignore:.*is currently in beta")
def test_same_bytes_start_nothing() -> None:
    """Making an upstream again with the same data version is no news; another version is."""
    graph = dg.Definitions([upstream, downstream])
    instance = dg.DagsterInstance.ephemeral()

    def made(name: str, version: str) -> None:
        tags = {DATA_VERSION: version}
        instance.report_runless_asset_event(dg.AssetMaterialization(name, tags=tags))

    made("upstream", "a")
    made("downstream", "1")
    cursor = dg.evaluate_automation_conditions(defs=graph, instance=instance).cursor
    made("upstream", "a")
    again = dg.evaluate_automation_conditions(defs=graph, instance=instance, cursor=cursor)
    assert again.total_requested == 0
    made("upstream", "b")
    changed = dg.evaluate_automation_conditions(defs=graph, instance=instance, cursor=again.cursor)
    assert changed.total_requested == 1


@pytest.mark.filterwarnings("ignore:.*is currently in beta")
def test_one_changed_shard_asks_for_its_sound_alone() -> None:
    """On the project's own graph: other shards stay, and so does the policy until the sound is there."""
    instance = dg.DagsterInstance.ephemeral()
    keys = load(REPOSITORY / "params.yaml").episodes.shards

    def made(name: str, version: str, partitions: tuple[str, ...] | tuple[None] = keys) -> None:
        for partition in partitions:
            event = dg.AssetMaterialization(name, partition=partition, tags={DATA_VERSION: version})
            instance.report_runless_asset_event(event)

    def asked(result: dg.EvaluateAutomationConditionsResult, name: str) -> set[str | None]:
        return set(result.get_requested_partitions(dg.AssetKey(name)))

    for name in ("clips", "segmenter", "masks", "audio_model"):
        made(name, "a", (None,))
    for name in ("episodes", "audiovisual", "noise_augmented"):
        made(name, "a")
    first = dg.evaluate_automation_conditions(defs=defs, instance=instance)
    made("episodes", "a", keys[:1])
    again = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=first.cursor)
    assert asked(again, "audiovisual") == asked(again, "noise_augmented") == set()
    made("episodes", "b", keys[:1])
    changed = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=again.cursor)
    assert asked(changed, "audiovisual") == asked(changed, "noise_augmented") == {keys[0]}
    assert asked(changed, "masks") == set()


def test_nothing_runs_by_itself_until_it_is_turned_on() -> None:
    schedule = defs.resolve_schedule_def("weekly_retraining")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == "whole_graph"
    sensors = {sensor.name: sensor.default_status for sensor in defs.sensors or []}  # type: ignore[union-attr]
    assert sensors == dict.fromkeys(("new_clips", "remake_what_changed"), dg.DefaultSensorStatus.STOPPED)
    assert {job.name for job in defs.jobs or []} == {"whole_graph", "roll_back_champion"}


def test_the_retraining_follows_cron_and_time_zone() -> None:
    """Sundays at 2 in Berlin, where summer time ends on 25 October 2026."""
    schedule = weekly_retraining(replace(SETTINGS, cron="0 2 * * 0", time_zone="Europe/Berlin"))
    start = datetime(2026, 10, 17, tzinfo=UTC).timestamp()
    ticks = schedule_execution_time_iterator(start, str(schedule.cron_schedule), schedule.execution_timezone)
    instants = [next(ticks).astimezone(UTC) for _ in range(3)]
    assert instants[0] == datetime(2026, 10, 18, 0, tzinfo=UTC)
    assert instants[2] == datetime(2026, 11, 1, 1, tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=instants[0]) as context:
        tick = schedule.evaluate_tick(context)
    assert tick.run_requests is not None and len(tick.run_requests) == 1


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Callable[[], dg.SensorResult | dg.SkipReason]]:
    """Looks into the inbox of a project again and again, each time with the cursor that the last look left."""
    override(REPOSITORY / "params.yaml", ["clips.inbox=data/inbox"], tmp_path / "params.yaml")
    (tmp_path / "data" / "inbox").mkdir(parents=True)
    sensor = new_clips(SETTINGS)
    cursor: list[str | None] = [None]

    def once() -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(cursor=cursor[0], resources={"compute": Compute(root=str(tmp_path))}) as context:
            result = sensor(context)
        if isinstance(result, dg.SensorResult):
            cursor[0] = result.cursor
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    yield once


def asks(result: dg.SensorResult | dg.SkipReason) -> bool:
    return isinstance(result, dg.SensorResult) and bool(result.run_requests)


def test_a_clip_asks_for_one_run_when_it_is_whole(look: Callable, tmp_path: Path) -> None:
    """Not while it is being copied, and not twice."""
    video = tmp_path / "data" / "inbox" / "pour.mp4"
    assert not asks(look())
    video.write_bytes(b"half")
    assert not asks(look())
    video.write_bytes(b"half and half")
    assert not asks(look())
    assert asks(look())
    assert not asks(look()) and not asks(look())
    os.utime(video, ns=(0, 0))
    assert [asks(look()) for _ in range(3)] == [False, True, False]


def test_a_clip_that_goes_and_returns_asks_each_time(look: Callable, tmp_path: Path) -> None:
    video, away = tmp_path / "data" / "inbox" / "pour.mp4", tmp_path / "pour.mp4"
    video.write_bytes(b"pour")
    keys = []
    for step in (None, (video, away), (away, video)):
        if step is not None:
            step[0].rename(step[1])
        look()
        result = look()
        assert asks(result)
        keys.append(result.run_requests[0].run_key)
    assert len(set(keys)) == 3


def test_hidden_files_are_no_clips(look: Callable, tmp_path: Path) -> None:
    (tmp_path / "data" / "inbox" / ".gitkeep").touch()
    assert not any(asks(look()) for _ in range(3))


@pytest.mark.parametrize(
    ("change", "words"),
    [("clips.sources=[reference]", "has no 'local'"), ("clips.inbox=nowhere", "is 'nowhere', which is not a folder")],
)
def test_an_inbox_that_is_not_read_is_said(look: Callable, tmp_path: Path, change: str, words: str) -> None:
    override(tmp_path / "params.yaml", [change], tmp_path / "params.yaml")
    result = look()
    assert isinstance(result, dg.SkipReason) and words in str(result.skip_message)


def test_clips_policy_and_evaluation_age() -> None:
    policies = {spec.key.to_user_string(): spec.freshness_policy for asset in ASSETS for spec in asset.specs}
    aging = {name: policy for name, policy in policies.items() if policy is not None}
    assert set(aging) == {"clips", "policy", "evaluation"}
    limit = timedelta(days=SETTINGS.fresh_days)
    assert set(aging.values()) == {dg.FreshnessPolicy.time_window(fail_window=limit, warn_window=0.8 * limit)}


def test_a_backfill_of_shards_is_one_run() -> None:
    single = {asset.key.to_user_string() for asset in ASSETS if asset.backfill_policy is not None}
    assert single == {"episodes", "audiovisual", "noise_augmented"}
