"""The model registry: every trained model becomes a version; aliases say which one is tried and which one is used."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from multigen_core.errors import MissingInput
from multigen_core.experiment import Experiment
from multigen_core.records import SAMPLE_RATE_HZ, Json
from multigen_core.stages import Stage
from pipelines.project import project_root
from pipelines.resources.mlflow import Mlflow, StepRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

__all__ = [
    "AUDIO",
    "CHALLENGER",
    "CHAMPION",
    "POLICY",
    "PREVIOUS",
    "SERVED",
    "Served",
    "annotate",
    "fetch_policy",
    "licence_tags",
    "register",
    "version_at",
    "version_named",
    "weights_of",
]

AUDIO, POLICY = "multigen-audio", "multigen-policy"
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
ORIGIN = {"dagster.run_id", "dagster.asset_key", "dagster.partition", "git_commit"}
"""Tags of the training's MLflow run that its model version has too."""
SERVING = Path(__file__).parent / "serving"


def register(
    stage: Stage,
    partition: str | None,
    place: Path,
    run: StepRun,
    experiment: Experiment,
    md5: str,
    *,
    trained_on: Mapping[str, str] = MappingProxyType({}),
    summary: Mapping[str, Json] = MappingProxyType({}),
) -> None:
    """Registers what the stage trained, if it trains a model that is served; the same weights give no second version.

    ``trained_on`` (stage@partition -> DVC md5) and ``summary`` stay with the version: md5s and licences as tags, all
    of it as metadata of the model. The newest version of the ablation that ``champion.ablation`` names, and of the
    sound model, is the challenger.
    """
    served = SERVED.get(stage.name)
    if served is None:
        return
    identity = {"dvc_md5": md5} | ({"ablation": partition} if partition else {})
    version = _known(run.client, served.name, identity)
    if version is None:
        origin = {name: value for name, value in run.client.get_run(run.run_id).data.tags.items() if name in ORIGIN}
        # MLflow allows no @ in the name of a tag.
        papers = {f"trained_on.{name.replace('@', '/')}": md5 for name, md5 in trained_on.items()}
        papers |= licence_tags(summary)
        metadata = {"trained_on": dict(trained_on), "figures": dict(summary)}
        version = _log(served, place, run, experiment, identity | origin | papers, metadata=metadata)
    if partition in (None, experiment.champion.ablation):
        run.client.set_registered_model_alias(served.name, CHALLENGER, version)
    run.tag("registered_model", f"{served.name}/{version}")


def annotate(client: "MlflowClient", name: str, md5: str | None, figures: Mapping[str, Json]) -> str | None:
    """Writes figures that were measured later as tags ``figure.<name>`` of the version with these weights.

    Returns the version; None when there is none.
    """
    version = None if md5 is None else _known(client, name, {"dvc_md5": md5})
    if version is not None:
        for key, value in figures.items():
            if isinstance(value, int | float):
                client.set_model_version_tag(name, version, f"figure.{key}", str(value))
    return version


def version_at(client: "MlflowClient", name: str, alias: str) -> "ModelVersion | None":
    """The version the alias points at; None when the alias or the model does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException:
        return None


def version_named(client: "MlflowClient", uri: str) -> "ModelVersion":
    """The version that ``models:/name@alias`` or ``models:/name/number`` names. Raises MissingInput for any other."""
    from mlflow.exceptions import MlflowException

    name, at, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = (name, "", "") if at else name.partition("/")
    if not uri.startswith("models:/") or not name or not (alias or number):
        raise MissingInput(
            f"{uri!r} names no model: write models:/multigen-policy@champion or models:/multigen-policy/3"
        )
    try:
        return client.get_model_version_by_alias(name, alias) if at else client.get_model_version(name, number)
    except MlflowException as error:
        known = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise MissingInput(f"the registry has no {uri}: its models are {known}") from error


def weights_of(version: "ModelVersion", scratch: Path) -> Path:
    """The folder that was registered, fetched to ``scratch``."""
    import mlflow

    model = mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}", dst_path=str(scratch))
    (folder,) = (Path(model) / "artifacts").iterdir()
    return folder


def fetch_policy(uri: str, scratch: Path) -> Path:
    """What ``python -m multigen_core policy play`` asks for ``models:/…``: that version's weights, in ``scratch``.

    Raises MissingInput for an address that is no version of the policy.
    """
    version = version_named(Mlflow(root=str(project_root())).client(), uri)
    if version.name != POLICY:
        raise MissingInput(f"{uri} is not a policy: take a version of {POLICY}")
    return weights_of(version, scratch)


def licence_tags(summary: Mapping[str, Json]) -> dict[str, str]:
    """What a sound model says about the clips it learned from; nothing for a model that heard none."""
    licences = summary.get("licences")
    if not isinstance(licences, list):
        return {}
    return {"licences": ", ".join(map(str, licences)), "non_commercial": "yes" if summary["non_commercial"] else "no"}


@dataclass(frozen=True)
class Served:
    name: str
    code: Path
    signature: Callable[[Experiment], "ModelSignature"]


def _known(client: "MlflowClient", name: str, tags: Mapping[str, str]) -> str | None:
    for version in client.search_model_versions(f"name = '{name}'"):
        if tags.items() <= version.tags.items():
            return str(version.version)
    return None


def _log(
    served: Served,
    place: Path,
    run: StepRun,
    experiment: Experiment,
    tags: Mapping[str, str],
    *,
    metadata: Mapping[str, object],
) -> str:
    import mlflow

    with warnings.catch_warnings():
        # MLflow asks for type hints and an example to find the signature that it is given here.
        warnings.simplefilter("ignore", UserWarning)
        info = mlflow.pyfunc.log_model(
            name=served.name,
            python_model=str(served.code),
            artifacts={"weights": str(place)},
            signature=served.signature(experiment),
            pip_requirements=["multigen"],
            metadata=dict(metadata),
        )
    if run.client.search_registered_models(f"name = '{served.name}'") == []:
        run.client.create_registered_model(served.name)
    version = run.client.create_model_version(
        served.name, info.model_uri, run_id=run.run_id, tags=dict(tags), model_id=info.model_id
    )
    return str(version.version)


def _policy_signature(experiment: Experiment) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    side = experiment.episodes.image_px
    samples = round(experiment.policy.audio_window_s * SAMPLE_RATE_HZ)
    inputs = Schema(
        [
            TensorSpec(np.dtype("uint8"), (-1, side, side, 3), "rgb"),
            TensorSpec(np.dtype("float32"), (-1, samples), "waveform"),
            TensorSpec(np.dtype("float32"), (-1, 7), "joints_rad"),
            TensorSpec(np.dtype("float32"), (-1, 7), "joint_speeds_rad_s"),
            TensorSpec(np.dtype("float32"), (-1,), "goal_fraction"),
        ]
    )
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, experiment.policy.chunk, 3))])
    return ModelSignature(inputs, outputs, ParamSchema([ParamSpec("seed", "long", 0)]))


def _audio_signature(experiment: Experiment) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    inputs = Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, -1))])
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, -1))])
    params = ParamSchema([ParamSpec("fps", "double", experiment.clips.fps), ParamSpec("seed", "long", 0)])
    return ModelSignature(inputs, outputs, params)


SERVED = {
    "audio_model": Served(AUDIO, SERVING / "audio.py", _audio_signature),
    "policy": Served(POLICY, SERVING / "policy.py", _policy_signature),
}
