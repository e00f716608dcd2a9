"""Every engine keeps order, passes failures on and reports progress."""

import os
from pathlib import Path

import pytest

from multigen_core.compute import ENGINES, make_engine
from multigen_core.errors import UserError
from multigen_core.progress import Silent


class Counting(Silent):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def update(self, done: int, total: int, what: str = "") -> None:
        self.seen.append((done, total))


def square(value: int) -> int:
    return value * value


def fail_on_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


def die_the_first_time(marker: Path) -> str:
    if marker.suffix == ".fatal" and not marker.exists():
        marker.touch()
        os.abort()
    return marker.stem


def die(_: int) -> None:
    os.abort()


def threads(_: int) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize("name", sorted(ENGINES))
class TestEngine:
    def test_order_and_progress(self, name: str) -> None:
        progress = Counting()
        assert make_engine(name, 2).map(square, list(range(9)), progress) == [value**2 for value in range(9)]
        assert progress.seen[-1] == (9, 9)
        assert progress.seen == sorted(progress.seen)

    def test_a_failure_is_raised(self, name: str) -> None:
        with pytest.raises(ValueError, match="three"):
            make_engine(name, 2).map(fail_on_three, list(range(6)), Silent())

    def test_nothing_to_do(self, name: str) -> None:
        assert make_engine(name, 2).map(square, [], Silent()) == []


def test_a_pool_worker_owns_one_core() -> None:
    assert make_engine("process_pool", 1).map(threads, [0], Silent()) == ["1"]


def test_what_a_dead_worker_left_is_done_again(tmp_path: Path) -> None:
    items = [tmp_path / f"{number}{'.fatal' if number == 3 else ''}" for number in range(6)]
    progress = Counting()
    assert make_engine("process_pool", 2).map(die_the_first_time, items, progress) == [str(k) for k in range(6)]
    assert progress.seen == sorted(progress.seen)
    assert len(progress.said) == 1


def test_work_that_always_kills_is_given_up_with_a_sentence() -> None:
    with pytest.raises(UserError, match=r"died 3 times over pours: .*compute\.workers"):
        make_engine("process_pool", 2).map(die, [0, 1], Silent(), "pours")
