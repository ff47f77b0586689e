"""Make a home: folder, key, and a settings file in which every setting is explained."""

from __future__ import annotations

import os

from pipelines.home import Home
from pipelines.keys import VARIABLE, create_key_file
from pipelines.settings import setting_rows

_HEAD = """\
# Settings of perdure. Every setting is here with its default and its meaning; remove the `#` to change one.
# Environment variables win over this file: PERDURE_MEASURE__TIME_ZONE sets measure.time_zone.
"""


def initialise(home: Home) -> list[str]:
    """Make what is not there yet, and return what was made, a line each. Nothing that exists is touched."""
    home.create()
    made = [f"home: {home.path} (open to you alone)"]
    if VARIABLE not in os.environ and create_key_file(home.key_file):
        made.append("key: written to the home (0600). Who holds it and the data can re-identify people: keep a copy apart from the data")
    if not home.settings_file.exists():
        home.settings_file.touch(mode=0o600)
        home.settings_file.write_text(settings_template(), encoding="utf-8")
        made.append(f"settings: {home.settings_file.name}, every setting explained")
    return made


def settings_template() -> str:
    """Return a settings file with every setting as a comment."""
    lines = [_HEAD]
    section = None
    for name, default, description in sorted(setting_rows(), key=lambda row: row[0].count(".") > 0):
        place, _, key = name.rpartition(".")
        if place != section:
            section = place
            header = f"[[{place[:-2]}]]" if place.endswith("[]") else f"[{place}]"
            lines += ["", f"# {header}" if place.endswith("[]") else header] if place else []
        lines += [f"# {description}", f"# {key} = {_toml(default)}"]
    return "\n".join(lines) + "\n"


def _toml(default: str) -> str:
    if default in ("none", "required"):
        return '"..."'
    if default in ("true", "false") or default.replace(".", "", 1).isdigit():
        return default
    return f'"{default}"'
