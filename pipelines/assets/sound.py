"""The model that watches a pour and makes its sound."""

from pipelines.declaration import GPU, stage_asset

__all__ = ["audio_model", "audio_report"]

audio_model = stage_asset(
    "audio_model",
    "Generates sound from mask videos; trained on the clips and registered as `multigen-audio`.",
    kinds={"pytorch", "mlflow", "dvc"},
    owner="sound",
    pool=GPU,
)

audio_report = stage_asset(
    "audio_report",
    "How true and how varied the generated sound is, beside controls: Figure 4a.",
    kinds={"html", "dvc"},
    owner="sound",
    pool=GPU,
)
