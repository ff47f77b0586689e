"""Make a home: folder, key, and a settings file in which every setting is explained."""

from __future__ import annotations

import os
from typing import Any

from pipelines.home import Home
from pipelines.keys import VARIABLE, create_key_file
from pipelines.settings import setting_rows

_HEAD = """\
# Settings of perdure. Every setting is here with its default and its meaning; to change one, remove the `#`
# before it and before its [section].
# Environment variables win over this file: PERDURE_MEASURE__TIME_ZONE sets measure.time_zone.
"""


def initialise(home: Home) -> list[str]:
    """Make what is not there yet, and return what was made, a line each. Nothing that exists is touched."""
    home.create()
    made = [f"home: {home.path} (open to you alone)"]
    # beside data a new key would be a wrong one
    if VARIABLE not in os.environ and not home.warehouse.exists() and create_key_file(home.key_file):
        made.append("key: written to the home (0600). Who holds it and the data can re-identify people: keep a copy apart from the data")
    if not home.settings_file.exists():
        home.settings_file.touch(mode=0o600)
        home.settings_file.write_text(settings_template(), encoding="utf-8")
        made.append(f"settings: {home.settings_file.name}, every setting explained")
    return made


def settings_template() -> str:
    """Return a settings file with every setting as a comment."""
    lines = [_HEAD]
    section = ""
    for name, default, description in sorted(setting_rows(), key=lambda row: "." in row[0]):
        place, _, key = name.rpartition(".")
        if place != section:
            section = place
            lines += ["", f"# [[{place[:-2]}]]" if place.endswith("[]") else f"# [{place}]"]
        lines += [f"# {description}", f"# {key} = {_toml(default)}"]
    return "\n".join(lines) + "\n"


def _toml(default: Any) -> str:
    if default is ... or default is None:
        return '"..."'
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple | frozenset):
        return "[" + ", ".join(_toml(part) for part in sorted(default)) + "]"
    if isinstance(default, dict):
        return "{}"
    return str(default) if isinstance(default, int | float) else f'"{default}"'
