"""Nothing that was written is lost between two readings."""

import multiprocessing
import threading

import numpy as np

from multigen_core.lab.arm_track import Cycle, Track


def _cycle(number: int) -> Cycle:
    return Cycle(float(number), np.full(7, number), -np.full(7, number), 0.1, 0.2, 0.3, "speed", "arm_fault", True)


def test_a_cycle_comes_back_as_it_was() -> None:
    track = Track(multiprocessing.get_context("spawn"))
    assert track.newest() is None
    track.add(_cycle(3))
    newest = track.newest()
    assert newest is not None
    assert (newest.at_s, newest.late_s, newest.commanded_s, newest.action_s) == (3.0, 0.1, 0.2, 0.3)
    assert (newest.reason, newest.fault, newest.abandoned) == ("speed", "arm_fault", True)
    assert (newest.posture_rad == 3.0).all() and (newest.speeds_rad_s == -3.0).all()


def test_a_reader_beside_a_writer_sees_every_cycle_once() -> None:
    track = Track(multiprocessing.get_context("spawn"))
    writer = threading.Thread(target=lambda: [track.add(_cycle(number)) for number in range(3000)])
    writer.start()
    seen: list[float] = []
    read = 0
    while writer.is_alive() or read < track.count():
        cycles, read = track.since(read)
        seen += [cycle.at_s for cycle in cycles]
    writer.join()
    assert seen == list(map(float, range(3000)))


def test_what_was_overwritten_is_left_out() -> None:
    track = Track(multiprocessing.get_context("spawn"))
    for number in range(5000):
        track.add(_cycle(number))
    cycles, read = track.since(0)
    assert read == 5000
    assert cycles[0].at_s > 900.0
    assert cycles[-1].at_s == 4999.0
