"""The study is what its protocol says, and nothing twice."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from multigen_core.errors import ConfigError
from multigen_core.params import load
from multigen_core.policy.train import ABLATIONS
from multigen_core.study.protocol import Protocol, load_protocol
from multigen_core.study.units import phases

REPOSITORY = Path(__file__).parents[2]
PROTOCOL = load_protocol(REPOSITORY / "experiments/protocols/study.yaml")


def test_every_series_has_a_name_of_its_own() -> None:
    series = [one for phase in phases(PROTOCOL) for one in phase.series]
    assert len({one.name for one in series}) == len(series) == len(set(series))
    assert {one.training.ablation for one in series} == set(ABLATIONS)


def test_the_three_ablations_get_the_same_effort() -> None:
    main = phases(PROTOCOL)[0]
    effort = Counter(one.training.ablation for one in main.series)
    assert set(effort.values()) == {len(PROTOCOL.training_seeds)} and len(effort) == 3
    assert {one.trials for one in main.series} == {PROTOCOL.trials}
    assert len(PROTOCOL.training_seeds) >= 3
    assert PROTOCOL.trials * len(PROTOCOL.training_seeds) >= 96


def test_the_study_differs_from_the_demo_in_size_alone() -> None:
    demo, study = (load(REPOSITORY / name) for name in ("params.yaml", "experiments/study.yaml"))
    assert len(study.episodes.shards) * study.episodes.per_shard >= 400
    assert study.episodes.shards[: len(demo.episodes.shards)] == demo.episodes.shards
    for stage in ("segmenter", "masks", "audio_model", "noise_augmented"):
        assert getattr(study, stage) == getattr(demo, stage)
    # A demo may have been given an inbox of the user's.
    assert study.clips == replace(demo.clips, inbox=study.clips.inbox)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not valid YAML"),
        ("trials: 3\n", "training_seeds"),
        (None, "does not exist: pass --protocol FILE"),
        ("training_seeds: []", "training_seeds is"),
        ("sizes: [1]", "sizes.0 is 1"),
    ],
)
def test_a_bad_protocol_gets_one_sentence(text: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "protocol.yaml"
    if text is not None:
        good = (REPOSITORY / "experiments/protocols/study.yaml").read_text()
        key = text.partition(":")[0]
        lines = [line for line in good.splitlines() if not line.startswith(key)]
        path.write_text(text if text in ("{", "trials: 3\n") else "\n".join([*lines, text]))
    with pytest.raises(ConfigError, match=sentence):
        load_protocol(path)


def test_numbers_are_what_they_say() -> None:
    small = Protocol((0,), 2, 1, (2,), 1, 1, 1)
    trainings = {training.name for phase in phases(small) for training in phase.trainings}
    assert len(trainings) == 3 + 2 + 2 + 2
