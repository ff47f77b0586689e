"""Spoiling what a service answers: any value at any depth, replaced by something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st


def spoiler(data: st.DataObject, junk: st.SearchStrategy[Any], times: int) -> Callable[[Any], Any]:
    """Return what spoils a response here and there, `times` times in all: hypothesis draws where and with what."""
    left = times

    def spoil(body: Any) -> Any:
        nonlocal left
        if left == 0 or not data.draw(st.booleans()):
            return body
        left -= 1
        place = body
        while True:
            key = data.draw(st.sampled_from(sorted(place))) if isinstance(place, dict) else data.draw(st.integers(0, len(place) - 1))
            if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = data.draw(junk)
            return body

    return spoil
