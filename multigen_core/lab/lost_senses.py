"""Whether a policy still has the senses that it pours by: without them a trial ends instead of flooding the table."""

import numpy as np

from multigen_core.policy.contract import Policy
from multigen_core.records import Observation

__all__ = ["lost_sense"]

_DEAD_DBFS = -90.0
"""A whole window below this is no room: even a quiet one has more than -75 dBFS."""
_NOTHING_SEEN = 2.0
"""Spread [of 255] within each colour of a picture in which nothing can be told apart."""


def lost_sense(policy: Policy, observation: Observation) -> str | None:
    """What the policy would need and does not get, in words; None when all is well."""
    if policy.uses_sight and observation.rgb.std(axis=(0, 1)).max() < _NOTHING_SEEN:
        return "the camera shows nothing"
    if policy.uses_sound:
        power = float(np.mean(np.square(observation.waveform, dtype=np.float64)))
        if power < 10.0 ** (_DEAD_DBFS / 10.0):
            return "the microphone is dead"
    return None
