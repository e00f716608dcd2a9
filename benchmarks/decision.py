"""How long a policy takes to decide on one core, with sound and without: the ear's price.

The weights are random, which costs the same.
"""

import time

import numpy as np
import torch

from multigen_core.experiment import Experiment
from multigen_core.masks.unet import PocketUNet, UNetProvider
from multigen_core.policy.config import PolicyConfig
from multigen_core.policy.network import PolicyNetwork
from multigen_core.policy.normaliser import Affine, Normaliser
from multigen_core.policy.trained import TrainedPolicy
from multigen_core.records import ACTION_SPEC, SAMPLE_RATE_HZ, Observation

DECISIONS = 60


def figures(experiment: Experiment) -> dict[str, float]:
    """Milliseconds per decision, median and 99th percentile."""
    torch.set_num_threads(1)
    hearing, deaf = (_latency_ms(experiment, uses_sound=uses_sound) for uses_sound in (True, False))
    return {
        "latency_p50_ms": float(np.median(hearing)),
        "latency_p99_ms": float(np.quantile(hearing, 0.99)),
        "vision_only_latency_p50_ms": float(np.median(deaf)),
        "hearing_over_vision_only": float(np.median(hearing) / np.median(deaf)),
    }


def _unit_scales() -> Normaliser:
    def unit(dims: int) -> Affine:
        return Affine(offset=(0.0,) * dims, scale=(1.0,) * dims)

    limits = ((-1.0,) * 3, (1.0,) * 3)
    return Normaliser(
        actions=unit(3),
        action_limits=limits,
        joints=unit(7),
        joint_speeds=unit(7),
        goal=unit(1),
        auxiliary=unit(3),
        log_mel=unit(1),
    )


def _latency_ms(experiment: Experiment, *, uses_sound: bool) -> list[float]:
    params, size = experiment.policy, experiment.episodes.image_px
    config = PolicyConfig(
        family=params.family,
        ablation="vision_audio" if uses_sound else "vision",
        uses_sight=True,
        uses_sound=uses_sound,
        spec=ACTION_SPEC,
        image_px=size,
        audio_window_s=params.audio_window_s,
        chunk=params.chunk,
        executed=params.executed,
        diffusion_steps=params.diffusion_steps,
        sampling_steps=params.sampling_steps,
        samples=params.samples,
        image_encoder=params.image_encoder,
    )
    segmenter = UNetProvider(PocketUNet(experiment.segmenter.width), image_px=experiment.segmenter.image_px)
    policy = TrainedPolicy(PolicyNetwork(config, _unit_scales()), segmenter)
    rng = np.random.default_rng(experiment.seed)
    observation = Observation(
        rgb=rng.integers(0, 255, (size, size, 3)).astype(np.uint8),
        waveform=(0.01 * rng.standard_normal(round(params.audio_window_s * SAMPLE_RATE_HZ))).astype(np.float32),
        joints_rad=np.zeros(7, np.float32),
        joint_speeds_rad_s=np.zeros(7, np.float32),
        goal_fraction=0.5,
    )
    times_ms = []
    for k in range(DECISIONS):
        started_s = time.perf_counter()
        policy.act(observation, seed=k)
        times_ms.append(1e3 * (time.perf_counter() - started_s))
    return times_ms[5:]
