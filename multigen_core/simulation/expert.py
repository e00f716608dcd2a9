"""The scripted expert: knows the true amounts and pours the goal, each time in another style.

Tilting by d(theta) lets out what the pitcher can no longer hold, so the flow follows from the slope of ``held_ml``:
``d(theta)/dt = (Q + g (Q - q)) / |d held / d theta|`` with wanted flow Q, measured flow q and a gain g. It tilts back
when what has arrived, what is in the air and what will still run off make up the goal.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from multigen_core.simulation.arm_motion import MAX_LIP_SPEED_M_S
from multigen_core.simulation.placement import mouth_centre_m
from multigen_core.simulation.setup import PourSetup
from multigen_core.simulation.tilted import held_ml
from multigen_core.simulation.world import WorldState

__all__ = ["Expert", "Style", "draw_style"]

Phase = Literal["approach", "pour", "pause", "retreat"]

RUN_OFF_S = 0.25
"""What stands over the lip in a steady pour, over the flow."""
FLOW_GAIN = 2.0
"""g."""
AT_LIP_RAD = np.radians(2.0)
"""Short of the tilt at which the pitcher runs over by this much, flow control begins."""
DRIP_FREE_RAD = np.radians(9.0)
"""Tilted back by this much from where it stopped, the pitcher does not drip."""
LIP_GAIN_PER_S = 2.0
RETREAT_LIP_Y_M = 0.09
"""Where the pitcher is tilted upright: further aside than any pour begins. The joints alone then tell going back from
setting out, also behind an opaque cup; a learner would otherwise meet the same sight with opposite actions."""
NEAR_LIP_M = 0.012
FAR_FROM_LIP_RAD = np.radians(12.0)
LEAST_APPROACH_SHARE = 0.4
"""Of the tilt speed, while the lip is not yet in place and the pitcher is about to run over."""
SLOPE_STEP_RAD = np.radians(1.0)
LEAST_SLOPE_ML_PER_RAD = 40.0
SLOW_FLOW_ML_S = 9.0
"""Towards the goal the flow falls to this: one particle per decision is then about the error that is left."""
MOST_FLOW_ML_S_PER_M2 = 8e4
"""A stream must fit into the mouth: 40 ml/s into one of 22 mm radius."""
BRAKING_S = 0.8
SMOOTHING = 0.5
"""Weight of the newest step in the running mean of the outflow."""
STALL_RATE_RAD_S = np.radians(10.0)
MOST_STALL_BACK_S = 0.5
"""So long a stalling arm tilts back at most, by then the stream is a trickle; at 0 it pours on."""
MOST_CREEP_RAD_S = np.radians(4.0)
"""Policies that do not find the end of a pour creep on like this."""
BRIMFUL = 0.95
"""A cup that is expected to be this full is not poured into by a stall: past its brim nothing can be learned."""
TOLERANCE = 0.03
"""A shortfall larger than this fraction of the goal is made up for after a pause."""
SPENT_ML = 2.0


@dataclass(frozen=True)
class Style:
    """How one episode is poured."""

    flow_ml_s: float
    """Wanted flow in the middle of the pour."""
    tilt_speed_rad_s: float
    """Highest rate of tilt before anything flows."""
    retreat_speed_rad_s: float
    lip_y_m: float
    """Lip beside the receiver's axis, on the pitcher's side: a stream flies a little towards the other."""
    lip_z_m: float
    """Lip above the rim."""
    first_share: float
    """Fraction of the goal poured before a look; less than 1 means a correction follows."""
    pause_s: float
    """Before the correction."""
    noise: tuple[float, float]
    """Standard deviation of the perturbations: lip velocity [m/s], tilt rate [rad/s]."""
    stall_share: float
    """Fraction of the goal at which the arm stalls once: it tilts back a little and creeps on, while what should be
    done is recorded. From 1 on it stalls when it should tilt back, and pours too much."""
    stall_s: float
    """How long; 0 for never."""
    stall_back_s: float
    """How long of it the arm tilts back."""
    stall_rate_rad_s: float
    """Then it creeps on with this tilt rate."""


def draw_style(rng: np.random.Generator, setup: PourSetup, *, looks: float, stalls: float) -> Style:
    """A style that fits the receiver: small cups are poured more slowly. ``looks`` is the probability of a look before
    the goal, ``stalls`` that of a stall."""
    hesitant = rng.random() < looks
    most_ml_s = min(90.0, MOST_FLOW_ML_S_PER_M2 * setup.receiver.mouth_radius_m**2)
    return Style(
        flow_ml_s=float(np.clip(setup.goal_ml / rng.uniform(2.0, 4.0), 15.0, most_ml_s)),
        tilt_speed_rad_s=float(np.radians(rng.uniform(17.0, 25.0))),
        retreat_speed_rad_s=float(np.radians(rng.uniform(18.0, 25.0))),
        lip_y_m=float(rng.uniform(0.3, 0.55) * setup.receiver.mouth_radius_m),
        lip_z_m=float(rng.uniform(0.02, 0.045)),
        first_share=float(rng.uniform(0.75, 0.92)) if hesitant else 1.0,
        pause_s=float(rng.uniform(0.2, 0.6)),
        noise=(0.008, float(np.radians(rng.uniform(0.0, 4.0)))),
        stall_share=float(rng.uniform(0.4, 1.6)),
        stall_s=float(rng.uniform(0.6, 2.4)) if rng.random() < stalls else 0.0,
        stall_back_s=float(rng.uniform(0.0, MOST_STALL_BACK_S)),
        stall_rate_rad_s=float(rng.uniform(0.0, MOST_CREEP_RAD_S)),
    )


class Expert:
    """Chooses actions for one episode; ``perturbed`` makes the action that is carried out differ from what it meant."""

    def __init__(self, setup: PourSetup, style: Style, *, step_s: float, rng: np.random.Generator) -> None:
        self._setup, self._style = setup, style
        self._step_s = step_s
        self._rng = rng
        self._phase: Phase = "approach"
        self._share = style.first_share
        self._outflow_ml_s = 0.0
        self._in_pitcher_ml = setup.initial_ml
        self._pause_left_s = 0.0
        self._stop_tilt_rad = 0.0
        self._drift = np.zeros(3)
        self._stalled_s = 0.0
        self._stalls = False

    def act(self, state: WorldState) -> Float[np.ndarray, "3"]:
        """The action that is right in this state, in the units of ``ACTION_SPEC``."""
        out = (self._in_pitcher_ml - state.in_pitcher_ml) / self._step_s
        self._in_pitcher_ml = state.in_pitcher_ml
        self._outflow_ml_s += SMOOTHING * (out - self._outflow_ml_s)
        self._advance_phase(state)
        self._advance_stall(state)
        velocity = self._lip_velocity(state)
        return np.array([*velocity, self._tilt_rate(state)])

    def perturbed(self, action: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
        """The action with a slowly wandering disturbance: the next one then shows how to recover.

        Laskey et al., "DART: Noise Injection for Robust Imitation Learning", arXiv 1703.09327.
        """
        lip, tilt = self._style.noise
        keep = 0.8
        kick = self._rng.normal(size=3) * np.array([lip, lip, tilt]) * np.sqrt(1.0 - keep**2)
        self._drift = keep * self._drift + kick
        carried_out = action + self._drift
        if self._stalls:
            backwards = self._stalled_s < self._style.stall_back_s
            carried_out[2] = -STALL_RATE_RAD_S if backwards else self._style.stall_rate_rad_s
            self._stalled_s += self._step_s
        return carried_out

    @property
    def retreating(self) -> bool:
        """It has poured what it wanted to; before, the pitcher may be upright in a pause."""
        return self._phase == "retreat"

    @property
    def _goal_ml(self) -> float:
        return self._share * self._setup.goal_ml

    def _advance_phase(self, state: WorldState) -> None:
        if self._phase == "approach" and np.linalg.norm(self._lip_error_m(state)) < NEAR_LIP_M:
            self._phase = "pour"
        elif self._phase == "pour" and (self._expected_ml(state) >= self._goal_ml or state.in_pitcher_ml < SPENT_ML):
            self._pause_left_s, self._stop_tilt_rad = self._style.pause_s, state.tilt_rad
            self._phase = "pause"
        elif self._phase == "pause":
            self._pause_left_s -= self._step_s
            if self._pause_left_s <= 0.0 and state.in_flight_ml == 0.0:
                short = 1.0 - state.poured_ml / self._setup.goal_ml
                more = short > TOLERANCE and state.in_pitcher_ml >= SPENT_ML
                self._share = 1.0
                self._phase = "pour" if more else "retreat"

    def _advance_stall(self, state: WorldState) -> None:
        """A stall begins once its share is expected in the cup, from 1 on with the way back; it happens once, and ends
        before the cup is full."""
        reached = self._expected_ml(state) >= min(self._style.stall_share, 1.0) * self._setup.goal_ml
        begins = reached and self._phase != "approach"
        if self._expected_ml(state) >= BRIMFUL * self._setup.receiver.capacity_ml:
            self._stalled_s = np.inf
        self._stalls = (begins or self._stalled_s > 0.0) and self._stalled_s < self._style.stall_s

    def _expected_ml(self, state: WorldState) -> float:
        """What will have been poured if the pitcher is tilted back from now on."""
        flow = self._outflow_ml_s
        over_lip = flow * RUN_OFF_S
        closing = self._slope_ml_rad(state) * self._style.retreat_speed_rad_s
        closing_s = over_lip / (closing + flow + 1e-6)
        return state.poured_ml + state.in_flight_ml + flow * (self._step_s + 0.5 * closing_s)

    def _before_lip_rad(self, state: WorldState) -> float:
        """Tilt that is left until the pitcher would run over; negative beyond."""
        return (held_ml(self._setup.pitcher, state.tilt_rad) - state.in_pitcher_ml) / self._slope_ml_rad(state)

    def _slope_ml_rad(self, state: WorldState) -> float:
        """How much less the pitcher holds per tilt."""
        pitcher = self._setup.pitcher
        less = held_ml(pitcher, state.tilt_rad) - held_ml(pitcher, state.tilt_rad + SLOPE_STEP_RAD)
        return max(less / SLOPE_STEP_RAD, LEAST_SLOPE_ML_PER_RAD)

    def _tilt_rate(self, state: WorldState) -> float:
        style = self._style
        before_lip = self._before_lip_rad(state)
        if self._phase == "approach":
            # It slows down before anything flows but never waits: who learns from it cannot see what it waits for.
            if before_lip < AT_LIP_RAD:
                return 0.0
            least = LEAST_APPROACH_SHARE * style.tilt_speed_rad_s
            return float(np.clip(before_lip - FAR_FROM_LIP_RAD, least, style.tilt_speed_rad_s))
        if self._phase == "pour":
            if before_lip > AT_LIP_RAD:
                return style.tilt_speed_rad_s
            left = self._goal_ml - self._expected_ml(state)
            wanted = float(np.clip(left / BRAKING_S, SLOW_FLOW_ML_S, style.flow_ml_s))
            rate = wanted + FLOW_GAIN * (wanted - self._outflow_ml_s)
            return float(np.clip(rate / self._slope_ml_rad(state), -style.tilt_speed_rad_s, style.tilt_speed_rad_s))
        if self._phase == "pause":
            drips = state.tilt_rad > self._stop_tilt_rad - DRIP_FREE_RAD
            return -style.retreat_speed_rad_s if drips else 0.0
        return -style.retreat_speed_rad_s

    def _lip_error_m(self, state: WorldState) -> Float[np.ndarray, "2"]:
        """From the lip to where it should be: over the receiver to pour, aside to tilt upright."""
        aside_m = RETREAT_LIP_Y_M if self._phase == "retreat" else self._style.lip_y_m
        wanted = mouth_centre_m(self._setup) + np.array([0.0, aside_m, self._style.lip_z_m])
        return (wanted - state.lip_position_m)[1:]

    def _lip_velocity(self, state: WorldState) -> Float[np.ndarray, "2"]:
        return np.clip(LIP_GAIN_PER_S * self._lip_error_m(state), -MAX_LIP_SPEED_M_S, MAX_LIP_SPEED_M_S)
