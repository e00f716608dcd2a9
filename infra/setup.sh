#!/usr/bin/env bash
# Builds .venv with the pinned packages, once for each state of the pins, and sees to it that MuJoCo can draw.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=".venv/.installed-$(cat constraints.txt pyproject.toml | sha256sum | cut -c1-16)"
[ -e "$stamp" ] && exit 0

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: Python 3.11 or 3.12 is needed; install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
    return 2
}

can_draw() {
    MUJOCO_GL=egl .venv/bin/python -c 'import mujoco; mujoco.GLContext(64, 64)' >/dev/null 2>&1
}

python="$(find_python)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "installing packages into .venv (about 2.6 GB, a few minutes)" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'

packages="$(grep -v '^#' infra/system-packages.txt | tr '\n' ' ')"
if ! can_draw && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing system packages: $packages" >&2
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages >/dev/null
fi
if ! can_draw; then
    echo "error: MuJoCo finds no EGL to draw with; install the packages: $packages(Debian's names)" >&2
    exit 2
fi
touch "$stamp"
