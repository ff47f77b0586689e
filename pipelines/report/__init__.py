"""Leadership's report."""

from __future__ import annotations

from pipelines.exports.release import Release


def render_release(allowed: Release, *, language: str) -> str:
    """Return the page."""
    return f"<!doctype html><html lang={language}><title>perdure</title><p>{allowed.as_of}"
