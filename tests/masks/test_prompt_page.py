"""The page for prompts: what a browser gets, what it may save, and whom it does not answer."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from multigen_core.clips.catalogue import write_catalogue
from multigen_core.errors import UserError
from multigen_core.masks.__main__ import chosen_clips, main
from multigen_core.masks.prompt_page import ClipToPrompt, PromptServer
from multigen_core.masks.prompts import Prompt, read_prompts, write_prompts
from multigen_core.media import read_video, write_video
from tests.clips.test_catalogue import GOOD
from tests.skeleton import REPOSITORY, environment

CHROMIUM = Path("/usr/bin/chromium")


def write_clip(path: Path) -> None:
    frames = [np.full((48, 64, 3), 20 * k, np.uint8) for k in range(6)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, fps=10.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PromptServer]:
    for name in ("first", "second"):
        write_clip(tmp_path / "media" / f"{name}.mp4")
    clips = [ClipToPrompt(name, tmp_path / "media" / f"{name}.mp4") for name in ("first", "second")]
    with PromptServer(clips, tmp_path / "prompts.yaml") as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def call(
    server: PromptServer, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    kind = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, body, kind | dict(headers or {}))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def post(server: PromptServer, prompts: Any, path: str = "/clips/0/prompts", **headers: str) -> tuple[int, Any]:
    status, content = call(server, "POST", path, json.dumps(prompts).encode(), headers)
    return status, json.loads(content)


RECEIVER = {"object": "receiver", "frame": 0, "points": [[10, 20], [60, 5]], "labels": [1, 0]}
LIQUID = {"object": "liquid", "frame": 4, "box": [8, 20, 30, 40]}


def test_the_page_needs_nothing_from_outside(server: PromptServer) -> None:
    status, page = call(server, "GET", "/")
    assert status == 200
    text = page.decode()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    assert "http://" not in text and "https://" not in text


def test_a_clip_is_described_and_its_frames_are_pictures(server: PromptServer, tmp_path: Path) -> None:
    status, content = call(server, "GET", "/clips/1")
    assert status == 200
    assert json.loads(content) == {
        "clip_id": "second",
        "clips": 2,
        "frames": 6,
        "width": 64,
        "height": 48,
        "prompts": [],
    }
    status, png = call(server, "GET", "/clips/1/frames/3")
    (tmp_path / "frame.png").write_bytes(png)
    with av.open(str(tmp_path / "frame.png")) as picture:
        shown = next(picture.decode(video=0)).to_ndarray(format="rgb24")
    np.testing.assert_array_equal(shown, list(read_video(tmp_path / "media" / "second.mp4"))[3])


def test_what_is_clicked_is_in_the_file_and_comes_back(server: PromptServer) -> None:
    assert post(server, [RECEIVER, LIQUID]) == (200, {"saved": 2})
    saved = read_prompts(server.prompts)["first"]
    assert saved[0] == Prompt("receiver", 0, points=((10.0, 20.0), (60.0, 5.0)), labels=(1, 0))
    assert saved[1] == Prompt("liquid", 4, box=(8.0, 20.0, 30.0, 40.0))
    again = json.loads(call(server, "GET", "/clips/0")[1])["prompts"]
    assert post(server, again) == (200, {"saved": 2})
    assert read_prompts(server.prompts)["first"] == saved


@pytest.mark.parametrize(
    ("prompts", "sentence"),
    [
        ([{**RECEIVER, "object": "spoon"}], "object"),
        ([{**RECEIVER, "frame": 6}], "outside first, which has 6 frames of 64 x 48 pixels"),
        ([{**LIQUID, "box": [8, 20, 30, 49]}], "outside first"),
        ([{**RECEIVER, "points": [[-1, 3], [1, 1]]}], "points"),
        ([LIQUID, LIQUID], "two prompts for liquid in frame 4"),
        ({"a": 1}, "prompts.yaml"),
        (None, "prompts.yaml"),
    ],
)
def test_what_makes_no_sense_is_not_saved(server: PromptServer, prompts: Any, sentence: str) -> None:
    status, answer = post(server, prompts)
    assert status == 400 and sentence in answer["error"]
    assert not server.prompts.exists()


@pytest.mark.parametrize(
    "path",
    ["/clips/2", "/clips/-1", "/clips/0/frames/99", "/../params.yaml", "/clips/0/frames/../..", "/clips/%D9%A3", "/x"],
)
def test_other_paths_lead_nowhere(server: PromptServer, path: str) -> None:
    assert call(server, "GET", path)[0] == 404


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_other_sites_are_not_answered(server: PromptServer, headers: dict[str, str]) -> None:
    assert post(server, [RECEIVER], **headers)[0] == 403
    assert call(server, "GET", "/clips/0", headers=headers)[0] == 403
    assert not server.prompts.exists()


def test_only_json_of_a_sensible_size_is_read(server: PromptServer) -> None:
    assert call(server, "POST", "/clips/0/prompts", b"[]", {"Content-Type": "text/plain"})[0] == 400
    assert call(server, "POST", "/clips/0/prompts", b"{")[0] == 400
    assert call(server, "POST", "/clips/0/prompts", b"[]", {"Content-Length": "99999999"})[0] == 400
    assert not server.prompts.exists()


def catalogue_at(folder: Path) -> Any:
    folder.mkdir(parents=True)
    rows = [GOOD | {"clip_id": f"local-{name}-1", "source_id": name} for name in ("a", "b")]
    rows.append(GOOD | {"clip_id": "reference-0000", "source": "reference", "source_id": "reference-0000"})
    return write_catalogue(folder, rows)


def test_clips_are_chosen_by_name_by_recording_or_by_what_lacks_prompts(tmp_path: Path) -> None:
    catalogue = catalogue_at(tmp_path / "clips")
    everything = list(catalogue["clip_id"])
    assert chosen_clips(catalogue, ["b", "local-a-1", "local-b-1"], everything) == ["local-b-1", "local-a-1"]
    assert chosen_clips(catalogue, [], everything) == ["local-a-1", "local-b-1"]
    assert chosen_clips(catalogue, [], ["local-b-1"]) == ["local-b-1"]
    with pytest.raises(UserError, match="no clip is called 'c'; recordings in the catalogue are local-a-1, local-b-1"):
        chosen_clips(catalogue, ["c"], everything)
    with pytest.raises(UserError, match="every recording"):
        chosen_clips(catalogue, [], [])


def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    catalogue_at(tmp_path / "data" / "clips")
    write_clip(tmp_path / "data" / "clips" / "media" / "local-a-1.mp4")
    command = [sys.executable, "-m", "multigen_core.masks", "prompt", "a", "--params", str(REPOSITORY / "params.yaml")]
    started = subprocess.Popen(
        command, cwd=tmp_path, env=environment(REPOSITORY), stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE
    )
    try:
        assert started.stdout is not None
        said = started.stdout.readline()
        port = int(re.findall(r"http://127\.0\.0\.1:(\d+)/", said)[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/clips/0/prompts", json.dumps([LIQUID]), {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        started.send_signal(signal.SIGINT)
        _, complaints = started.communicate(timeout=30)
    assert started.returncode == 0 and complaints == ""
    assert read_prompts(tmp_path / "data" / "inbox" / "prompts.yaml")["local-a-1"][0].object == "liquid"


def test_the_command_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = ["--params", str(REPOSITORY / "params.yaml")]
    assert main(["prompt", "a", *params]) == 2
    assert "multigen_core clips" in capsys.readouterr().err
    catalogue_at(tmp_path / "data" / "clips")
    write_prompts(tmp_path / "data" / "inbox" / "prompts.yaml", "local-a-1", ())
    assert main(["prompt", "c", *params]) == 2
    assert "no clip is called 'c'" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}: apt-get install chromium")
def test_a_person_clicks_two_clips(server: PromptServer) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra [dev]")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 900, "height": 900})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server.address)
        page.get_by_text("first").wait_for()
        around = page.locator("canvas").bounding_box()
        assert around is not None
        scale = min(around["width"] / 64, around["height"] / 48)
        left = around["x"] + (around["width"] - 64 * scale) / 2
        top = around["y"] + (around["height"] - 48 * scale) / 2
        page.mouse.click(left + 10 * scale, top + 20 * scale)
        page.mouse.click(left + 50 * scale, top + 5 * scale, button="right")
        page.keyboard.press("3")
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.mouse.move(left + 8 * scale, top + 20 * scale)
        page.mouse.down()
        page.mouse.move(left + 30 * scale, top + 40 * scale, steps=4)
        page.mouse.up()
        page.keyboard.press("Enter")
        page.get_by_text("second").wait_for()
        browser.close()
    assert wrong == []
    receiver, liquid = read_prompts(server.prompts)["first"]
    assert receiver.labels == (1, 0) and receiver.points[0] == pytest.approx((10.0, 20.0), abs=0.3)
    assert liquid.frame == 4 and liquid.box == pytest.approx((8.0, 20.0, 30.0, 40.0), abs=0.3)
