"""A copy of every output away from this machine."""

import dagster as dg

from multigen_core.errors import UserError
from pipelines.automation import WHEN_DATA_CHANGED
from pipelines.declaration import CORES
from pipelines.integrity import missing_in_remote, require_sound_cache
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.step import user_errors_as_failures

__all__ = ["remote_copy"]

PATIENCE = dg.RetryPolicy(max_retries=3, delay=20, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For networks: tries again after about 20, 60 and 140 s."""


@dg.asset(
    deps=["report"],
    group_name="remote",
    owners=["team:operations"],
    kinds={"dvc", "s3"},
    pool=CORES,
    retry_policy=PATIENCE,
    automation_condition=WHEN_DATA_CHANGED,
)
def remote_copy(context: dg.AssetExecutionContext, compute: Compute, dvc: Dvc) -> dg.MaterializeResult:
    """Every recorded output in DVC's data remote, after each was checked against its md5; no part of `make demo`."""
    experiment = compute.experiment()
    with user_errors_as_failures():
        address = dvc.remote()
        require_sound_cache(compute.folder, experiment, dvc)
    try:
        dvc.push()
        lost = missing_in_remote(experiment, dvc)
        if lost:
            context.log.warning(f"the remote had lost objects of {', '.join(lost)}: sending them again")
            dvc.send({md5 for objects in lost.values() for md5 in objects})
    except UserError as error:
        # What a network breaks another try may mend.
        raise dg.Failure(description=str(error)) from error
    context.log.info(f"everything recorded is in {address}")
    return dg.MaterializeResult(metadata={"remote": address}, data_version=dg.DataVersion(dvc.lock_digest()))
