"""`datapackage.json`: what the files of an export are, in the Frictionless Data Package format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from metrics.disclosure import WITHHELD
from pipelines.exports.release import Release, ReleasedTable

_TYPES: Final = {"text": "string", "texts": "string", "count": "integer", "date": "date", "timestamp": "datetime", "flag": "boolean"}
_MEDIA: Final = {
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".html": "text/html",
    ".pdf": "application/pdf",
}
WITHHELD_MEANING: Final = (
    "Empty, or why figures of the row are not told. small_group: the whole row, as it is about fewer people than the smallest group, or "
    "about none. part: some of its figures, as they are about few (none to seven), or would give others away that are."
)


def write_datapackage(allowed: Release, folder: Path, files: Sequence[Path]) -> Path:
    """Describe the files of an export in `datapackage.json` in its folder."""
    package: dict[str, Any] = {
        "profile": "data-package",
        "name": f"perdure-{allowed.as_of or 'empty'}",
        "title": f"perdure: communication media and lasting relationships, as of {allowed.as_of or 'no day'}",
        "description": (
            "Organisation-level figures after disclosure control: groups of fewer than "
            f"{allowed.policy.minimum_group_size} people are withheld, with what would give them away; counts are rounded to "
            f"{allowed.policy.rounding_base} or more coarsely, volumes to preferred numbers (ISO 3, R10), shares to steps that "
            "hide small parts. No table is about a person."
        ),
        "version": allowed.version,
        "created": allowed.built_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resources": [_resource(allowed, folder, path) for path in files],
    }
    target = folder / "datapackage.json"
    target.write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def _resource(allowed: Release, folder: Path, path: Path) -> dict[str, Any]:
    kind = path.suffix.removeprefix(".")
    resource: dict[str, Any] = {
        "name": path.name.lower().replace("_", "-").replace(".", "-"),
        # only CSV files are read as tables by Frictionless tools; the others are files with a size and a hash
        "type": "table" if kind == "csv" else "file",
        "path": path.relative_to(folder).as_posix(),
        "format": kind,
        "mediatype": _MEDIA[path.suffix],
        "bytes": path.stat().st_size,
        "hash": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
    }
    spec = allowed.specs.get(path.stem)
    if spec is not None:
        resource |= {"title": spec.question or spec.description, "description": spec.description}
    if spec is not None and kind == "csv":
        resource |= {"profile": "tabular-data-resource", "encoding": "utf-8", "schema": _schema(spec)}
    return resource


def _schema(spec: ReleasedTable) -> dict[str, Any]:
    fields = [
        {
            "name": column.name,
            "type": _TYPES.get(column.unit, "number"),
            "title": column.name.replace("_", " "),
            "description": column.description,
            "unit": column.unit,
            "role": column.role or "dimension",
        }
        for column in spec.columns
    ]
    fields.append({"name": WITHHELD, "type": "string", "title": "withheld", "description": WITHHELD_MEANING, "unit": "text"})
    return {"fields": fields, "missingValues": [""]}
