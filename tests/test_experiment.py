"""Seeds: every place in the pipeline has its own."""

from pathlib import Path

from multigen_core.experiment import seed_for
from multigen_core.params import load


def test_every_place_has_its_own_seed() -> None:
    experiment = load(Path(__file__).parents[1] / "params.yaml")
    places = [
        ("episodes", "000", 1),
        ("episodes", "000", 2),
        ("episodes", "001", 1),
        ("clips",),
        ("policy", "vision"),
        ("audiovisual", "pour-0000"),
        ("audiovisual", "pour-0005"),
    ]
    seeds = [seed_for(experiment, *place) for place in places]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [seed_for(experiment, *place) for place in places]
