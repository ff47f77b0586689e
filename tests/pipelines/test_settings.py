"""Settings: file, then environment, then flags; a wrong one stops the run, names itself and never shows a value."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser
from pipelines.dictionary import settings_table
from pipelines.initialise import settings_template
from pipelines.settings import load_declarations, load_settings, setting_rows

NAMES = Pseudonymiser(bytes(range(32)))


def write(folder: Path, text: str) -> Path:
    path = folder / "perdure.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_environment_wins_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "[measure]\ntime_zone = 'Europe/Paris'\nbulk_cap = 30\n")
    monkeypatch.setenv("PERDURE_MEASURE__BULK_CAP", "40")
    measure = load_settings(file).measure
    assert (measure.time_zone, measure.bulk_cap) == ("Europe/Paris", 40)


def test_without_a_file_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "perdure.toml").privacy.minimum_group_size == 5


@pytest.mark.parametrize(
    "text, said",
    [
        ("[measur]\n", "measur: unknown setting"),
        ("[measure]\nhalf_life_day = 3\n", "did you mean measure.half_life_days"),
        ("[measure]\nhalf_life_days = -3\n", "measure.half_life_days"),
        ("[measure]\ntime_zone = 'Mars/Olympus'\n", "measure.time_zone: no such time zone"),
        ("[privacy]\nminimum_group_size = 2\n", "privacy.minimum_group_size"),
        ("[[organisations]]\nkey = 'acme'\nname = 'Acme'\nkind = 'friend'\n", "organisations.0.kind"),
        ("[measure\n", "no valid TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_settings(write(tmp_path, text))


def test_a_wrong_value_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_settings(write(tmp_path, "[measure]\nbulk_cap = 'xoxb-secret'\n"))
    assert "secret" not in str(error.value)


def test_an_unknown_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_MESURE__BULK_CAP", "40")
    with pytest.raises(UserError, match="did you mean PERDURE_MEASURE"):
        load_settings(tmp_path / "perdure.toml")


def test_the_template_is_valid_and_explains_every_setting() -> None:
    text = settings_template()
    assert tomllib.loads(text) == {}
    plain = "\n".join(
        line.removeprefix("# ") for line in text.splitlines() if line.startswith(("# [", "# ")) and ("=" in line or "[" in line[:4])
    )
    for name, _, description in setting_rows():
        assert name.rpartition(".")[2] in plain
        assert description.endswith((".", ")")), name
        assert f"`{name}`" in settings_table()


def test_domains_become_keyed_hashes(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "[organisation]\ndomains = ['us.example']\n[[organisations]]\nkey = 'acme'\nname = 'Acme'\nkind = 'client'\n"
        "domains = ['ACME.example']\n",
    )
    declared = load_declarations(load_settings(file), tmp_path, NAMES)
    assert list(declared.domains) == [(NAMES.domain_key("us.example"), "own"), (NAMES.domain_key("acme.example"), "acme")]
    assert "acme.example" not in str(declared).lower()


def test_a_domain_belongs_to_one_organisation(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "[organisation]\ndomains = ['a.example']\n[[organisations]]\nkey = 'b'\nname = 'B'\nkind = 'client'\ndomains = ['a.example']\n",
    )
    with pytest.raises(UserError, match="given twice"):
        load_declarations(load_settings(file), tmp_path, NAMES)


CHARTER = """
[[relationships]]
key = "sales_support"
name = "Sales and Support"
between = ["Sales", "Support"]
minimum_ties = 4

[[relationships]]
key = "acme"
name = "Sales and Acme"
between = ["Sales", "organisation:{organisation}"]
"""


def test_the_charter_declares_relationships(tmp_path: Path) -> None:
    file = write(tmp_path, "charter = 'charter.toml'\n[[organisations]]\nkey = 'acme'\nname = 'Acme'\nkind = 'client'\n")
    (tmp_path / "charter.toml").write_text(CHARTER.format(organisation="acme"), encoding="utf-8")
    first, second = load_declarations(load_settings(file), tmp_path, NAMES).relationships
    assert first == ("sales_support", "Sales and Support", "Sales", "team", "Support", "team", 4, 30)
    assert second[4:6] == ("acme", "organisation")
    (tmp_path / "charter.toml").write_text(CHARTER.format(organisation="acmee"), encoding="utf-8")
    with pytest.raises(UserError, match="names an organisation that settings do not"):
        load_declarations(load_settings(file), tmp_path, NAMES)


def test_a_charter_that_is_not_there_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not in the home"):
        load_declarations(load_settings(write(tmp_path, "charter = 'charter.toml'\n")), tmp_path, NAMES)


def test_a_secret_that_names_a_block_is_loaded_from_it_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def load(name: str, setting: str) -> str:
        asked.append((name, setting))
        return f"the-secret-of-{name}"

    monkeypatch.setattr("pipelines.secret_blocks.load_secret", load)
    (tmp_path / "perdure.toml").write_text('[slack]\ntoken = "block:slack-token"\n', encoding="utf-8")
    monkeypatch.setenv("PERDURE_MICROSOFT365__TENANT_ID", "t")
    monkeypatch.setenv("PERDURE_MICROSOFT365__CLIENT_ID", "c")
    monkeypatch.setenv("PERDURE_MICROSOFT365__CLIENT_SECRET", "block:graph-secret")
    settings = load_settings(tmp_path / "perdure.toml")
    assert asked == [("slack-token", "slack.token"), ("graph-secret", "microsoft365.client_secret")]
    assert settings.slack is not None
    assert settings.slack.token.get_secret_value() == "the-secret-of-slack-token"
    assert "the-secret" not in repr(settings)
    assert "the-secret" not in settings.model_dump_json()


def test_a_block_that_is_not_there_is_one_line_that_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ValueError(f"no block {name} with hunter2")

    monkeypatch.setattr("prefect.blocks.system.Secret.load", refuse)
    (tmp_path / "perdure.toml").write_text('[slack]\ntoken = "block:slack-token"\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"slack.token: the Secret block cannot be loaded \(ValueError\); create it") as caught:
        load_settings(tmp_path / "perdure.toml")
    assert "hunter2" not in str(caught.value)
