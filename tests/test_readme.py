"""What README shows works: every query runs on a published file, and the two commands are those that CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from organisations import published_organisation

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture(scope="module")
def published() -> Path:
    return published_organisation()


def test_there_are_ten_queries() -> None:
    assert len(QUERIES) == 10


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_runs(published: Path, query: str) -> None:
    with duckdb.connect(str(published), read_only=True) as connection:
        assert connection.sql(query).columns


@pytest.mark.parametrize("client", ["Python", "networkx"])
def test_the_connection_examples_in_python_work(published: Path, client: str) -> None:
    (code,) = re.findall(rf"^- \*\*{client}\*\*: `(.+)`$", TEXT, flags=re.MULTILINE)
    *imports, expression = code.replace("perdure-home/analytics.duckdb", str(published)).split("; ")
    names: dict[str, object] = {"duckdb": duckdb}
    exec("\n".join(imports), names)  # noqa: S102 - our own README
    assert len(eval(expression, names))  # noqa: S307 - our own README


def test_ci_runs_the_readmes_test_command_word_for_word() -> None:
    (command,) = re.findall(r"^    (python3 .*pytest.*)$", TEXT, flags=re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


PROMISES = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


def test_every_promise_names_a_test_that_exists() -> None:
    assert len(PROMISES) > 20
    missing = [
        f"{file}::{name}"
        for file, name in PROMISES
        if not (ROOT / file).exists() or not re.search(rf"def {name}\(", (ROOT / file).read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_every_answer_to_the_works_council_has_its_test() -> None:
    section = TEXT.partition("### Questions a works council asks")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 12
    assert [row for row in rows if "::test_" not in row] == []
