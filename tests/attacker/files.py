"""The files of one export, as somebody who was sent the folder reads them.

Nothing is known beforehand of any table: which columns say whom a row is about (the shortest run of leading columns that
tells the rows apart), which are figures, how finely each figure is told (from its values) and which rows are withheld.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

TOTALS = frozenset({"any", "all", "total", "overall", "everyone"})
"""Words that stand for all of a dimension together."""

_FLOOR = re.compile(
    r"(?:counts?|figures?|anything|numbers?)[^.;]{0,40}?(?:under|below|less than|fewer than|smaller than) (five|\d+)"
    r"(?! people)[^.;]{0,60}?withheld"
)
_NUMBERS = {"five": 5}
_MARKS = re.compile(r"withheld|suppressed|masked|hidden")
Value = str | float | None
Row = tuple[Value, ...]


@dataclass(frozen=True)
class Field:
    """A column as the package describes it.

    Attributes:
        name: Its name.
        kind: string, boolean, integer, number, date or datetime.
        unit: Its unit.
        text: What it says.
        links: Where a property of the field names other columns of the table -> which.
    """

    name: str
    kind: str
    unit: str = ""
    text: str = ""
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Sheet:
    """A table of an export.

    Attributes:
        name: Its file's name without ending.
        fields: Column -> what the package says of it.
        dimensions: The columns that tell rows apart, in order.
        mark: The column that says what is withheld, if there is one.
        rows: Dimensions' values -> column -> value.
        steps: Figure -> how finely it is told.
        digits: Figure -> to how many significant digits it is told, where that is coarser than its step.
        floor: The least count that is told, where the package says so; a zero is then a zero.
    """

    name: str
    fields: dict[str, Field]
    dimensions: tuple[str, ...]
    mark: str | None
    rows: dict[Row, dict[str, Value]]
    steps: dict[str, float] = field(default_factory=dict)
    digits: dict[str, int] = field(default_factory=dict)
    floor: float = 0.0

    @property
    def figures(self) -> list[str]:
        """The columns of numbers that are no dimension."""
        return [name for name, found in self.fields.items() if found.kind in ("integer", "number") and name not in self.dimensions]

    @property
    def words(self) -> list[str]:
        """The columns of words and flags that are no dimension."""
        kinds = ("string", "boolean")
        return [name for name, found in self.fields.items() if found.kind in kinds and name not in self.dimensions and name != self.mark]

    @property
    def counts(self) -> list[str]:
        """The figures that count something."""
        return [name for name in self.figures if self.fields[name].kind == "integer"]

    def is_marked(self, row: Mapping[str, Value]) -> bool:
        """Whether a row says that something of it is withheld."""
        return self.mark is not None and row[self.mark] not in (None, "")

    def is_hidden(self, row: Mapping[str, Value], column: str) -> bool:
        """Whether a figure is missing because it is withheld, not because there is none."""
        return row[column] is None and self.is_marked(row)

    def interval(self, value: float, column: str) -> tuple[float, float]:
        """Where the true value lies, of which `value` is told."""
        step = self.steps.get(column, 0.0)
        if value and column in self.digits:
            step = max(step, 10.0 ** (math.floor(math.log10(abs(value))) - self.digits[column] + 1))
        if self.fields[column].kind == "integer" and step >= 1:
            half = math.floor(step / 2)
            if self.floor and step > 1:
                return (max(self.floor, value - half), value + half) if value else (0.0, 0.0)
            return max(0.0, value - half) if value >= 0 else value - half, value + half
        low, high = value - step / 2, value + step / 2
        return (max(0.0, low) if value >= 0 else low), high


@dataclass
class Export:
    """One export.

    Attributes:
        folder: Where it lies.
        sheets: Name -> table.
        text: What the package says about itself.
        as_of: The day in its name.
    """

    folder: Path
    sheets: dict[str, Sheet]
    text: str
    as_of: str


def read_export(folder: Path) -> Export:
    """Read `datapackage.json` and every CSV file that it names."""
    package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    sheets = {}
    for resource in package["resources"]:
        if resource.get("format") == "csv" and "schema" in resource:
            sheet = _sheet(folder / resource["path"], resource["schema"])
            sheets[sheet.name] = sheet
    text = " ".join(str(package.get(key, "")) for key in ("title", "description"))
    found = re.search(r"\d{4}-\d{2}-\d{2}", f"{package.get('name', '')} {text}")
    export = Export(folder, sheets, text, found.group() if found else "")
    floor = _FLOOR.search(text)
    for sheet in sheets.values():
        sheet.floor = float(_NUMBERS.get(floor[1], floor[1])) if floor else 0.0
    _learn_steps(export)
    return export


def _sheet(path: Path, schema: Mapping[str, Any]) -> Sheet:
    names = [each["name"] for each in schema["fields"]]
    fields = {
        each["name"]: Field(
            each["name"], each.get("type", "string"), str(each.get("unit", "")), str(each.get("description", "")), _links(each, names)
        )
        for each in schema["fields"]
    }
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: _value(row[name], fields[name].kind) for name in fields} for row in csv.DictReader(file)]
    mark = next((name for name in reversed(fields) if _MARKS.search(name)), None)
    dimensions = _dimensions(schema, list(fields), rows)
    return Sheet(path.stem, fields, dimensions, mark, {tuple(row[name] for name in dimensions): row for row in rows})


def _links(stated: Mapping[str, Any], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return where the properties of a field, however nested, name other columns."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(place: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{place} {key}".strip(), inner)
        elif isinstance(value, list):
            walk(place, " ".join(map(str, value)))
        elif isinstance(value, str):
            listed = tuple(word for word in re.findall(r"\w+", value) if word in names and word != stated["name"])
            if listed:
                # a word before the columns, such as `lag` in "lag tie_count 1", says what they are to it
                words = " ".join(word for word in re.findall(r"[a-z]+", value) if word not in names)
                found[f"{place} {words}".strip()] = listed

    walk("", {key: value for key, value in stated.items() if key not in ("name", "title", "description")})
    return found


def _value(text: str, kind: str) -> Value:
    if text == "":
        return None
    if kind in ("integer", "number"):
        try:
            return float(text)
        except ValueError:
            # a mark in the figure's place, such as <5
            return None
    return text


def _dimensions(schema: Mapping[str, Any], names: Sequence[str], rows: Sequence[Mapping[str, Value]]) -> tuple[str, ...]:
    """Return the stated key, or the shortest run of leading columns that tells rows apart."""
    stated = schema.get("primaryKey")
    if stated:
        return (stated,) if isinstance(stated, str) else tuple(stated)
    for length in range(1, len(names) + 1):
        if len({tuple(row[name] for name in names[:length]) for row in rows}) == len(rows) and (rows or length == 1):
            return tuple(names[:length])
    return tuple(names)


def _learn_steps(export: Export) -> None:
    """Guess from the values how finely each figure is told: a common divisor of counts, decimals and digits of other numbers.

    Counts are rounded alike wherever they are rounded at all, so a column too short to show it takes the step of the others.
    """
    divisors: dict[tuple[str, str], tuple[int, int]] = {}
    for sheet in export.sheets.values():
        for column in sheet.figures:
            values = [float(row[column]) for row in sheet.rows.values() if row[column] is not None]  # type: ignore[arg-type]
            if not values:
                continue
            if sheet.fields[column].kind == "integer":
                divisor = reduce(math.gcd, (int(abs(value)) for value in values))
                divisors[sheet.name, column] = divisor, len({value for value in values if value})
            else:
                _learn_decimals(sheet, column, values)
    usual = _usual_step(export.text, divisors)
    for (name, column), (divisor, distinct) in divisors.items():
        coarse = divisor and divisor % usual == 0 if usual > 1 else False
        step = usual if coarse or not divisor else 1
        if distinct >= 4 and divisor > usual and divisor % usual == 0:
            step = divisor
        export.sheets[name].steps[column] = float(step)


def _usual_step(text: str, divisors: Mapping[tuple[str, str], tuple[int, int]]) -> int:
    """The step that most columns with several values share; the one that the package states where they agree on none."""
    seen: dict[int, int] = {}
    for divisor, distinct in divisors.values():
        if distinct >= 4:
            seen[divisor] = seen.get(divisor, 0) + 1
    stated = re.search(r"(?:rounded|multiples?)[^.]{0,30}?(\d+)", text)
    if seen and max(seen, key=lambda each: seen[each]) > 1:
        return max(seen, key=lambda each: seen[each])
    return int(stated.group(1)) if stated else 1


def _learn_decimals(sheet: Sheet, column: str, values: Sequence[float]) -> None:
    texts = [f"{abs(value):.6f}".rstrip("0").rstrip(".") for value in values]
    decimals = max(len(text.partition(".")[2]) for text in texts)
    step = 10.0**-decimals
    # 0.05, 0.1, 0.15 ... or 5, 10, 25: coarser than their decimals say
    divisor = reduce(math.gcd, (round(abs(value) / step) for value in values))
    if divisor > 1 and len(set(values)) >= 6:
        step *= max(each for each in (1, 2, 5, 10, 20, 25, 50, 100) if divisor % each == 0)
    sheet.steps[column] = step
    significant = [len(text.replace(".", "").lstrip("0").rstrip("0") or "0") for text in texts]
    if len(set(values)) >= 12 and max(significant) <= 3 and max(map(abs, values)) >= 10 * step * 10 ** max(significant):
        sheet.digits[column] = max(significant)
