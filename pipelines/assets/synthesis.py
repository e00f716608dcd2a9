"""Episodes with sound: generated, and the noise baseline."""

from pipelines.declaration import CORES, GPU, stage_asset

__all__ = ["audiovisual", "noise_augmented"]

audiovisual = stage_asset(
    "audiovisual",
    "The episodes with the sound that the audio model made for their masks.",
    kinds={"lerobot", "audio", "dvc"},
    owner="sound",
    pool=GPU,
)

noise_augmented = stage_asset(
    "noise_augmented",
    "The baseline: the same episodes with environmental noise instead of generated sound.",
    kinds={"lerobot", "audio", "dvc"},
    owner="sound",
    pool=CORES,
)
