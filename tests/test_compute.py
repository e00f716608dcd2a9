"""Every engine keeps order, passes failures on and reports progress."""

import os

import pytest

from multigen_core.compute import ENGINES, make_engine
from multigen_core.progress import Silent


class Counting(Silent):
    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def update(self, done: int, total: int, what: str = "") -> None:
        self.seen.append((done, total))


def square(value: int) -> int:
    return value * value


def fail_on_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


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
