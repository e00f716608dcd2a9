"""Tiny made-up pours for tests that need episodes but no simulator."""

import numpy as np

from multigen_core.containers import Container, frustum
from multigen_core.records import SAMPLE_RATE_HZ, Episode, Liquid, Soundtrack

__all__ = ["made_up_cup", "made_up_episode", "made_up_soundtrack"]


def made_up_cup(name: str = "cup", *, height_m: float = 0.10, opaque: bool = True) -> Container:
    return frustum(
        name,
        bottom_radius_m=0.03,
        top_radius_m=0.04,
        height_m=height_m,
        material="plastic",
        opaque=opaque,
        color=(0.8, 0.1, 0.1),
    )


def made_up_episode(seed: int = 0, *, steps: int = 24, size_px: int = 32, goal_fraction: float = 0.6) -> Episode:
    """Tilts for a third of the time, pours at a steady rate until the goal is met, and tilts back."""
    rng = np.random.default_rng(seed)
    receiver = made_up_cup(height_m=float(rng.uniform(0.08, 0.14)))
    share = np.clip(3.0 * np.arange(steps) / steps - 1.0, 0.0, 1.0)
    poured_ml = goal_fraction * receiver.capacity_ml * share
    actions = np.zeros((steps, 3), np.float32)
    actions[:, 2] = np.where(share <= 0.0, 0.5, np.where(share < 1.0, 0.0, -0.5))
    actions[:, :2] = rng.normal(0.0, 0.01, (steps, 2))
    level_m = np.array([receiver.level_at(ml * 1e-6) for ml in poured_ml])
    plain = np.zeros((steps, size_px, size_px), np.uint8)
    plain[:, size_px // 2 :, size_px // 4 : -size_px // 4] = 2
    plain[:, : size_px // 4, rng.integers(0, size_px // 2) :] = 1
    amodal = plain.copy()
    for step, full in enumerate(level_m / receiver.height_m):
        top = size_px - round(full * size_px / 2)
        amodal[step, top:, size_px // 4 : -size_px // 4] = 3
    paint = rng.integers(40, 220, (4, 3), dtype=np.uint8)
    return Episode(
        episode_id=f"pour-{seed:04d}",
        seed=seed,
        rate_hz=10.0,
        rgb=paint[plain],
        masks_plain=plain,
        masks_amodal=amodal,
        joints_rad=rng.normal(0.0, 0.3, (steps, 7)).astype(np.float32),
        actions=actions,
        tilt_rad=np.cumsum(actions[:, 2] / 10.0, dtype=np.float32),
        poured_ml=poured_ml.astype(np.float32),
        spilled_ml=np.zeros(steps, np.float32),
        flow_ml_s=np.gradient(poured_ml, 0.1).astype(np.float32),
        level_m=level_m.astype(np.float32),
        fall_height_m=(receiver.height_m + 0.04 - level_m).astype(np.float32),
        goal_fraction=goal_fraction,
        receiver=receiver,
        pitcher=made_up_cup("pitcher", height_m=0.15, opaque=False),
        liquid=Liquid(name="water", color=(0.5, 0.6, 0.9), opacity=0.3, viscosity=0.02),
        scene={"light": 0.7, "texture": "wood", "camera_m": [1.0, 0.0, 0.3]},
    )


def made_up_soundtrack(episode: Episode) -> Soundtrack:
    """Noise that is as loud as the flow is strong."""
    hop = round(SAMPLE_RATE_HZ / episode.rate_hz)
    noise = np.random.default_rng(episode.seed).normal(0.0, 0.1, episode.steps * hop)
    loudness = np.repeat(np.clip(episode.flow_ml_s / 100.0, 0.0, 1.0), hop)
    waveform = np.clip(noise * loudness, -1.0, 1.0).astype(np.float32)
    return Soundtrack(episode_id=episode.episode_id, waveform=waveform, origin="generated")
