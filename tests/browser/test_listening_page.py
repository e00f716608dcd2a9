"""The listening page in a real browser, opened as a file: every video is whole and plays with sound."""

from pathlib import Path

import numpy as np
import pytest

from multigen_core.audio_model import pictures
from multigen_core.audio_model.listening_page import LARGEST_BYTES, Hearing, Track, listening_page
from multigen_core.audio_model.metrics import PourTruth
from tests.audio_model.synthetic import pour
from tests.browser.test_ui import CHROMIUM, FLAGS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hearings = []
    for seed in range(10):
        drawn = pour(np.random.default_rng(seed), duration_s=3.0)
        rgb = np.repeat((drawn.masks * 80)[..., None], 3, axis=3)
        heard = {name: drawn.waveform for name in ("generated", "physical", "noise")}
        truth = PourTruth(rate_hz=drawn.fps, flow_ml_s=30.0 * drawn.flowing, f0_hz=drawn.f0_hz)
        tracks = tuple(Track(name, "<b>words</b>", waveform) for name, waveform in heard.items())
        picture = pictures.spectrograms(heard, truth)
        hearings.append(Hearing(f"episode {seed}", "a & b", rgb, drawn.fps, tracks, picture))
    figures = {"generated": {"sdr_db": 1.15, "diversity": None}, "noise": {"sdr_db": -10.0, "diversity": 2.0}}
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(listening_page(hearings, figures=figures, backend="pocket"))
    assert path.stat().st_size < LARGEST_BYTES
    return path


def test_every_video_plays_with_sound_and_one_at_a_time(page_file: Path) -> None:
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=[*FLAGS, "--autoplay-policy=no-user-gesture-required"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(page_file.as_uri())
        page.wait_for_function("[...document.querySelectorAll('video')].every(video => video.readyState >= 1)")
        assert page.locator("video").count() == 30 and page.locator("section").count() == 10
        durations = page.evaluate("[...document.querySelectorAll('video')].map(video => video.duration)")
        assert np.allclose(durations, 3.0, atol=0.15)
        page.evaluate("document.querySelectorAll('video')[0].play()")
        page.evaluate("document.querySelectorAll('video')[4].play()")
        page.wait_for_function("document.querySelectorAll('video')[4].currentTime > 0.3")
        assert page.evaluate("document.querySelectorAll('video')[0].paused")
        assert page.evaluate("document.querySelectorAll('video')[4].webkitAudioDecodedByteCount") > 0
        page.locator("summary").first.click()
        assert page.evaluate("document.querySelector('img').naturalWidth") > 300
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200
        browser.close()
    assert errors == []
