"""The people whom one cell of a file names.

A cell may hold one person or, as mail headers, spreadsheets and data frames write them, several: separated by semicolons, bars,
commas or line ends, as JSON or as Python prints a list, each perhaps with a name (`Lee, Ann <ann@own.example>`). A person is
an e-mail address or any other id.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Final

from connectors.addresses import directory_path, normalise_address

BAD_ADDRESS: Final = "bad_address"
UNCLEAR: Final = "unclear_recipients"

# quotes, angle brackets and comments keep what separates outside of them
_PIECE: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|<[^<>]*>|\([^()]*\)|[^;|,\n\r\t"<(]|["<(])+')
_SURE: Final = re.compile(r"[;|\n\r\t]")
_NAMED: Final = re.compile(r"<\s*([^<>]*@[^<>]*?)\s*>")
_FIELDS: Final = ("email", "emailaddress", "address", "mail", "user", "id")


class CellError(ValueError):
    """A cell names people in no way that is certain; the code says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def people_in(cell: str, *, is_list: bool) -> tuple[str, ...]:
    """Return the people of a cell, each in the form under which they are known: an address's normal form, or the id.

    Args:
        cell: The cell's text.
        is_list: Whether the column is one of lists. Where there is no address, a comma separates only in such a column: in another
            it may be part of a name.

    Raises:
        CellError: If what holds an `@` is no address, or it cannot be told where one id ends and the next begins.
    """
    text = cell.strip().strip("\ufeff")
    if not text:
        return ()
    if text[0] in "[{":
        return tuple(dict.fromkeys(person for inner in _structured(text) for person in people_in(inner, is_list=False)))
    if (path := directory_path(text)) is not None and ";" not in text:
        return (path,)
    pieces = _pieces(text, is_list=is_list)
    return tuple(dict.fromkeys(identifier(piece) for piece in pieces))


def identifier(text: str) -> str:
    """Return the form under which one person is known.

    Raises:
        CellError: If it holds an `@` and is no address.
    """
    if "@" not in text:
        return directory_path(text) or text.strip()
    normal = normalise_address(text)
    if normal is None or _SURE.search(normal) or "," in normal:
        if (path := directory_path(text)) is not None:
            return path
        raise CellError(BAD_ADDRESS)
    return normal


def _structured(text: str) -> list[str]:
    """Return the texts of a list that JSON, or Python, has written."""
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise CellError(UNCLEAR) from None
    return _texts(value)


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool | float):
        raise CellError(UNCLEAR)
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, list | tuple | set):
        return [text for inner in value for text in _texts(inner)]
    if isinstance(value, dict):
        fields = {str(name).replace("_", "").casefold(): inner for name, inner in value.items()}
        for name in _FIELDS:
            if name in fields:
                return _texts(fields[name])
    raise CellError(UNCLEAR)


def _pieces(text: str, *, is_list: bool) -> list[str]:
    """Return what names one person each."""
    if "@" not in text:
        return _ids(text, is_list=is_list)
    pieces = [piece.strip() for piece in _PIECE.findall(text) if piece.strip()]
    has_names = any(_NAMED.search(piece) for piece in pieces)
    people = []
    for piece in pieces:
        if named := _NAMED.findall(piece):
            people += named
        elif "@" not in piece:
            # in a list with names, `Lee, Ann <...>`: a part of one
            if not has_names:
                people.append(piece)
        elif len(parts := piece.split()) > 1 and all("@" in part for part in parts):
            people += parts
        else:
            people.append(piece)
    return people


def _ids(text: str, *, is_list: bool) -> list[str]:
    pieces = [piece.strip() for piece in _SURE.split(text) if piece.strip()]
    if len(pieces) != 1 or "," not in text or not is_list:
        return pieces
    parts = [part.strip() for part in text.split(",") if part.strip()]
    # `e17,e42` is a list; `Lee, Ann` may be a person
    if any(" " in part for part in parts) or (", " in text and not all(any(c.isdigit() for c in part) for part in parts)):
        raise CellError(UNCLEAR)
    return parts
