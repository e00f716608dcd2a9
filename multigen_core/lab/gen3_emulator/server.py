"""The emulated arm's side of the wire: sessions, frames, notifications and faults, on this machine's loopback."""

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from multigen_core.errors import ConfigError, UserError
from multigen_core.lab.emulated_arm import EmulatedArm, Refusal
from multigen_core.lab.gen3_emulator.arm_service import ArmService
from multigen_core.lab.kortex.calls import (
    ActionEvent,
    ArmState,
    Call,
    ErrorCode,
    SubCode,
)
from multigen_core.lab.kortex.frames import (
    REQUEST,
    Frame,
    StreamSplitter,
    bytes_to_frame,
    failure_response,
    frame_to_bytes,
    frame_to_stream,
    notification,
    response,
)
from multigen_core.lab.kortex.messages import (
    ActionNotice,
    ArmStateMessage,
    Empty,
    Failure,
    OpenSession,
    Subscription,
    SubscriptionOptions,
    Timestamp,
)
from multigen_core.lab.kortex.wire import WireError, decode

__all__ = ["Emulator", "Manners"]

_PHYSICS_S = 0.004
_NEWS_DELAY_S = 0.02
"""Notifications come so long after what they tell: a client registers its callback only once the subscribe call has
returned, and one that hears earlier stops hearing at all."""
_USERS = {"admin": "admin"}


@dataclass(frozen=True)
class Manners:
    """How the emulated arm is worse than a good one."""

    reply_latency_s: float = 0.0
    jitter_s: float = 0.0
    """Uniform on top of the latency."""
    command_latency_s: float = 0.0
    """From a speed command to motion."""
    joints: int = 7
    inject: tuple[tuple[float, str], ...] = ()
    """(seconds after the start, words as on standard input)."""
    seed: int = 0


@dataclass
class _Session:
    """One client on one transport."""

    identifier: int
    inactivity_s: float
    connection_s: float
    heard_s: float
    topics: dict[int, Call] = field(default_factory=dict)
    """Handle -> what was subscribed to."""


@dataclass
class _Connection:
    """One TCP connection or one UDP address."""

    write: Callable[[bytes], None]
    close: Callable[[], None]
    stream: bool
    session: _Session | None = None
    free_s: float = 0.0
    """Earliest time of its next answer: they keep their order."""


class Emulator:
    """The server; needs a running event loop."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._arm = EmulatedArm(command_latency_s=manners.command_latency_s)
        self._service = ArmService(self._arm, manners.joints)
        self._delay_s = manners.reply_latency_s
        self._random = random.Random(manners.seed)
        self._connections: dict[object, _Connection] = {}
        self._next_session, self._next_handle = 1, 1
        self._muted_until_s = 0.0
        self._handlers: dict[int, tuple[type[Any], Callable[[_Session, Any], object]]] = {
            Call.CLOSE_SESSION: (Empty, self._close_session),
            Call.KEEP_ALIVE: (Empty, lambda session, asked: Empty()),
            Call.ON_ARM_STATE: (
                SubscriptionOptions,
                lambda session, asked: self._subscribe(session, Call.ON_ARM_STATE),
            ),
            Call.ON_ACTION: (SubscriptionOptions, lambda session, asked: self._subscribe(session, Call.ON_ACTION)),
            Call.UNSUBSCRIBE: (Subscription, self._unsubscribe),
        }

    async def serve(self, *, port: int, udp_port: int, announce: Callable[[int, int], None]) -> None:
        """Serves until cancelled. Raises UserError when a port is taken."""
        loop = asyncio.get_running_loop()
        try:
            tcp = await asyncio.start_server(self._accept, "127.0.0.1", port)
            udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=("127.0.0.1", udp_port))
        except OSError as error:
            raise UserError(
                f"port {port} or {udp_port} cannot be used ({error.strerror}): choose another, 0 is any"
            ) from error
        for at_s, words in self._manners.inject:
            loop.call_later(at_s, self.inject, words)
        announce(tcp.sockets[0].getsockname()[1], udp.get_extra_info("sockname")[1])
        try:
            await self._live()
        finally:
            udp.close()
            tcp.close()
            self._drop()

    def inject(self, words: str) -> None:
        """Makes something go wrong. Raises ConfigError for words that are none of this module's."""
        name, *figures = words.split()
        try:
            value = float(figures[0]) if figures else 0.0
        except ValueError as error:
            raise ConfigError(f"{words!r} has no number after {name!r}") from error
        if name == "fault":
            self._arm.trip()
        elif name == "estop":
            self._arm.emergency_stop()
        elif name == "drop":
            self._drop()
        elif name == "stick":
            self._service.stick(value)
        elif name == "mute":
            self._muted_until_s = time.monotonic() + value
        elif name == "delay":
            self._delay_s = 1e-3 * value
        elif name == "joints":
            self._service.joints = int(value)
        else:
            raise ConfigError(f"{words!r} cannot be injected; there are fault, estop, stick, mute, drop, delay, joints")

    async def _live(self) -> None:
        """Lets the arm's time pass with the clock's."""
        before_s = time.monotonic()
        while True:
            await asyncio.sleep(_PHYSICS_S)
            now_s = time.monotonic()
            self._arm.advance(now_s - before_s)
            before_s = now_s
            for event in self._arm.take_events():
                self._tell(event)
            self._expire(now_s)

    def _expire(self, now_s: float) -> None:
        """Forgets sessions nobody used; what they made the arm do goes on."""
        for key, connection in list(self._connections.items()):
            session = connection.session
            if session is None:
                if not connection.stream:
                    del self._connections[key]
                continue
            silent_s = now_s - session.heard_s
            if silent_s > session.inactivity_s:
                self._end_session(connection)
            if silent_s > session.connection_s and connection.stream:
                connection.close()

    def _end_session(self, connection: _Connection) -> None:
        if connection.session:
            self._service.release(connection.session.identifier)
        connection.session = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer.write, writer.close, stream=True)
        self._connections[writer] = connection
        splitter = StreamSplitter()
        try:
            while data := await reader.read(65536):
                for frame in splitter.feed(data):
                    self._hear(connection, frame)
        except (WireError, ConnectionError):
            # A stream out of step cannot be mended.
            writer.close()
        finally:
            self._connections.pop(writer, None)
            self._end_session(connection)
            writer.close()

    def hear_datagram(self, data: bytes, address: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        """One frame of a UDP client, who is known by its address; what is no frame is dropped."""
        if address not in self._connections:
            self._connections[address] = _Connection(
                lambda answer: transport.sendto(answer, address), lambda: None, stream=False
            )
        try:
            self._hear(self._connections[address], bytes_to_frame(data))
        except WireError:
            return

    def _hear(self, connection: _Connection, frame: Frame) -> None:
        if frame.kind != REQUEST or time.monotonic() < self._muted_until_s:
            return
        self._send(connection, self._answer(connection, frame))

    def _answer(self, connection: _Connection, frame: Frame) -> Frame:
        session = connection.session
        number = session.identifier if session else 0
        try:
            if frame.call == Call.CREATE_SESSION:
                return self._create_session(connection, frame)
            if session is None or frame.session != session.identifier:
                return _refused(frame, number, ErrorCode.PROTOCOL, SubCode.INVALID_SESSION, "open a session first")
            session.heard_s = time.monotonic()
            if frame.call in self._handlers:
                kind, handler = self._handlers[frame.call]
                payload = handler(session, decode(kind, frame.payload))
            elif frame.call in self._service.handlers:
                kind, serve = self._service.handlers[frame.call]
                payload = serve(session.identifier, decode(kind, frame.payload))
            else:
                words = f"function {frame.call:#x} is not known here"
                return _refused(frame, number, ErrorCode.PROTOCOL, SubCode.UNSUPPORTED_METHOD, words)
            answer = response(frame, session=number, payload=payload)
            if connection.session is not None and frame.call == Call.CLOSE_SESSION:
                self._end_session(connection)
            return answer
        except Refusal as refusal:
            return _refused(frame, number, ErrorCode.DEVICE, refusal.sub_code, str(refusal))
        except WireError as error:
            return _refused(frame, number, ErrorCode.PROTOCOL, SubCode.UNREADABLE_PAYLOAD, str(error))

    def _send(self, connection: _Connection, frame: Frame, extra_s: float = 0.0) -> None:
        """After the latency, in order."""
        loop = asyncio.get_running_loop()
        delay_s = self._delay_s + extra_s + self._random.uniform(0.0, self._manners.jitter_s)
        data = frame_to_stream(frame) if connection.stream else frame_to_bytes(frame)
        if delay_s == 0.0 and connection.free_s <= loop.time():
            connection.write(data)
            return
        connection.free_s = max(connection.free_s, loop.time() + delay_s)
        loop.call_at(connection.free_s, connection.write, data)

    def _tell(self, event: ActionEvent | ArmState) -> None:
        """Notifies whoever subscribed."""
        topic = Call.ON_ACTION if isinstance(event, ActionEvent) else Call.ON_ARM_STATE
        whole_s, rest_s = divmod(self._arm.time_s, 1.0)
        news: object = ArmStateMessage(event)
        if isinstance(event, ActionEvent):
            news = ActionNotice(event, self._service.reference, Timestamp(int(whole_s), int(1e6 * rest_s)))
        for connection in self._connections.values():
            session = connection.session
            for handle, call in session.topics.items() if session else ():
                if call == topic and session:
                    frame = notification(call, session=session.identifier, handle=handle, payload=news)
                    self._send(connection, frame, _NEWS_DELAY_S)

    def _drop(self) -> None:
        for connection in list(self._connections.values()):
            self._end_session(connection)
            connection.close()

    def _create_session(self, connection: _Connection, frame: Frame) -> Frame:
        hello = decode(OpenSession, frame.payload)
        if _USERS.get(hello.username) != hello.password:
            return _refused(frame, 0, ErrorCode.PROTOCOL, SubCode.WRONG_PASSWORD, "user or password is wrong")
        number, self._next_session = self._next_session, self._next_session % 0xFFFF + 1
        connection.session = _Session(
            identifier=number,
            inactivity_s=1e-3 * hello.session_inactivity_ms or math.inf,
            connection_s=1e-3 * hello.connection_inactivity_ms or math.inf,
            heard_s=time.monotonic(),
        )
        return response(frame, session=number, payload=Empty())

    def _close_session(self, session: _Session, asked: Empty) -> Empty:
        session.topics.clear()
        return Empty()

    def _subscribe(self, session: _Session, topic: Call) -> Subscription:
        handle, self._next_handle = self._next_handle, self._next_handle % 0xFFFF + 1
        session.topics[handle] = topic
        return Subscription(handle)

    def _unsubscribe(self, session: _Session, asked: Subscription) -> Empty:
        if session.topics.pop(asked.identifier, None) is None:
            raise Refusal(SubCode.INVALID_PARAM, f"there is no subscription {asked.identifier}")
        return Empty()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._emulator.hear_datagram(data, addr, self._transport)


def _refused(frame: Frame, session: int, code: ErrorCode, sub_code: SubCode, sentence: str) -> Frame:
    return failure_response(frame, session=session, failure=Failure(code, sub_code, sentence))
