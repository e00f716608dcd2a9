"""A Kinova Gen3 on the wire without the Kinova: serves the Kortex protocol on this machine's loopback.

    python -m multigen_core.lab.gen3_emulator --port 10000

prints its two ports as one line of JSON and then reads faults to inject, one a line, from standard input:

    fault             a drive reports a fault             estop         the emergency stop
    stick SECONDS     feedback freezes                    mute SECONDS  nothing is answered
    drop              every connection is cut             delay MS      answers come that much later
    joints N          so many joints are reported

The same words with a time, ``--inject fault@10``, happen by themselves. It is wire-compatible with the format that the
kortex_api 2.6.0.post3 client speaks; it was never compared with a robot.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from multigen_core.command import exit_code_of
from multigen_core.errors import ConfigError
from multigen_core.lab.gen3_emulator.server import Emulator, Manners
from multigen_core.lab.kortex.calls import TCP_PORT, UDP_PORT


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m multigen_core.lab.gen3_emulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=TCP_PORT, help="TCP; 0 takes any free one")
    parser.add_argument("--udp-port", type=int, default=UDP_PORT, help="UDP; 0 takes any free one")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="every answer comes that much later")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="and up to this much later still")
    parser.add_argument("--arm-latency-ms", type=float, default=0.0, help="joints follow a speed that much later")
    parser.add_argument("--joints", type=int, default=7, help="number of joints that is reported")
    parser.add_argument("--inject", action="append", default=[], metavar="WORDS@SECONDS", help="see above")
    parser.add_argument("--seed", type=int, default=0, help="of the jitter")
    parser.add_argument("--until-input-ends", action="store_true", help="end when standard input does")
    options = parser.parse_args(arguments)
    # A robot has a computer of its own, which is not busy with ours.
    with suppress(OSError):
        os.nice(-10)
    return exit_code_of(lambda: _serve(options), stopped="stopped: the emulated arm is gone")


def _serve(options: argparse.Namespace) -> None:
    manners = Manners(
        reply_latency_s=1e-3 * options.latency_ms,
        jitter_s=1e-3 * options.jitter_ms,
        command_latency_s=1e-3 * options.arm_latency_ms,
        joints=options.joints,
        inject=tuple(map(_timed, options.inject)),
        seed=options.seed,
    )
    asyncio.run(_main(manners, options.port, options.udp_port, until_input_ends=options.until_input_ends))


def _timed(text: str) -> tuple[float, str]:
    words, _, seconds = text.rpartition("@")
    try:
        return float(seconds), words
    except ValueError as error:
        raise ConfigError(f"--inject is {text!r}; write words and seconds, like fault@10") from error


async def _main(manners: Manners, port: int, udp_port: int, *, until_input_ends: bool) -> None:
    emulator = Emulator(manners)
    loop = asyncio.get_running_loop()
    serving = asyncio.ensure_future(emulator.serve(port=port, udp_port=udp_port, announce=_announce))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    ended = serving.cancel if until_input_ends else None
    threading.Thread(target=_listen, args=(loop, emulator, ended), daemon=True).start()
    try:
        await serving
    except asyncio.CancelledError:
        # Asked to end: that is no failure.
        return


def _announce(tcp: int, udp: int) -> None:
    print(json.dumps({"tcp": tcp, "udp": udp}), flush=True)


def _listen(loop: asyncio.AbstractEventLoop, emulator: Emulator, ended: Callable[[], object] | None) -> None:
    """Reads standard input in a thread of its own: not every kind of file can be waited for."""
    for line in sys.stdin:
        if line.strip():
            loop.call_soon_threadsafe(_inject, emulator, line.strip())
    if ended:
        loop.call_soon_threadsafe(ended)


def _inject(emulator: Emulator, words: str) -> None:
    try:
        emulator.inject(words)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
