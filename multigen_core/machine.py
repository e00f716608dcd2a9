"""What a figure was measured on."""

import os
import platform
from pathlib import Path

__all__ = ["hardware"]


def hardware() -> str:
    """Processor model and the number of cores this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {len(os.sched_getaffinity(0))} cores"
