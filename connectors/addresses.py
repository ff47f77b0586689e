"""The normal form of an address, of a domain and of a directory path, however people and programs write them.

One address has many spellings: in capitals, in quotes, with marks of direction that nobody sees, with a prefix, encapsulated by
Exchange. Each spelling that is not recognised would be another person, of another organisation, who never answers.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

LONGEST_ADDRESS: Final = 2_000
"""Longer texts are no addresses: encapsulated directory paths are the longest."""

_PLAIN: Final = re.compile(r"(?!imcea)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_ADDRESS: Final = re.compile(r'([^@\s"<>]+|"[^"]+")@([^@\s"<>()]+)')
_NAMED: Final = re.compile(r"<([^<>]*)>[^<]*$")
_COMMENT: Final = re.compile(r"\([^()@]*\)$")
_PREFIX: Final = re.compile(r"(mailto|smtp|sips?|im|xmpp|acct|eum):\s*(?://)?", re.IGNORECASE)
_PARAMETERS: Final = re.compile(r";[A-Za-z.-]+=.*$", re.DOTALL)
_ENCAPSULATED: Final = re.compile(r"imcea[a-z0-9]{2,16}-(.+?)(?:@[^@]*)?", re.IGNORECASE | re.DOTALL)
_PATH: Final = re.compile(r"/(?:o|ou|dc|cn)=.", re.IGNORECASE)
_PATH_PREFIX: Final = re.compile(r"(?:x500|ex):\s*", re.IGNORECASE)
_QUOTED_LOCAL: Final = re.compile(r"""(["'])[^"']+\1@""")
_QUOTES: Final = "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb\u2032\u2033<>"
_CLOSING: Final = _QUOTES + ";,"
_BRACKETS: Final = ("()", "[]", "{}")
# characters without a glyph that Unicode does not call format characters
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u180b\u180c\u180d\u180f")
# letters of their own in domains since 2010, which case folding would turn into others
_KEPT_IN_DOMAINS: Final = "\u00df\u03c2"


def normalise_address(address: str) -> str | None:
    """Return the normal form of an e-mail address, or None if it is not one.

    Unicode is composed (NFKC) and case is folded; marks that nobody sees (zero-width, of direction, soft hyphens) go, and so
    do white space, quotes, brackets, a name or comment beside it, a closing semicolon, a `+tag`, and prefixes such as `mailto:`,
    `smtp:` and `sip:` with their parameters. Quotes around a local part that needs none are taken away, what Exchange
    encapsulated (`IMCEASMTP-`) is unpacked, a guest's principal name (`ann_host.org#EXT#@tenant`) becomes the address that it
    stands for, and the domain is IDNA-encoded and loses its trailing dot. A directory path is no address: see `directory_path`.

    Dots in the local part are kept: only one provider ignores them. It misleads where two people share one address.
    """
    if _PLAIN.fullmatch(address) and "xn--" not in address:
        # nine addresses of ten
        return address
    if len(address) > LONGEST_ADDRESS:
        return None
    text: str | None = address
    while text is not None and (step := _step(text)) != text:
        # quotes in brackets in quotes: until nothing changes any more
        text = step
    return text


def normalise_domain(domain: str) -> str:
    """Return a domain in lower-case IDNA form (as of 2008) without a trailing dot, and without marks that nobody sees."""
    text = unicodedata.normalize("NFKC", _visible(domain)).replace("\u3002", ".").replace("\u1e9e", "\u00df").strip()
    text = "".join(c if c in _KEPT_IN_DOMAINS else c.casefold() for c in text)
    text = unicodedata.normalize("NFKC", text).removeprefix("@").rstrip(". ")
    if text.isascii():
        return text
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}" for label in text.split(".")).lower()


def directory_path(address: str) -> str | None:
    """Return the normal form of an X.500 directory path (`/o=.../cn=...`), or None if it is none.

    Exchange names people by such paths in old and migrated mail, plainly, with a prefix (`EX:`, `X500:`) or encapsulated in an
    address (`IMCEAEX-_O=...@...`). Case does not count in them, nor how many blanks there are.
    """
    if len(address) > LONGEST_ADDRESS:
        return None
    text = _bare(_visible(address))
    if (inner := _unpacked(text)) is not None:
        text = inner
    text = " ".join(unicodedata.normalize("NFKC", text[_end(_PATH_PREFIX.match(text)) :]).casefold().split())
    return text if _PATH.match(text) else None


def _step(address: str) -> str | None:
    """Return a text with a layer less around the address in it; None if none can be taken away and it is no address."""
    text = unicodedata.normalize("NFKC", _bare(_visible(address)))
    if named := _NAMED.search(text):
        text = named[1]
    text = _bare(_COMMENT.sub("", _bare(text)))
    if prefix := _PREFIX.match(text):
        rest = text[prefix.end() :].partition("?")[0]
        return unquote(rest) if prefix[1].casefold() == "mailto" else _PARAMETERS.sub("", rest)
    if (inner := _unpacked(text)) is not None:
        return inner
    found = _ADDRESS.fullmatch(text)
    if found is None or _PATH.match(text):
        return text if text != address else None
    local, domain = _local(found[1]), normalise_domain(found[2])
    name, is_guest, _ = local.partition("#ext#")
    if is_guest and (guest := guest_of(name)) is not None:
        return guest
    local = local.split("+", 1)[0] or local
    return f"{local}@{domain}" if local and domain else None


def _local(text: str) -> str:
    """Return a local part in lower case, without the quotes that it does not need."""
    text = unicodedata.normalize("NFKC", text.casefold())
    if text[0] == text[-1] == "'":
        return text.strip("'")
    if text[0] != '"':
        return text
    inside = text[1:-1].replace("\\", "").strip()
    return text if not inside or set(inside) & set(' @"<>(),;:[]') else inside


def guest_of(name: str) -> str | None:
    """Return the address that the first part of a guest's principal name encodes (`ann_host.org` of `ann_host.org#EXT#@tenant`)."""
    local, _, domain = name.rpartition("_")
    return normalise_address(f"{local}@{domain}") if local and "." in domain else None


def _visible(text: str) -> str:
    """Return a text without the characters that nobody sees."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c for c in text if c.isspace() or not (c in _FILLERS or "\ufe00" <= c <= "\ufe0f" or unicodedata.category(c) in {"Cf", "Cc"})
    )


def _bare(text: str) -> str:
    """Return a text without the quotes, brackets and closing marks around it."""
    while True:
        before = text
        text = text.strip()
        # a quoted local part keeps its quotes until it is known for one
        text = text.rstrip(_CLOSING) if _QUOTED_LOCAL.match(text) else text.strip(_CLOSING)
        if (named := text.rfind("<")) > 0 and ">" not in text[named:]:
            # the closing bracket of `Name <address>` went with the marks
            text = text[named + 1 :]
        for opening, closing in _BRACKETS:
            if _is_wrapped(text, opening, closing):
                text = text[1:-1]
        if text == before:
            return text


def _is_wrapped(text: str, opening: str, closing: str) -> bool:
    """Return whether the bracket that a text begins with is closed by its last character."""
    if not (text.startswith(opening) and text.endswith(closing)):
        return False
    depth = 0
    for place, character in enumerate(text):
        depth += (character == opening) - (character == closing)
        if depth == 0:
            return place == len(text) - 1
    return False


def _unpacked(text: str) -> str | None:
    """Return what Exchange encapsulated in an address (`IMCEAEX-`, `IMCEASMTP-`, `IMCEAINVALID-`, ...), or None."""
    found = _ENCAPSULATED.fullmatch(text)
    if found is None:
        return None
    # an underline is a slash, and +28 is the character of that number
    return re.sub(r"\+([0-9a-fA-F]{2})", lambda code: chr(int(code[1], 16)), found[1].replace("_", "/"))


def _end(found: re.Match[str] | None) -> int:
    return 0 if found is None else found.end()
