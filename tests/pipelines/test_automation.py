"""When assets would be made by themselves."""

import dagster as dg
import pytest

from pipelines.automation import WHEN_DATA_CHANGED


@dg.asset
def upstream() -> None:
    return None


@dg.asset(deps=[upstream], automation_condition=WHEN_DATA_CHANGED)
def downstream() -> None:
    return None


@pytest.mark.filterwarnings("ignore:.*is currently in beta")
def test_same_bytes_start_nothing() -> None:
    """Making an upstream again with the same data version is no news; another version is."""
    defs = dg.Definitions([upstream, downstream])
    instance = dg.DagsterInstance.ephemeral()

    def made(name: str, version: str) -> None:
        tags = {"dagster/data_version": version}
        instance.report_runless_asset_event(dg.AssetMaterialization(name, tags=tags))

    made("upstream", "a")
    made("downstream", "1")
    cursor = dg.evaluate_automation_conditions(defs=defs, instance=instance).cursor
    made("upstream", "a")
    again = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=cursor)
    assert again.total_requested == 0
    made("upstream", "b")
    changed = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=again.cursor)
    assert changed.total_requested == 1
