"""Silent pours in the simulator."""

from pipelines.declaration import CORES, stage_asset

__all__ = ["episodes"]

episodes = stage_asset(
    "episodes",
    "Expert pours of the simulated arm as LeRobot v3 shards: images, masks, joints, actions, amounts; no sound.",
    kinds={"mujoco", "lerobot", "dvc"},
    owner="simulation",
    pool=CORES,
)
