"""What every command line does: one sentence and a code for what went wrong, and an orderly end on Ctrl-C."""

import os
import select
import signal
import sys
from collections.abc import Callable

from multigen_core.errors import UserError

__all__ = ["exit_code_of"]

_STDOUT = 1


def exit_code_of(work: Callable[[], object], *, stopped: str = "stopped: nothing was kept") -> int:
    """Does ``work``; returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C or a request to end,
    141 when whoever read the output (``| head``) has had enough.

    ``stopped``: what Ctrl-C leaves behind, for the user to read.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    # A shell starts what runs in its background with Ctrl-C switched off.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        work()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return 141
    return 0


def _nobody_reads() -> bool:
    """Whether standard output is the pipe that broke; then what is still to be written there goes nowhere."""
    output = select.poll()
    output.register(_STDOUT, select.POLLOUT)
    if not any(event & select.POLLERR for _, event in output.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    return True
