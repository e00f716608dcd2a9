"""The command line: one sentence and exit code 2 for what the user can mend."""

import subprocess
import sys
from pathlib import Path

import pytest

from multigen_core.__main__ import main
from multigen_core.command import exit_code_of

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["clip"], "unknown stage 'clip'; stages are clips, segmenter"),
        (["episodes", "--partition", "9"], "stage 'episodes' has no partition '9'; allowed: 000, 001"),
        (["clips", "--partition", "000"], "leave --partition out"),
        (["masks"], "stage 'masks' needs the output of 'clips': run `python -m multigen_core clips` first"),
        (
            ["policy", "--partition", "vision"],
            "stage 'policy' needs the output of 'segmenter': run `python -m multigen_core segmenter` first",
        ),
        (["clips", "--params", "none.yaml"], "none.yaml does not exist"),
        (["params", "--set", "a.b=1"], "cannot set 'a.b=1'"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert sorted(path.name for path in project.iterdir()) == ["params.yaml"]


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    for lines in (1, 100_000):
        script = f"from multigen_core.command import exit_code_of; exit(exit_code_of(lambda: print('a\\n' * {lines})))"
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_another_pipe_that_breaks_is_an_error() -> None:
    def work() -> None:
        raise BrokenPipeError("of the robot")

    with pytest.raises(BrokenPipeError, match="of the robot"):
        exit_code_of(work)


def test_a_wrong_key_is_told_without_waiting_for_torch(project: Path) -> None:
    script = "import sys; from multigen_core.__main__ import main; main(['clip']); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False"
