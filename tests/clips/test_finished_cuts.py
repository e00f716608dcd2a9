"""What an earlier run has cut is used again when it is whole, and never otherwise."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from multigen_core.clips import curation
from multigen_core.clips.curation import CUTS, run
from multigen_core.clips.finished_cuts import FinishedCuts, code_digest, digest_of
from multigen_core.progress import Silent
from multigen_core.storage import file_sha256
from tests.clips.recordings import ROOT, inputs_at, small_experiment, write_pour


@pytest.fixture
def cuts(tmp_path: Path) -> FinishedCuts:
    (tmp_path / "out" / "media").mkdir(parents=True)
    (tmp_path / "out" / "media" / "a.mp4").write_bytes(b"sight")
    (tmp_path / "out" / "media" / "a.flac").write_bytes(b"sound")
    store = FinishedCuts(tmp_path / "cuts")
    store.keep("name", tmp_path / "out", sorted((tmp_path / "out" / "media").iterdir()), {"row": 1})
    return store


def empty(folder: Path) -> Path:
    (folder / "media").mkdir(parents=True)
    return folder


def test_an_entry_comes_back_as_it_was(cuts: FinishedCuts, tmp_path: Path) -> None:
    assert cuts.take("name", empty(tmp_path / "again")) == {"row": 1}
    assert (tmp_path / "again" / "media" / "a.mp4").read_bytes() == b"sight"
    assert cuts.take("other", tmp_path / "again") is None


@pytest.mark.parametrize("damage", ["changed", "shorter", "gone", "outcome", "outcome gone", "half an outcome"])
def test_a_damaged_entry_is_not_believed_and_leaves_nothing(cuts: FinishedCuts, tmp_path: Path, damage: str) -> None:
    entry = cuts.folder / "name"
    if damage == "changed":
        (entry / "1").write_bytes(b"sighs")
    elif damage == "shorter":
        (entry / "1").write_bytes(b"")
    elif damage == "gone":
        (entry / "1").unlink()
    elif damage == "outcome":
        (entry / "outcome.json").write_text("[]")
    elif damage == "outcome gone":
        (entry / "outcome.json").unlink()
    else:
        (entry / "outcome.json").write_text((entry / "outcome.json").read_text()[:-9])
    assert cuts.take("name", empty(tmp_path / "again")) is None
    assert not list((tmp_path / "again" / "media").iterdir())


def test_what_has_no_use_is_forgotten(cuts: FinishedCuts) -> None:
    (cuts.folder / ".making-x-1").mkdir()
    cuts.forget_others({"other"})
    assert not list(cuts.folder.iterdir())


def test_names_tell_different_things_apart() -> None:
    assert digest_of("a", "b") != digest_of("ab", "") != digest_of("", "ab")
    assert code_digest() == code_digest() and len(code_digest()) == 64


def curated(root: Path, name: str, **clips: Any) -> list[tuple[Path, str]]:
    out = root / name
    out.mkdir()
    run(small_experiment(**clips), inputs_at(root), out, Silent())
    return [(path.relative_to(out), file_sha256(path)) for path in sorted(out.rglob("*")) if path.is_file()]


def test_a_second_run_cuts_nothing_and_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pour(tmp_path / "data" / "inbox" / "a.mp4")
    write_pour(tmp_path / "data" / "inbox" / "b.mp4", seed=1)
    (tmp_path / "data" / "inbox" / "bad.mp4").write_bytes(b"")
    cut: list[Path] = []
    original = curation.cut_around_pour
    monkeypatch.setattr(
        curation, "cut_around_pour", lambda recording, *rest: cut.append(recording) or original(recording, *rest)
    )
    first = curated(tmp_path, "first")
    assert len(cut) == 3
    assert curated(tmp_path, "second") == first and len(cut) == 3
    # Another threshold judges what was cut; another size cuts anew; a recording that changed is cut anew.
    filters = small_experiment().clips.filters
    curated(tmp_path, "third", filters=type(filters)(**vars(filters) | {"max_clipped": 0.5}))
    assert len(cut) == 3
    curated(tmp_path, "fourth", size_px=48)
    assert len(cut) == 6
    write_pour(tmp_path / "data" / "inbox" / "a.mp4", seed=2)
    curated(tmp_path, "fifth", size_px=48)
    assert len(cut) == 7
    for entry in (tmp_path / CUTS).iterdir():
        for path in entry.glob("0"):
            path.write_bytes(b"damaged")
    curated(tmp_path, "sixth", size_px=48)
    assert len(cut) == 9


def test_reference_clips_are_not_rendered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = {"sources": ("reference",), "reference_count": 2, "size_px": 48, "length_s": 2.0}
    first = curated(tmp_path, "first", **clips)
    monkeypatch.setattr("multigen_core.clips.reference.ReferenceClips.fetch", None)
    assert curated(tmp_path, "second", **clips) == first


RUN = """
import sys
from pathlib import Path
from multigen_core.clips import curation
from multigen_core.progress import Silent
from tests.clips.recordings import inputs_at, small_experiment
out = Path(sys.argv[1]) / "killed"
out.mkdir()
curation.run(small_experiment(), inputs_at(Path(sys.argv[1])), out, Silent())
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(8):
        write_pour(tmp_path / "data" / "inbox" / f"{seed}.mp4", seed=seed)
    killed = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], cwd=ROOT, env=os.environ)
    store = tmp_path / CUTS
    deadline_s = time.monotonic() + 120.0
    while len(list(store.glob("[0-9a-f]*"))) < 3 and killed.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = [entry for entry in store.glob("[0-9a-f]*") if json.loads((entry / "outcome.json").read_text())]
    assert 3 <= len(done) < 8
    cut: list[object] = []
    original = curation.cut_around_pour
    monkeypatch.setattr(curation, "cut_around_pour", lambda *arguments: cut.append(arguments) or original(*arguments))
    went_on = [place for place, _ in curated(tmp_path, "went_on")]
    assert len(cut) == 8 - len(done)
    for entry in store.iterdir():
        assert not entry.name.startswith(".")  # nothing half-made is left
    monkeypatch.setattr(curation, "CUTS", Path("elsewhere"))
    assert [place for place, _ in curated(tmp_path, "whole")] == went_on
