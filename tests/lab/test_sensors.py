"""Latency is exact: what comes out is what went in, that much later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multigen_core.lab.sensors import ActionLine, Camera, Microphone
from multigen_core.records import SAMPLE_RATE_HZ


def _frame(step: int) -> np.ndarray:
    return np.full((2, 2, 3), step, np.uint8)


@pytest.mark.parametrize("look_every", [1, 2, 3])
@pytest.mark.parametrize(("latency_s", "delay"), [(0.0, 0), (0.17, 2), (0.3, 3)])
def test_camera_shows_the_view_of_the_latency_ago_at_every_decision(
    look_every: int, latency_s: float, delay: int
) -> None:
    camera = Camera(latency_s=latency_s, rate_hz=10.0, look_every=look_every)
    taken = 0
    for step in range(25):
        if camera.due(step):
            camera.take(step, _frame(step))
            taken += 1
        if step % look_every == 0:
            assert camera.newest(step)[0, 0, 0] == max(step - delay, 0)
    assert taken <= 25 // look_every + 2


def test_microphone_window_ends_the_latency_ago() -> None:
    microphone = Microphone(latency_s=0.23, window_s=0.5)
    clock = np.arange(SAMPLE_RATE_HZ, dtype=np.float32)
    for block in clock.reshape(10, -1):
        microphone.hear(block)
    window = microphone.window()
    assert len(window) == SAMPLE_RATE_HZ // 2
    assert window[-1] == SAMPLE_RATE_HZ - 1 - round(0.23 * SAMPLE_RATE_HZ)
    assert np.all(np.diff(window) == 1.0)


def test_microphone_gives_no_view_of_its_buffer() -> None:
    microphone = Microphone(latency_s=0.0, window_s=0.1)
    microphone.window()[:] = 7.0
    assert not microphone.window().any()


@given(latency_s=st.floats(0.0, 0.6), actions=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=20))
def test_arm_ends_where_the_actions_say(latency_s: float, actions: list[float]) -> None:
    """The way travelled is the sum of all actions, whatever the latency."""
    line = ActionLine(latency_s=latency_s, rate_hz=10.0, size=1)
    sent = [line.send(np.array([action], np.float32))[0] for action in [*actions, *[0.0] * 8]]
    assert np.sum(sent) == pytest.approx(np.sum(actions), abs=1e-4)


def test_arm_follows_between_two_steps_in_proportion() -> None:
    line = ActionLine(latency_s=0.18, rate_hz=10.0, size=1)
    commands = [line.send(np.array([value], np.float32))[0] for value in (1.0, 0.0, 0.0, 0.0)]
    # 1.8 steps late: nothing at first, a fifth in the second step, the rest in the third.
    np.testing.assert_allclose(commands, [0.0, 0.2, 0.8, 0.0], atol=1e-6)
