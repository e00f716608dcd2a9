"""Everything Dagster loads, listed. Nothing heavy is imported here: every run and every step is a new process."""

import dagster as dg

from pipelines.assets.champions import audio_champion, champion
from pipelines.assets.clips import clips, masks, segmenter
from pipelines.assets.evaluation import evaluation, report
from pipelines.assets.policy import policy
from pipelines.assets.remote import remote_copy
from pipelines.assets.simulation import episodes
from pipelines.assets.sound import audio_model, audio_report
from pipelines.assets.synthesis import audiovisual, noise_augmented
from pipelines.automation import new_clips, remake_what_changed, weekly_retraining
from pipelines.jobs import roll_back_champion, whole_graph
from pipelines.project import load_experiment, project_root
from pipelines.resources.compute import Compute
from pipelines.resources.dvc import Dvc
from pipelines.resources.mlflow import Mlflow

__all__ = ["ASSETS", "defs"]

ASSETS = [
    clips,
    segmenter,
    masks,
    audio_model,
    episodes,
    audiovisual,
    noise_augmented,
    audio_report,
    policy,
    evaluation,
    report,
    audio_champion,
    champion,
    remote_copy,
]
"""In an order in which they can be made."""

SETTINGS = load_experiment(project_root()).automation

defs = dg.Definitions(
    assets=ASSETS,
    jobs=[whole_graph, roll_back_champion],
    schedules=[weekly_retraining(SETTINGS)],
    sensors=[new_clips(SETTINGS), remake_what_changed],
    resources={"compute": Compute(), "dvc": Dvc(), "mlflow": Mlflow()},
    # A run holds one partition of one or a few assets; a process per step would only load everything again.
    executor=dg.in_process_executor,
)
