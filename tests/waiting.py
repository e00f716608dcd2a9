"""For tests with servers: a port for one, and patience until something has happened."""

import socket
import time
from collections.abc import Callable

__all__ = ["free_port", "wait_for"]


def free_port() -> int:
    """One of this machine's loopback that nobody listened to a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], bool], seconds: float = 5.0) -> None:
    """Fails the test when it has not happened by then."""
    stop_s = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < stop_s, "it did not happen in time"
        time.sleep(0.02)
