"""A folder is the old one or the new one, whatever happens in between."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from multigen_core.errors import MissingInput, UserError
from multigen_core.storage import check_manifest, finished, output_folder, read_summary


def test_a_finished_folder_has_a_true_manifest(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out") as out:
        (out / "deep").mkdir()
        (out / "deep" / "a.txt").write_text("a")
    assert finished(tmp_path / "out")
    assert check_manifest(tmp_path / "out") == []
    (tmp_path / "out" / "deep" / "a.txt").write_text("b")
    assert check_manifest(tmp_path / "out") == ["deep/a.txt"]


def test_an_exception_leaves_the_old_folder(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out") as out:
        (out / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "out") as out:
        (out / "a.txt").write_text("new")
        raise ZeroDivisionError
    assert (tmp_path / "out" / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with output_folder(tmp_path / "out") as out:
            (out / f"{text}.txt").write_text(text)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"new.txt", "manifest.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_killed_run_leaves_no_output_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from multigen_core.storage import output_folder
        with output_folder(Path(sys.argv[1])) as out:
            (out / "half.txt").write_text("half")
            print("writing", flush=True)
            time.sleep(60)
        """
    )
    place = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", script, str(place)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"writing\n"
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not finished(place)
    assert len(list(tmp_path.iterdir())) == 1
    with output_folder(place) as out:
        (out / "whole.txt").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is full: free some space"), output_folder(tmp_path / "out") as out:
        (out / "a.txt").write_text("a")
        with Path("/dev/full").open("w") as stream:
            stream.write("x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_folder_has_no_summary(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="run its stage first"):
        read_summary(tmp_path)


def test_two_runs_do_not_delete_each_others_work(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    partial = tmp_path / f".out.partial-{other.pid}"
    partial.mkdir()
    with output_folder(tmp_path / "out"):
        time.sleep(0)
    assert partial.is_dir()
    other.kill()
    other.wait()
