"""Where the arm's parts are in a posture: what the safety rules look at."""

import mujoco
import numpy as np
from jaxtyping import Float

from multigen_core.containers import Container
from multigen_core.simulation.gen3 import JOINTS, TOOL_BODY
from multigen_core.simulation.scene import arm_with_pitcher
from multigen_core.simulation.vessels import LIP_SITE, PITCHER_BODY

__all__ = ["ArmBody"]

_ELBOW_BODY = JOINTS[3].link.name


class ArmBody:
    """Forward kinematics of the arm with a pitcher in its hand."""

    limits_rad: Float[np.ndarray, "7"] = np.array(
        [np.inf if joint.limit_rad is None else joint.limit_rad for joint in JOINTS]
    )
    """Symmetric; infinite for joints that turn without end."""

    def __init__(self, pitcher: Container) -> None:
        self.model = arm_with_pitcher(pitcher)
        self._data = mujoco.MjData(self.model)
        self._tool, self._elbow = self.model.body(TOOL_BODY).id, self.model.body(_ELBOW_BODY).id
        self._lip, self._pitcher = self.model.site(LIP_SITE).id, self.model.body(PITCHER_BODY).id

    def points_m(self, posture_rad: Float[np.ndarray, "7"]) -> dict[str, Float[np.ndarray, "3"]]:
        """Tool, pouring lip ("rim") and elbow, in the frame of the base."""
        self._place(posture_rad)
        return {
            "tool": np.array(self._data.xpos[self._tool]),
            "rim": np.array(self._data.site_xpos[self._lip]),
            "elbow": np.array(self._data.xpos[self._elbow]),
        }

    def tilt_rad(self, posture_rad: Float[np.ndarray, "7"]) -> float:
        """Of the pitcher from upright, towards -y."""
        self._place(posture_rad)
        axis = self._data.xmat[self._pitcher].reshape(3, 3)[:, 2]
        return float(np.arctan2(-axis[1], axis[2]))

    def _place(self, posture_rad: Float[np.ndarray, "7"]) -> None:
        self._data.qpos[:] = posture_rad
        mujoco.mj_kinematics(self.model, self._data)
