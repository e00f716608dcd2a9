"""What every command line does: one sentence and a code for what went wrong, and an orderly end on Ctrl-C."""

import os
import signal
import sys
from collections.abc import Callable

from multigen_core.errors import UserError

__all__ = ["exit_code_of"]


def exit_code_of(work: Callable[[], object], *, stopped: str = "stopped: nothing was kept") -> int:
    """Does ``work``; returns the exit code: 0, 2 for a mistake the user can mend, 130 for Ctrl-C or a request to end.

    ``stopped``: what Ctrl-C leaves behind, for the user to read.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    # A shell starts what runs in its background with Ctrl-C switched off.
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 130
    return 0
