"""docs/operations.md: what an on-call person reads there is what the programs say."""

import ast
import re

import pytest

from tests.skeleton import REPOSITORY

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()
ALARMS = PAGE.split("## Alarms")[1].split("\n\n")[1].splitlines()[2:]
SOURCES = [*(REPOSITORY / "pipelines").rglob("*.py"), *(REPOSITORY / "multigen_core").rglob("*.py")]
SOURCES.append(REPOSITORY / "infra" / "audit.py")


def said() -> str:
    """All strings of the sources, cut at placeholders."""
    parts = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(node.value)
    return "\n".join(parts)


SAID = said()


@pytest.mark.parametrize("row", ALARMS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_an_alarm_is_what_the_programs_say_and_has_an_answer(row: str) -> None:
    _, seen, meaning, answer, _ = row.split("|")
    assert len(meaning.split()) >= 3 and answer.strip()
    for message in re.findall(r"\*([^*`]+(?:`[^`]+`[^*`]*)*)\*", seen.replace("**", "")):
        # Values stand where the source has a placeholder, so not the whole of it has to be there.
        words = message.replace("...", " ").split()
        runs = [" ".join(words[first : first + 3]) for first in range(len(words) - 2)]
        assert any(run in SAID for run in runs), message
