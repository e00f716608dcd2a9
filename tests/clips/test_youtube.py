"""YouTube: the real downloader against a server on this machine."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from multigen_core.clips.contract import Unavailable
from multigen_core.clips.youtube import YouTube, reason_of
from multigen_core.errors import MissingInput
from tests.clips.recordings import write_pour

VIDEO_ID = "abcDEF_-123"


class Handler(SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    Handler.asked = []
    served = tmp_path / "served"
    write_pour(served / f"{VIDEO_ID}.mp4")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(served))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/{{id}}.mp4"
        http.shutdown()
        thread.join()


def source(
    tmp_path: Path, listed: str, address: str = "http://127.0.0.1:1/{id}.mp4", name: str = "list.yaml"
) -> YouTube:
    (tmp_path / name).write_text(listed)
    return YouTube(tmp_path / name, tmp_path / "cache", address, pause_s=0.0, rate_limit_kb_s=5000.0)


def test_a_video_is_downloaded_once_and_kept(tmp_path: Path, server: str) -> None:
    pytest.importorskip("yt_dlp", reason="needs the extra [youtube]")
    youtube = source(tmp_path, f"- {{id: {VIDEO_ID}, start_s: 1, stop_s: 5, licence: CC BY 3.0}}\n", server)
    (one,) = youtube.discover()
    assert (one.start_s, one.stop_s, one.licence) == (1.0, 5.0, "CC BY 3.0")
    video = youtube.fetch(one, tmp_path).video
    assert video.parent == tmp_path / "cache"
    assert video.read_bytes() == (tmp_path / "served" / f"{VIDEO_ID}.mp4").read_bytes()
    requests = len(Handler.asked)
    assert youtube.fetch(one, tmp_path).video == video
    assert len(Handler.asked) == requests
    assert youtube.funnel() == {"listed": 1, "cached": 1}


def test_a_video_that_is_gone_is_remembered(tmp_path: Path, server: str) -> None:
    pytest.importorskip("yt_dlp", reason="needs the extra [youtube]")
    youtube = source(tmp_path, "- xxxxxxxxxxx\n", server)
    (one,) = youtube.discover()
    for _ in range(2):
        with pytest.raises(Unavailable, match="gone"):
            youtube.fetch(one, tmp_path)
    assert len(set(Handler.asked)) == 1
    asked = len(Handler.asked)
    with pytest.raises(Unavailable, match="gone"):
        youtube.fetch(one, tmp_path)
    assert len(Handler.asked) == asked


def test_a_server_that_does_not_answer_is_asked_again_another_time(tmp_path: Path) -> None:
    pytest.importorskip("yt_dlp", reason="needs the extra [youtube]")
    youtube = source(tmp_path, f"- {VIDEO_ID}\n")
    (one,) = youtube.discover()
    with pytest.raises(Unavailable, match="unreachable"):
        youtube.fetch(one, tmp_path)
    assert not list((tmp_path / "cache").glob("*.json"))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("ERROR: [youtube] abc: Private video. Sign in if you've been granted access to this video", "private"),
        (
            "ERROR: Sign in to confirm your age. This video may be inappropriate for some users.",
            "age_restricted",
        ),
        ("ERROR: [youtube] abc: The uploader has not made this video available in your country", "blocked"),
        ("ERROR: [youtube] abc: Video unavailable. This video has been removed by the uploader", "gone"),
        ("ERROR: unable to download video data: HTTP Error 404: Not Found", "gone"),
        ("ERROR: Unable to download webpage: timed out", "unreachable"),
    ],
)
def test_outcomes_have_names(message: str, reason: str) -> None:
    assert reason_of(message) == reason


@pytest.mark.parametrize(
    "entry",
    [
        "{id: short}",
        "{id: '; rm -rf / #'}",
        f"{{id: {VIDEO_ID}, start_s: 5, stop_s: 2}}",
        f"{{id: {VIDEO_ID}, start_s: x}}",
        "{}",
    ],
)
def test_entries_that_make_no_sense_end_in_the_quarantine(tmp_path: Path, entry: str) -> None:
    youtube = source(tmp_path, f"- {entry}\n")
    (one,) = youtube.discover()
    with pytest.raises(Unavailable, match="bad_annotation"):
        youtube.fetch(one, tmp_path)


def test_a_csv_is_a_list_too(tmp_path: Path) -> None:
    youtube = source(tmp_path, f"id,start_s,stop_s\n{VIDEO_ID},2.5,\n", name="list.csv")
    (one,) = youtube.discover()
    assert (one.source_id, one.start_s, one.stop_s) == (VIDEO_ID, 2.5, None)


@pytest.mark.parametrize("listed", ["id: 3\n", "- [", "just words\n"])
def test_a_file_that_is_no_list_is_named(tmp_path: Path, listed: str) -> None:
    with pytest.raises(MissingInput, match=r"clips\.youtube\.entries"):
        source(tmp_path, listed).discover()


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    youtube = YouTube(tmp_path / "none.yaml", tmp_path, "http://x/{id}", pause_s=0.0, rate_limit_kb_s=1.0)
    with pytest.raises(MissingInput, match="which is not there"):
        youtube.discover()
