"""Pseudonyms: stable, keyed, one a person, and never showing their key."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.pseudonyms import Pseudonymiser, normalise_address, normalise_domain

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    "written, normal",
    [
        ("Ann@Example.ORG", "ann@example.org"),
        (" <ann@example.org> ", "ann@example.org"),
        ("mailto:ann@example.org", "ann@example.org"),
        ("SMTP:ann@example.org", "ann@example.org"),
        ("ann+lists@example.org", "ann@example.org"),
        ("ann@example.org.", "ann@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("\uff41nn@example.org", "ann@example.org"),
    ],
)
def test_spellings_of_one_address_have_one_normal_form(written: str, normal: str) -> None:
    assert normalise_address(written) == normal


@pytest.mark.parametrize("text", ["", "ann", "ann@", "@example.org", "ann example.org", "two@signs@at@ once"])
def test_what_is_no_address_has_none(text: str) -> None:
    assert normalise_address(text) is None


def test_dots_in_the_local_part_are_kept() -> None:
    assert normalise_address("a.nn@example.org") != normalise_address("ann@example.org")


@given(st.text())
def test_normalising_never_fails_and_is_settled_at_once(text: str) -> None:
    once = normalise_address(text)
    assert once is None or normalise_address(once) == once


@given(st.text())
def test_normalising_a_domain_never_fails(text: str) -> None:
    assert isinstance(normalise_domain(text), str)


def test_person_ids_are_128_bits_and_depend_on_the_key() -> None:
    one, other = Pseudonymiser(SECRET), Pseudonymiser(SECRET[::-1])
    assert len(one.person_id("ann@example.org") or "") == 32
    assert one.person_id("ann@example.org") == Pseudonymiser(SECRET).person_id("ANN@example.org")
    assert one.person_id("ann@example.org") != other.person_id("ann@example.org")
    assert one.person_id("no address") is None


def test_equal_ids_of_different_purposes_differ() -> None:
    names = Pseudonymiser(SECRET)
    assert names.key("slack:account", "T1:U1") != names.key("slack:space", "T1:U1")
    assert names.key("slack:account", "T1:U1") == names.key("slack:account", "T1:U1", remember=False)


def test_person_key_is_the_signed_leading_half() -> None:
    names = Pseudonymiser(SECRET)
    assert names.person_key("0000000000000001" + "f" * 16) == 1
    assert names.person_key("ffffffffffffffff" + "0" * 16) == -1
    assert names.person_key("8000000000000000" + "0" * 16) == -(2**63)


def test_domains_of_addresses_and_bare_domains_agree() -> None:
    names = Pseudonymiser(SECRET)
    assert names.domain_key("ann@Example.org") == names.domain_key("example.org")
    assert names.domain_key("") is None


def test_the_key_is_never_shown() -> None:
    names = Pseudonymiser(SECRET)
    assert SECRET.hex() not in repr(names)
    with pytest.raises(TypeError):
        pickle.dumps(names)
    assert names.fingerprint() == Pseudonymiser(SECRET).fingerprint()
    assert SECRET.hex()[:8] not in names.fingerprint()


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonymiser(b"short")
