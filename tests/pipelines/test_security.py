"""What the threat note promises, looked for in the code: no shell, no pickle, no eval, TLS verified, loopback only, pinned dependencies."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import duckdb
import pytest
from packaging.requirements import Requirement

from connectors.microsoft365.settings import Microsoft365Settings
from connectors.slack.settings import SlackSettings
from pipelines import cli
from pipelines.cli import app, run

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for room in ("connectors", "metrics", "pipelines") for path in sorted((ROOT / room).rglob("*.py"))]
FORBIDDEN_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "telnetlib", "ftplib"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "ssl._create_unverified_context",
    "yaml.load",
    "tempfile.mktemp",
}


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{name_of(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def findings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"imports {name}" for name in names if name.partition(".")[0] in FORBIDDEN_MODULES)
        if isinstance(node, ast.Attribute) and node.attr in {"CERT_NONE", "_create_unverified_context"}:
            yield node.attr
        if isinstance(node, ast.Call):
            if name_of(node.func) in FORBIDDEN_CALLS:
                yield f"calls {name_of(node.func)}"
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in {
                    ("shell", True), ("verify", False), ("verify_ssl", False), ("check_hostname", False),
                }:  # fmt: skip
                    yield f"{keyword.arg}={keyword.value.value}"


def test_no_shell_no_pickle_no_eval_and_tls_is_verified() -> None:
    assert len(SOURCES) > 80
    assert {str(path.relative_to(ROOT)): found for path in SOURCES if (found := list(findings(path.read_text(encoding="utf-8"))))} == {}


@pytest.mark.parametrize(
    "source", ["import pickle", "eval('1')", "subprocess.run('ls', shell=True)", "get(verify=False)", "ssl.CERT_NONE", "os.system('ls')"]
)
def test_each_of_them_would_be_found(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize("url", ["http://slack.com/api/", "http://10.0.0.1/api/", "ftp://127.0.0.1/", "http://127.0.0.1.evil.example/"])
def test_only_https_except_on_loopback(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        SlackSettings(token="xoxb-1", base_url=url)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="https"):
        Microsoft365Settings(tenant_id="t", client_id="c", client_secret="s", base_url=url)  # type: ignore[arg-type]


def test_a_secret_in_a_wrong_setting_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    cli._global.update(home=None, quiet=True)
    run(lambda: app(["init"], standalone_mode=True))
    monkeypatch.setenv("PERDURE_SLACK__TOKEN", "xoxb-secret-secret")
    monkeypatch.setenv("PERDURE_SLACK__BASE_URL", "http://elsewhere.example/xoxb-secret-secret")
    assert run(lambda: app(["check"], standalone_mode=True)) == 2
    told = capsys.readouterr()
    assert "secret-secret" not in told.out + told.err


def test_what_is_installed_is_what_perdure_asks_for() -> None:
    """Offline: every requirement is met, so that a pin that guards against a known fault cannot be lost unnoticed."""
    wrong = []
    for line in requires("perdure") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is not installed")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} {found}: {wanted.specifier} is asked for")
    assert wrong == []


def test_every_dependency_is_pinned_for_a_reproducible_installation() -> None:
    pinned = {
        re.sub(r"[-_.]+", "-", line.partition("==")[0].strip()).lower()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    }
    wanted = {re.sub(r"[-_.]+", "-", Requirement(line).name).lower() for line in requires("perdure") or [] if "extra ==" not in line}
    assert wanted <= pinned


def test_duckdb_still_cannot_write_encrypted_files_offline(tmp_path: Path) -> None:
    """The day this fails, encryption of both files can be offered; README and doctor say today that it cannot."""
    with duckdb.connect() as connection, pytest.raises(duckdb.Error, match="httpfs"):
        connection.execute(f"attach '{tmp_path / 'sealed.duckdb'}' as sealed (encryption_key 'a key')")


def test_what_is_installed_fits_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 or "No module named pip" in done.stderr, done.stdout


def test_known_vulnerabilities_are_looked_up_where_that_can_be_done() -> None:
    if os.environ.get("PERDURE_AUDIT") != "1":
        pytest.skip("the look-up needs a network and pip-audit: set PERDURE_AUDIT=1 where both are (CI)")
    if shutil.which("pip-audit", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("pip-audit is not installed here: pip install pip-audit")
    command = [
        str(Path(sys.executable).parent / "pip-audit"),
        "--requirement",
        str(ROOT / "constraints.txt"),
        "--no-deps",
        "--progress-spinner=off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout
