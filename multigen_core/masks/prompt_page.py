"""A page on this machine on which a person clicks the prompts of clips; nothing is loaded from outside.

``/`` is the page; ``/clips/K`` describes clip K, ``/clips/K/frames/N`` is a PNG of its frame N, and what is posted to
``/clips/K/prompts`` goes into the prompts file.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import UInt8

from multigen_core.errors import ConfigError, UserError
from multigen_core.masks.prompts import checked_prompts, read_prompts, write_prompts
from multigen_core.media import read_video
from multigen_core.sheet import picture

__all__ = ["ADDRESS", "ClipToPrompt", "PromptServer"]

ADDRESS = "127.0.0.1"
_PAGE = Path(__file__).with_name("prompt_page.html")
_LARGEST_BODY = 2**20
_CLIP = re.compile(r"/clips/(\d{1,6})(?:/(prompts|frames/(\d{1,6})))?", re.ASCII)


@dataclass(frozen=True)
class ClipToPrompt:
    """A clip as it is kept, whose pixels the prompts speak of."""

    clip_id: str
    video: Path


class PromptServer(ThreadingHTTPServer):
    """Serves the clips one after the other; ``port`` 0 takes a free one.

    It answers this machine only: requests that name another host, or come from another site's page, are refused.
    """

    daemon_threads = True

    def __init__(self, clips: Sequence[ClipToPrompt], prompts: Path, *, port: int = 0) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.clips = tuple(clips)
        self.prompts = prompts
        self.writing = Lock()

    @property
    def address(self) -> str:
        """Where to point a browser."""
        return f"http://{ADDRESS}:{self.server_address[1]}/"

    @property
    def hosts(self) -> set[str]:
        return {f"{name}:{self.server_address[1]}" for name in (ADDRESS, "localhost")}


class _Refused(Exception):
    """A request that gets an answer other than what it asked for."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: PromptServer

    def do_GET(self) -> None:
        self._answer(self._got)

    def do_POST(self) -> None:
        self._answer(self._posted)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing: what matters is on the page."""

    def _answer(self, make: Any) -> None:
        try:
            self._require_local()
            kind, body = make()
            status = HTTPStatus.OK
        except _Refused as problem:
            status, kind, body = problem.status, "application/json", _json({"error": str(problem)})
        except UserError as problem:
            status, kind, body = HTTPStatus.BAD_REQUEST, "application/json", _json({"error": str(problem)})
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _require_local(self) -> None:
        """A page elsewhere can make a browser send requests here, but not under this host's name and origin."""
        origin = self.headers.get("Origin", "").removeprefix("http://")
        if self.headers.get("Host") not in self.server.hosts or origin not in self.server.hosts | {""}:
            raise _Refused(HTTPStatus.FORBIDDEN, "this page answers only the machine on which it runs")

    def _got(self) -> tuple[str, bytes]:
        if self.path == "/":
            return "text/html; charset=utf-8", _PAGE.read_bytes()
        clip, part, frame = self._asked()
        pictures = _frames(clip.video)
        if frame is not None:
            if frame >= len(pictures):
                raise _Refused(HTTPStatus.NOT_FOUND, f"{clip.clip_id} has {len(pictures)} frames")
            return "image/png", picture(pictures[frame])
        if part is not None:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "prompts are posted")
        height, width = pictures[0].shape[:2]
        given = read_prompts(self.server.prompts).get(clip.clip_id, ())
        described = {
            "clip_id": clip.clip_id,
            "clips": len(self.server.clips),
            "frames": len(pictures),
            "width": width,
            "height": height,
            "prompts": [asdict(prompt) for prompt in given],
        }
        return "application/json", _json(described)

    def _posted(self) -> tuple[str, bytes]:
        clip, part, _ = self._asked()
        if part != "prompts" or self.headers.get("Content-Type") != "application/json":
            raise _Refused(HTTPStatus.BAD_REQUEST, "post a clip's prompts as JSON")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"prompts have at most {_LARGEST_BODY} bytes")
        try:
            values = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"this is no JSON: {error}") from error
        prompts = checked_prompts(values, self.server.prompts)
        _require_inside(clip, prompts)
        with self.server.writing:
            write_prompts(self.server.prompts, clip.clip_id, prompts)
        return "application/json", _json({"saved": len(prompts)})

    def _asked(self) -> tuple[ClipToPrompt, str | None, int | None]:
        """The clip that the path names, what of it, and the frame."""
        asked = _CLIP.fullmatch(self.path)
        if asked is None or int(asked[1]) >= len(self.server.clips):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no such page")
        return self.server.clips[int(asked[1])], asked[2], int(asked[3]) if asked[3] else None


def _require_inside(clip: ClipToPrompt, prompts: Sequence[Any]) -> None:
    pictures = _frames(clip.video)
    height, width = pictures[0].shape[:2]
    for prompt in prompts:
        places = [*prompt.points, *([prompt.box[:2], prompt.box[2:]] if prompt.box else [])]
        if prompt.frame >= len(pictures) or any(right > width or down > height for right, down in places):
            raise ConfigError(
                f"a prompt for {prompt.object} lies outside {clip.clip_id}, which has {len(pictures)} frames of "
                f"{width} x {height} pixels"
            )


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@lru_cache(maxsize=4)
def _frames(video: Path) -> tuple[UInt8[np.ndarray, "H W 3"], ...]:
    """All frames of a clip: some seconds of small pictures."""
    return tuple(read_video(video))
