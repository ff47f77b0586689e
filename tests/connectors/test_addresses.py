"""Addresses: however they are written, one person has one, and what is none has none."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.addresses import directory_path, guest_of, normalise_address, normalise_domain

PATH = "/o=exchangelabs/ou=exchange administrative group (fydibohf23spdlt)/cn=recipients/cn=aa11-bob"


@pytest.mark.parametrize(
    "written",
    [
        "bob@own.example",
        "BOB@Own.Example.",
        "'bob@own.example'",
        "\u2018bob@own.example\u2019",
        "\u201cbob@own.example\u201d",
        '"bob@own.example"',
        "'\"bob@own.example\"'",
        "<bob@own.example>",
        "<<bob@own.example>>",
        "'<bob@own.example>'",
        "Bob <bob@own.example>",
        '"Bob, the builder" <bob@own.example>',
        "'Bob <bob@own.example>'",
        "Bob <'bob@own.example'>;",
        '"bob@own.example" <bob@own.example>',
        "bob@own.example (Bob)",
        "(bob@own.example)",
        "[bob@own.example]",
        "\u202abob@own.example\u202c",
        "\u200bbob@own.example\ufeff",
        "bob\u200d@own\u00ad.example",
        "\u2068<bob@own.example>\u2069",
        "\u200e'\u202abob@own.example\u202c'\u200f",
        "\u00a0bob@own.example\u3000",
        "SIP:bob@own.example",
        "sips:bob@own.example;transport=tls",
        "sip:bob@own.example;opaque=user:epid:xyz",
        "SMTP:bob@own.example",
        "smtp: bob@own.example",
        "mailto:bob@own.example?cc=ann@own.example",
        "mailto:bob%40own.example",
        "MAILTO:<bob@own.example>",
        "im:bob@own.example",
        "EUM:bob@own.example;phone-context=plan.own.example",
        "bob@own.example;",
        "bob@own.example,",
        "bob@own.example; ",
        '"bob"@own.example',
        "'bob'@own.example",
        '"Bob"@OWN.example',
        "bob+news@own.example",
        "\uff42ob@own\uff0eexample",
        "bob@own\u3002example",
        "IMCEASMTP-bob+40own+2Eexample@eurprd01.prod.outlook.example",
        "IMCEAINVALID-Bob+40own+2Eexample@own.example",
        "bob_own.example#EXT#@other.onmicrosoft.example",
        "smtp:bob_own.example#ext#@other.onmicrosoft.example",
    ],
)
def test_every_spelling_of_an_address_is_that_address(written: str) -> None:
    assert normalise_address(written) == "bob@own.example"


@pytest.mark.parametrize(
    "one, other",
    [
        ("o'brien@own.example", "O'Brien@own.example;"),
        ('"bob smith"@own.example', ' "Bob Smith"@own.example '),
        ("ann@b\u00fccher.example", "ANN@XN--BCHER-KVA.example"),
        ("ann@b\u00fccher.example", "ann@bu\u0308cher.example"),
        ("ann@stra\u00dfe.example", "ann@xn--strae-oqa.example"),
        ("ann@STRA\u1e9eE.example", "ann@xn--strae-oqa.example"),
        ("ann@\u043f\u0440\u0438\u043c\u0435\u0440.example", "ann@xn--e1afmkfd.example"),
        ("\u00fcnal@own.example", "U\u0308NAL@own.example"),
        ("ann@[192.0.2.1]", "<ann@[192.0.2.1]>"),
        ("imceaex-nothing@own.example", "IMCEAEX-nothing@own.example"),
    ],
)
def test_two_spellings_are_one(one: str, other: str) -> None:
    assert normalise_address(one) == normalise_address(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("o'brien@own.example", "obrien@own.example"),
        ("b.ob@own.example", "bob@own.example"),
        ("ann@stra\u00dfe.example", "ann@strasse.example"),
        ("bob@own.example", "bob@own.example.org"),
        ("bob_x@own.example", "bob@x.own.example"),
    ],
)
def test_what_differs_stays_apart(one: str, other: str) -> None:
    assert None is not normalise_address(one) != normalise_address(other)


NO_ADDRESSES = [
    *("", "  ", "'", "''", "<>", "bob", "@own.example", "bob@", "a@b@c", "bob@own.example;cat@own.example", "sip:", "mailto:"),
    *("\u202a", "im:" * 700, PATH, f"x500:{PATH}", "IMCEAEX-_O=X_CN=BOB@x.example", "/o=x/cn=bob@own.example"),
    *("+49 30 1234", "tel:+4930", '"', '""@own.example'),
]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_none(text: str) -> None:
    assert normalise_address(text) is None


@pytest.mark.parametrize(
    "written",
    [
        PATH,
        PATH.upper(),
        f"x500:{PATH}",
        f"X500: {PATH.upper()}",
        f"EX:{PATH}",
        f"'{PATH}'",
        f"<{PATH}>",
        f"\u202a{PATH}\u202c",
        PATH.replace(" ", "  "),
        "IMCEAEX-_O=EXCHANGELABS_OU=EXCHANGE+20ADMINISTRATIVE+20GROUP+20+28FYDIBOHF23SPDLT+29_CN=RECIPIENTS_CN=AA11-BOB@eurprd01.example",
        "imceaex-_o=ExchangeLabs_ou=Exchange+20Administrative+20Group+20+28FYDIBOHF23SPDLT+29_cn=Recipients_cn=aa11-bob@x.example",
    ],
)
def test_every_spelling_of_a_directory_path_is_that_path(written: str) -> None:
    assert directory_path(written) == PATH
    assert normalise_address(written) is None


@pytest.mark.parametrize("text", ["", "bob@own.example", "x500:", "/", "o=x", "/x=y", "IMCEASMTP-bob+40own+2Eexample@x.example"])
def test_what_is_no_path_is_none(text: str) -> None:
    assert directory_path(text) is None


def test_a_guests_name_without_a_domain_is_nobodys() -> None:
    assert guest_of("pat_partner.example") == "pat@partner.example"
    assert guest_of("p_at_partner.example") == "p_at@partner.example"
    assert guest_of("pat") is None
    assert guest_of("_partner.example") is None


# -- fuzzed ---------------------------------------------------------------------------------------------------------------

WRAPPERS = st.sampled_from(
    [
        "'{}'",
        '"{}"',
        "<{}>",
        "({})",
        "[{}]",
        " {} ",
        "\u202a{}\u202c",
        "\u200b{}",
        "{}\ufeff",
        "{};",
        "{},",
        "smtp:{}",
        "SMTP:{}",
        "mailto:{}",
        "sip:{}",
        "X <{}>",
        "\u2018{}\u2019",
        "\u201e{}\u201c",
        "\u00a0{}",
        "{} (X)",
    ]
)
LOCALS = st.from_regex(r"[a-z][a-z0-9._-]{0,8}[a-z0-9]", fullmatch=True).filter(lambda text: ".." not in text)
DOMAINS = st.sampled_from(["own.example", "b\u00fccher.example", "a-b.own.example", "xn--bcher-kva.example"])


@given(LOCALS, DOMAINS, st.lists(WRAPPERS, max_size=5), st.booleans())
def test_what_is_put_around_an_address_does_not_matter(local: str, domain: str, wrappers: list[str], is_loud: bool) -> None:
    plain = written = f"{local}@{domain}"
    if is_loud:
        written = written.upper()
    for wrapper in wrappers:
        written = wrapper.format(written)
    assert normalise_address(written) == normalise_address(plain) is not None


@given(st.text(alphabet=st.sampled_from("aB1@.+'\"<>()[];:_-=/#\\ \u202a\u200b\u00df\u0130\u00fc\u3002\u212a"), max_size=30))
@example("sip:sip:a@b.c")
@example("imceaex-imceaex-a+40b@c@d")
@example("a#ext#@b")
@example("a_b.c#EXT#@d")
def test_an_address_settles_at_once_and_has_one_sign(text: str) -> None:
    once = normalise_address(text)
    assert once is None or (normalise_address(once) == once and once == once.strip() and once.rpartition("@")[2])
    path = directory_path(text)
    assert path is None or directory_path(path) == path
    assert path is None or once is None


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    once = normalise_address(text)
    assert once is None or normalise_address(once) == once
    domain = normalise_domain(text)
    assert normalise_domain(domain) == domain
    path = directory_path(text)
    assert path is None or directory_path(path) == path
