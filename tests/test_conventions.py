"""The house rules, kept by tests rather than by memory."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("connectors", "metrics", "pipelines")
FORBIDDEN_IMPORTS = {"connectors": {"pipelines", "metrics", "prefect", "duckdb"}, "metrics": {"pipelines", "connectors", "prefect"}}


def modules(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("room", FORBIDDEN_IMPORTS)
def test_no_arrow_runs_back(room: str) -> None:
    for path in modules(room):
        assert not imported(path) & FORBIDDEN_IMPORTS[room] or path.name == "graph.py", path


def test_only_the_warehouse_opens_duckdb_for_writing() -> None:
    for path in modules(*ROOMS):
        text = path.read_text(encoding="utf-8")
        for call in re.findall(r"duckdb\.connect\((?:[^()]|\([^()]*\))*\)", text):
            assert path.name == "warehouse.py" or "read_only=True" in call or call == "duckdb.connect()", f"{path}: {call}"


def test_nothing_is_printed_evaluated_pickled_or_shelled() -> None:
    for path in modules(*ROOMS):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not imported(path) & {"pickle", "shelve", "marshal"}, path
        calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert not calls & {"eval", "exec"}, path
        assert "shell=True" not in path.read_text(encoding="utf-8"), path


def test_files_stay_of_a_size_that_can_be_read() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in modules(*ROOMS)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 480
    }
    assert not long, f"ask what these are really made of: {long}"


def test_no_committed_file_names_a_registry_a_machine_path_or_a_secret() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    patterns = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|/root/|/work/|xox[bp]-\d{6,}|BEGIN (RSA |EC )?PRIVATE KEY")
    for name in listed:
        path = ROOT / name
        if (
            path.suffix in {".py", ".toml", ".md", ".txt", ".yaml", ".sql", ".html", ".json", ""}
            and path.is_file()
            and path != Path(__file__)
        ):
            found = patterns.search(path.read_text(encoding="utf-8", errors="ignore"))
            assert not found, f"{name}: {found.group()}"


def test_constraints_pin_every_dependency() -> None:
    pinned = {
        line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [name for group in project["optional-dependencies"].values() for name in group]
    for requirement in wanted:
        name = re.split(r"[<>=!\[; ]", requirement, maxsplit=1)[0].lower()
        assert name in pinned, name


def test_every_test_folder_mirrors_a_folder_of_the_tree() -> None:
    beside = {"attacker", "cases", "oracles", "benchmarks", "faults", "browser", "notebooks", "planted"}
    for folder in (path for path in (ROOT / "tests").rglob("*") if path.is_dir() and path.name != "__pycache__"):
        place = folder.relative_to(ROOT / "tests")
        assert place.parts[0] in beside or (ROOT / place).is_dir(), place


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--quiet", ".")


def test_the_code_is_formatted() -> None:
    run("ruff", "format", "--check", "--quiet", ".")


def test_mypy_finds_nothing() -> None:
    run("mypy", "--no-error-summary")
