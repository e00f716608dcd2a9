"""A client of the protocol without threads: every call sends, waits for its own answer and gives up in time.

News that arrive meanwhile are kept for whoever asks. A connection that broke is never mended: make a new client.
"""

import socket
import time
from collections import deque
from typing import TypeVar

from multigen_core.errors import MissingExtra
from multigen_core.lab.kortex.calls import Call
from multigen_core.lab.kortex.frames import (
    LARGEST_DATAGRAM,
    NOTIFICATION,
    Frame,
    StreamSplitter,
    bytes_to_frame,
    frame_to_bytes,
    frame_to_stream,
    request,
)
from multigen_core.lab.kortex.messages import Empty, Failure, OpenSession
from multigen_core.lab.kortex.wire import WireError, decode

__all__ = ["ConnectionLost", "NoAnswer", "Refused", "WireClient"]

Message = TypeVar("Message")
_CONNECT_S = 2.0
_OPEN_S = 0.5


class NoAnswer(TimeoutError):
    """The arm did not answer in time; it may have heard."""


class ConnectionLost(ConnectionError):
    """There is nobody at the other end any more, or it speaks another language."""


class Refused(RuntimeError):
    """The arm answered with an error."""

    def __init__(self, call: Call, failure: Failure) -> None:
        self.call, self.failure = call, failure
        super().__init__(f"{call.name.lower()} was refused: {failure.sentence} ({failure.code}/{failure.sub_code})")


class WireClient:
    """One session on one transport, ``udp`` or not.

    Raises MissingExtra when nobody listens.
    """

    def __init__(self, host: str, port: int, *, udp: bool = False, timeout_s: float = 0.1) -> None:
        self._timeout_s, self._udp = timeout_s, udp
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_CONNECT_S)
            self._socket.connect((host, port))
            if not udp:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self._socket.close()
            raise MissingExtra(
                f"no Kinova arm answers at {host}:{port} ({error.strerror or error}): check power, cable and address,"
                " or start `python -m multigen_core.lab.gen3_emulator`"
            ) from error
        self._splitter = StreamSplitter()
        self._arrived: deque[Frame] = deque()
        self._news: deque[Frame] = deque()
        self._session = 0
        self._message = 0

    def open(self, username: str, password: str, *, session_ms: int = 10_000, connection_ms: int = 2_000) -> None:
        """Opens the session."""
        # The first answer of a process that just started may take longer than any later one.
        self.call(
            Call.CREATE_SESSION, OpenSession(username, session_ms, password, connection_ms), Empty, timeout_s=_OPEN_S
        )

    def call(self, call: Call, payload: object, answer: type[Message], *, timeout_s: float | None = None) -> Message:
        """Sends and waits. Raises Refused, NoAnswer or ConnectionLost."""
        self._message = self._message % 0xFFFF + 1
        frame = request(call, session=self._session, message=self._message, payload=payload)
        deadline_s = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        self._send(frame)
        while True:
            got = self._next_frame(deadline_s)
            if got is None:
                raise NoAnswer(f"{call.name.lower()} was not answered in time")
            if got.kind == NOTIFICATION:
                self._news.append(got)
            elif got.message == self._message and got.call == call:
                self._session = got.session
                return self._payload(call, got, answer)

    def news(self) -> list[Frame]:
        """Notifications that have arrived by now; their handles are in ``message``."""
        while (frame := self._next_frame(time.monotonic())) is not None:
            if frame.kind == NOTIFICATION:
                self._news.append(frame)
        taken = list(self._news)
        self._news.clear()
        return taken

    def close(self) -> None:
        """Closes the session if anybody still listens, and the connection in any case."""
        try:
            self.call(Call.CLOSE_SESSION, Empty(), Empty)
        except (Refused, NoAnswer, ConnectionLost):
            # Whoever is not there any more has no session either.
            self._session = 0
        finally:
            self._socket.close()

    @staticmethod
    def _payload(call: Call, frame: Frame, answer: type[Message]) -> Message:
        try:
            if frame.error_code:
                raise Refused(call, decode(Failure, frame.payload))
            return decode(answer, frame.payload)
        except WireError as error:
            raise ConnectionLost(f"the answer to {call.name.lower()} is unreadable: {error}") from error

    def _send(self, frame: Frame) -> None:
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(frame_to_bytes(frame) if self._udp else frame_to_stream(frame))
        except TimeoutError as error:
            raise NoAnswer("the connection takes no more data") from error
        except OSError as error:
            raise ConnectionLost(f"the connection is gone ({error.strerror or error})") from error

    def _next_frame(self, deadline_s: float) -> Frame | None:
        """The next frame; None when none comes before the deadline."""
        while not self._arrived:
            try:
                self._socket.settimeout(max(deadline_s - time.monotonic(), 1e-6))
                data = self._socket.recv(LARGEST_DATAGRAM)
                if not data and not self._udp:
                    raise ConnectionLost("the arm closed the connection")
                self._arrived += [bytes_to_frame(data)] if self._udp else self._splitter.feed(data)
            except (TimeoutError, BlockingIOError):
                return None
            except WireError as error:
                raise ConnectionLost(f"what arrives is no Kortex frame: {error}") from error
            except ConnectionLost:
                raise
            except OSError as error:
                raise ConnectionLost(f"the connection is gone ({error.strerror or error})") from error
        return self._arrived.popleft()
