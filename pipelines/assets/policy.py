"""The pouring policy and its ablations."""

from pipelines.declaration import GPU, stage_asset

__all__ = ["policy"]

policy = stage_asset(
    "policy",
    "Diffusion policy on images, sound, joints and goal, one per ablation; registered as `multigen-policy`.",
    kinds={"pytorch", "mlflow", "dvc"},
    owner="policy",
    pool=GPU,
    ages=True,
)
