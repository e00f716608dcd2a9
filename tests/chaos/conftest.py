"""How much is broken, and at which moments."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=None, help="how often the tiny pipeline is killed; default 3")
    parser.addoption("--chaos-seed", type=int, default=None, help="decides the moments; default: another one each time")
