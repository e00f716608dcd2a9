"""The one small contract between the driver and whatever carries its calls to an arm: the own wire client, or Kinova's.

Nothing here is called from a callback, every call gives up within a tenth of a second, and a link that broke is thrown
away: open another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from multigen_core.errors import MissingExtra
from multigen_core.lab.kortex.calls import TCP_PORT, UDP_PORT

__all__ = ["Address", "ArmLink", "LinkBroken", "LinkRefused", "Report", "open_link"]


class LinkBroken(ConnectionError):
    """Nothing reaches the arm any more, or nothing comes back."""

    def __init__(self, sentence: str, *, gone: bool = False) -> None:
        """``gone``: the connection is known to be closed, not just silent."""
        self.gone = gone
        super().__init__(sentence)


class LinkRefused(RuntimeError):
    """The arm said no."""


@dataclass(frozen=True)
class Report:
    """The arm as it was at a moment."""

    frame: int
    """Counts the arm's own cycles; one that stands still is no news."""
    angles_deg: tuple[float, ...]
    """0 to 360."""
    faulty: bool
    """A drive reports a fault."""


@dataclass(frozen=True)
class Address:
    """Where the arm is and how it is spoken to."""

    host: str = "192.168.1.10"
    port: int = TCP_PORT
    udp_port: int | None = UDP_PORT
    """For feedback; None asks for it over TCP too."""
    client: Literal["wire", "kortex_api"] = "kortex_api"
    """The emulator is spoken to with the own client, a robot with Kinova's."""
    username: str = "admin"
    password: str = "admin"


class ArmLink(Protocol):
    """Sessions are open; degrees and degrees per second. Every call may raise LinkBroken or LinkRefused."""

    def joint_count(self) -> int:
        """How many joints the arm reports."""

    def is_ready(self) -> bool:
        """Takes commands: in no fault, and nothing else moves it."""

    def is_playing(self) -> bool:
        """Carries out a point-to-point motion."""

    def take_control(self) -> None:
        """Single-level servoing."""

    def report(self) -> Report:
        """The newest feedback."""

    def drive(self, speeds_deg_s: Sequence[float]) -> None:
        """All joints; they keep these speeds until they hear otherwise."""

    def reach(self, angles_deg: Sequence[float], *, speed_deg_s: float) -> None:
        """Sets out to a posture and returns."""

    def grip(self, closed: float) -> None:
        """0 open to 1 closed."""

    def gripper(self) -> float:
        """0 open to 1 closed."""

    def stop(self) -> None:
        """Ends whatever moves the arm."""

    def clear_faults(self) -> None:
        """Only when an operator asks."""

    def close(self) -> None:
        """Closes the sessions; never raises."""


def open_link(address: Address) -> ArmLink:
    """Connects and opens the sessions. Raises MissingExtra when nobody answers or Kinova's package is not there."""
    if address.client == "wire":
        from multigen_core.lab.wire_link import WireLink

        return WireLink(address)
    try:
        import kortex_api  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "the Kinova arm needs Kinova's package kortex_api, which is not on PyPI: download kortex_api-2.6.0.post3"
            " from Kinova's artifactory, `pip install` the file with protobuf 3.20.3, and see docs/real_robot.md"
        ) from error
    from multigen_core.lab.kortex_api_link import KortexApiLink

    return KortexApiLink(address)
