"""Who may import whom, read from the source itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "multigen_core"
PIPELINES = CORE.parent / "pipelines"

LAYERS = (
    "acoustics",
    "dataset",
    "simulation",
    "clips",
    "masks",
    "audio_model",
    "dub",
    "policy",
    "lab",
    "evaluation",
    "study",
)
"""Each package may import itself and those before it."""
NOUNS = {
    "errors",
    "command",
    "records",
    "containers",
    "experiment",
    "params",
    "storage",
    "progress",
    "compute",
    "machine",
    "media",
    "palette",
    "quantities",
    "sheet",
    "trainer",
    "spectrogram",
}
"""Modules at the very bottom: everybody may import them, and they import only one another."""
BEHIND_THE_WALL = ("simulation", "dub", "policy")
"""What a policy learns from: it must not know the physics of sound, nor the lab."""
HEAVY = {"torch", "lightning", "mujoco", "mlflow", "warp", "matplotlib", "pandas", "av", "scipy"}


def imports_of(path: Path, *, at_load_only: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; ``at_load_only``: without those inside functions and type-checking blocks."""
    tree = ast.parse(path.read_text())
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if at_load_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        waiting.extend(ast.iter_child_nodes(node))


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def core_parts(path: Path) -> set[str]:
    """The packages and modules of multigen_core that a file imports at run time."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("multigen_core.")}


def test_the_files_are_found() -> None:
    assert {path.name for path in CORE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(LAYERS)
    assert all((CORE / f"{noun}.py").is_file() for noun in NOUNS)


@pytest.mark.parametrize("tool", ["dagster", "mlflow", "dvc", "pipelines"])
def test_the_core_knows_nothing_of_orchestration(tool: str) -> None:
    users = [path for path in sources(CORE) for name in imports_of(path) if name.split(".")[0] == tool]
    assert users == []


@pytest.mark.parametrize("package", BEHIND_THE_WALL)
def test_the_honesty_wall(package: str) -> None:
    """A policy hears in training only what the audio model made."""
    over = {path: core_parts(path) & {"acoustics", "lab"} for path in sources(CORE / package)}
    assert not any(over.values()), over


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_one_way(package: str) -> None:
    allowed = NOUNS | set(LAYERS[: LAYERS.index(package) + 1])
    if package in ("evaluation", "study"):
        # The report's lineage reads the journal, the study reads shards: the stage table says where they are.
        allowed |= {"stages"}
    upward = {path.relative_to(CORE).as_posix(): core_parts(path) - allowed for path in sources(CORE / package)}
    assert not any(upward.values()), {path: parts for path, parts in upward.items() if parts}


@pytest.mark.parametrize("noun", sorted(NOUNS))
def test_nouns_stand_at_the_bottom(noun: str) -> None:
    assert core_parts(CORE / f"{noun}.py") <= NOUNS


@pytest.mark.parametrize(
    "noun", ["__main__", "command", "stages", "experiment", "params", "errors", "progress", "storage"]
)
def test_the_command_line_answers_before_anything_heavy_loads(noun: str) -> None:
    loaded = {name.split(".")[0] for name in imports_of(CORE / f"{noun}.py", at_load_only=True)}
    assert loaded.isdisjoint(HEAVY)


def test_orchestration_imports_heavy_things_only_inside_functions() -> None:
    """Every Dagster run is a new process; models that MLflow loads are served alone."""
    found = {}
    for path in sources(PIPELINES):
        if "serving" not in path.parts:
            names = set(imports_of(path, at_load_only=True))
            packages = {name.split(".")[0] for name in names} & HEAVY
            found[path.name] = packages | {name for name in names if _core_package(name) in LAYERS}
    assert not any(found.values()), {name: heavy for name, heavy in found.items() if heavy}


def _core_package(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "multigen_core" and len(parts) > 1 else ""


@pytest.mark.parametrize("path", [*sources(CORE), *sources(PIPELINES)], ids=lambda path: path.name)
def test_all_is_true(path: Path) -> None:
    """What ``__all__`` lists, the module defines or imports."""
    tree = ast.parse(path.read_text())
    listed: list[str] = []
    defined = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            defined |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)}
            if names == {"__all__"} and node.value is not None:
                listed = ast.literal_eval(node.value)
            defined |= names
    assert set(listed) <= defined
    assert listed or path.name.startswith("__") or "serving" in path.parts
