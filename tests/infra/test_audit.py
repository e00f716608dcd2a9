"""The offline audit of the pins: right about this environment, and wrong about nothing that is wrong on purpose."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.audit import ROOT, findings, lines_of, main

CONSTRAINTS = (ROOT / "constraints.txt").read_text()
ADVISORIES = ROOT / "infra" / "advisories.txt"

Audit = Callable[..., list[str]]


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """The findings when one line of constraints.txt, pyproject.toml or the advisories is another one."""

    def look(*, old: str = "", new: str = "", file: str = "constraints.txt") -> list[str]:
        paths = {}
        for name in ("pyproject.toml", "constraints.txt", "infra/advisories.txt"):
            text = (ROOT / name).read_text()
            assert name != file or old in text
            paths[name] = tmp_path / Path(name).name
            paths[name].write_text(text.replace(old, new, 1) if name == file else text)
        return list(findings(*paths.values()))

    return look


def test_this_environment_is_the_one_that_was_pinned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out


def test_make_check_asks_it() -> None:
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "\tpython infra/audit.py\n" in recipe


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\nlightning==2.6.6", "\nlightning==2.6.3", ["lightning 2.6.3 is known to be bad", "CVE-2026-31221"]),
        ("\nmlflow==3.17.2", "\nmlflow==3.10.0", ["mlflow 3.10.0 is known to be bad (CVE-2026-4137"]),
        (
            "\nmlflow==3.17.2",
            "\nmlflow==3.17.1",
            ["mlflow 3.17.2 is installed, but 3.17.1 is pinned"],
        ),
        (
            "\nnumpy==2.4.6",
            "",
            ["numpy is not pinned in constraints.txt", "numpy 2.4.6 is installed"],
        ),
        ("\nh11==", "\n# h11==", ["h11 0.16.0 is installed, but nothing pins it"]),
        ("\nscipy==1.17.1", "\nscipy>=1.17.1", ["scipy>=1.17.1 is not one exact version"]),
        ("\nscipy==1.17.1", "\nscipy==1.17.*", ["scipy==1.17.* is not one exact version"]),
        ("\nscipy==1.17.1", "\nscipy==1.17.1\nscipy==1.17.1", ["is not one exact version of one package"]),
    ],
)
def test_what_is_wrong_with_a_pin_is_named(audit: Audit, old: str, new: str, words: list[str]) -> None:
    found = audit(old=old, new=new)
    assert all(any(part in line for line in found) for part in words), found


def test_a_new_requirement_needs_a_pin_that_it_allows(audit: Audit) -> None:
    """Of an extra too, installed or not."""
    assert audit(old='ray = ["ray"]', new='ray = ["ray", "modin"]', file="pyproject.toml") == [
        "pyproject.toml: modin is not pinned in constraints.txt"
    ]
    assert audit(old='"open_clip_torch>=3"', new='"open_clip_torch>=4"', file="pyproject.toml") == [
        "pyproject.toml: open_clip_torch>=4 does not allow its pin 3.3.0"
    ]


def test_an_advisory_finds_what_only_another_package_brings(audit: Audit) -> None:
    found = audit(old="h11>=0.16.0  ", new="h11>=99  ", file="infra/advisories.txt")
    assert found == ["h11 0.16.0 is known to be bad (CVE-2025-43859): take >=99"]


def test_what_is_no_requirement_is_said(audit: Audit) -> None:
    with pytest.raises(ValueError, match=r"constraints.txt: 'numpy ~ 2' is no requirement"):
        audit(old="numpy==2.4.6", new="numpy ~ 2")


def test_every_advisory_names_its_record_and_a_package_of_ours() -> None:
    pinned = {requirement.name.lower() for requirement, _ in lines_of(ROOT / "constraints.txt")}
    for good, reason in lines_of(ADVISORIES):
        assert good.name in pinned, f"{good.name} is not used"
        assert good.specifier and re.search(r"\b(CVE|GHSA|PYSEC)-[\w-]+", reason)
