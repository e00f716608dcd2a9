"""Whether the environment is the one that was pinned, and no pin is known to be bad: `make check`, without a network.

It knows the advisories of ``infra/advisories.txt`` alone; `make audit` asks for newer ones.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


OF_CUDA = ("nvidia-", "cuda-", "triton")
"""Begin the names of what torch brings beside a GPU; its build names their versions."""


def lines_of(path: Path) -> Iterator[tuple[Requirement, str]]:
    """The lines of a requirements file with their comments. Raises ValueError for what is no requirement."""
    for line in path.read_text().splitlines():
        text, _, comment = line.partition("#")
        if text.strip():
            try:
                yield Requirement(text.strip()), comment.strip()
            except InvalidRequirement as error:
                raise ValueError(f"{path.name}: {text.strip()!r} is no requirement") from error


def wanted_by(project: Path) -> list[Requirement]:
    """What a pyproject.toml asks for: its dependencies and those of all its extras."""
    table = tomllib.loads(project.read_text())["project"]
    lines = [*table["dependencies"], *(line for extra in table["optional-dependencies"].values() for line in extra)]
    return [Requirement(line) for line in lines]


def exact(requirement: Requirement) -> Version | None:
    """The one version that a requirement allows; None when it allows more."""
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or specifiers[0].version.endswith(".*"):
        return None
    return Version(specifiers[0].version)


def installed_for(wanted: Iterable[Requirement]) -> dict[str, Version]:
    """Name -> version of every installed distribution that these need, directly or not."""
    versions: dict[str, Version] = {}
    waiting = [(requirement, "") for requirement in wanted]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:  # of an extra that is not installed
            continue
        versions[name] = Version(found.version)
        for wished in {"", *requirement.extras} - {known for owner, known in seen if owner == name}:
            seen.add((name, wished))
            waiting += [(Requirement(line), wished) for line in found.requires or ()]
    return versions


def findings(project: Path, constraints: Path, advisories: Path) -> Iterator[str]:
    """One sentence for everything that is not pinned, not as pinned, or known to be bad."""
    pins: dict[str, Version] = {}
    for requirement, _ in lines_of(constraints):
        version, name = exact(requirement), canonicalize_name(requirement.name)
        if version is None or requirement.marker or requirement.url or name in pins:
            yield f"{constraints.name}: {requirement} is not one exact version of one package"
        else:
            pins[name] = version
    wanted = wanted_by(project)
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        if name not in pins:
            yield f"{project.name}: {name} is not pinned in {constraints.name}"
        elif not requirement.specifier.contains(pins[name], prereleases=True):
            yield f"{project.name}: {requirement} does not allow its pin {pins[name]}"
    present = installed_for(wanted)
    for name, version in sorted(present.items()):
        if name not in pins and not name.startswith(OF_CUDA):
            yield f"{name} {version} is installed, but nothing pins it: write it into {constraints.name}"
        elif name in pins and Version(version.public) != pins[name]:
            yield f"{name} {version} is installed, but {pins[name]} is pinned: run `make setup`"
    for good, reason in lines_of(advisories):
        name = canonicalize_name(good.name)
        for version in {versions[name] for versions in (pins, present) if name in versions}:
            if not good.specifier.contains(version, prereleases=True):
                yield f"{name} {version} is known to be bad ({reason}): take {good.specifier}"


def main(arguments: list[str] | None = None) -> int:
    """Prints the findings; returns 1 when there are any."""
    parser = argparse.ArgumentParser(prog="infra/audit.py", description=__doc__)
    parser.add_argument("--project", type=Path, default=ROOT / "pyproject.toml")
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--advisories", type=Path, default=ROOT / "infra" / "advisories.txt")
    options = parser.parse_args(arguments)
    found = list(findings(options.project, options.constraints, options.advisories))
    print("\n".join(found) or "every package is as pinned, and none is known to be bad")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
