"""One trial to watch and listen to: any trained policy, any cup of the lab, any goal."""

from pathlib import Path

from multigen_core.compute import ProcessPool
from multigen_core.errors import UserError
from multigen_core.evaluation.trials import Job, carry_out, trial_row
from multigen_core.experiment import Experiment
from multigen_core.lab.conditions import CONDITIONS
from multigen_core.lab.robot import Task
from multigen_core.progress import Silent
from multigen_core.records import Trial

__all__ = ["play"]


def play(
    experiment: Experiment, policy: Path, *, container: str, goal_fraction: float, seed: int, video: Path
) -> Trial:
    """Carries out the trial and writes its video with the sound that the lab's microphone heard.

    Raises MissingInput when the folder holds no policy, UserError for an unknown cup or an impossible goal.
    """
    cups = CONDITIONS[experiment.evaluation.conditions].receivers
    receiver = next((cup for cup in cups if cup.name == container), None)
    if receiver is None:
        known = ", ".join(cup.name for cup in cups)
        raise UserError(f"container {container!r} is not in the lab; take one of {known}")
    if not 0.0 < goal_fraction <= 1.0:
        raise UserError(f"goal is {goal_fraction:g}; ask for more than 0 and at most 1 of the cup")
    job = Job(
        trial=0,
        task=Task(receiver=receiver, goal_fraction=goal_fraction, seed=seed),
        policy=policy,
        episodes=experiment.episodes,
        evaluation=experiment.evaluation,
        video=video,
    )
    # In a process of one thread: small networks and pictures would only wait for more of them.
    (poured,) = ProcessPool(1).map(carry_out, [job], Silent())
    return trial_row(job, poured, policy.name)
