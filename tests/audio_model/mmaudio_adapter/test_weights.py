"""What must be there before anything is computed, and how long windows are."""

from pathlib import Path

import pytest

from multigen_core.audio_model import mmaudio_weights
from multigen_core.audio_model.finetune import run
from multigen_core.audio_model.mmaudio_weights import VARIANTS, check_package, check_weights
from multigen_core.errors import MissingExtra, MissingInput
from multigen_core.experiment import Experiment
from multigen_core.progress import Silent
from multigen_core.stages import Inputs
from tests.audio_model.published_files import publish


def test_one_sentence_lists_every_file_that_is_missing_or_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = publish(tmp_path, "large_44k_v2", monkeypatch)
    check_weights(tmp_path, variant)
    (tmp_path / "v1-44.pth").unlink()
    (tmp_path / "bigvgan_v2" / "config.json").unlink()
    (tmp_path / "mmaudio_large_44k_v2.pth").write_bytes(b"another")
    with pytest.raises(MissingInput) as error:
        check_weights(tmp_path, variant)
    sentence = str(error.value)
    assert "lacks 3 of 7 files" in sentence and str(tmp_path) in sentence and "\n" not in sentence
    for part in ("v1-44.pth is not there", "bigvgan_v2/config.json is not there", "mmaudio_large_44k_v2.pth has md5"):
        assert part in sentence
    with pytest.raises(MissingInput, match="lacks 2 of 6 files"):
        check_weights(tmp_path, variant, network=False, digests=False)


def test_the_published_digests_are_those_of_the_facts() -> None:
    known = {file.name: file.md5 for variant in VARIANTS.values() for file in variant.files}
    assert known["mmaudio_small_16k.pth"] == "af93cde404179f58e3919ac085b8033b"
    assert known["mmaudio_large_44k_v2.pth"] == "01ad4464f049b2d7efdaa4c1a59b8dfe"
    assert sum(md5 is not None for md5 in known.values()) == 6


def test_lengths_are_those_of_the_paper() -> None:
    small, large = VARIANTS["small_16k"], VARIANTS["large_44k_v2"]
    assert (small.latents(8.0), large.latents(8.0)) == (250, 345)
    assert (small.clip_tokens(8.0), small.sync_tokens(8.0)) == (64, 192)
    assert (small.samples(8.0), large.samples(8.0)) == (128_000, 353_280)


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmaudio_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps 'mmaudio @ git") as error:
        check_package()
    assert "\n" not in str(error.value)


def test_nothing_is_computed_when_a_file_is_missing(experiment: Experiment, inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "weights" / "v1-16.pth").unlink()
    with pytest.raises(MissingInput, match=r"v1-16\.pth"):
        run(experiment, inputs, tmp_path, Silent())
    assert not (tmp_path / "cache").exists()
