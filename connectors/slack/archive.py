"""An export's files, from a folder or a ZIP that is read in place: nothing is ever unpacked to disk.

Tools write lists in other ways than Slack does, and all of these are read: an array; the answer of the API, `{"ok": true, "members":
[...]}`; JSON lines; several of them one after the other; with a byte order mark, or in UTF-16.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import orjson

from connectors.errors import UserError

WHOLE_FILE_LIMIT: Final = 8_000_000
"""Files up to this size are decoded at once; larger ones element by element."""
_CHUNK: Final = 1 << 20
_ELEMENT_LIMIT: Final = 64 << 20
_MAX_ENTRIES: Final = 5_000_000
_MAX_RATIO: Final = 250  # chat exports shrink ten- to sixtyfold; a bomb a thousandfold
_SMALL_ENTRY: Final = 10_000_000
_SMALL_ARCHIVE: Final = 1 << 30
_UTF8_NAME: Final = 0x800
_WRAPPERS: Final = ("members", "users", "channels", "groups", "ims", "mpims", "conversations", "messages")
"""Under which of these names an answer of the API holds its list."""


class BrokenFileError(Exception):
    """A file of the export cannot be read on; `reason` is a code. What was read of it before is good."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the export: its path inside, in POSIX form, its size and how to open it."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def entries(path: Path) -> Iterator[list[Entry]]:
    """Give the files of a folder or ZIP, sorted by path.

    Raises:
        UserError: If there is no such file, it is neither a folder nor a ZIP, it is encrypted, a path in it leads out of it,
            or it would unpack to far more than a chat export can (a zip bomb).
    """
    if path.is_dir():
        with ExitStack() as opened:
            found = []
            for entry in _of_folder(path):
                if len(entry.path.parts) == 1 and entry.path.suffix.lower() == ".zip":
                    # one of several exports that lie beside each other
                    archive = opened.enter_context(_archive(path / entry.path))
                    found += [replace(part, path=entry.path / part.path) for part in _of_zip(archive, path / entry.path)]
                else:
                    found.append(entry)
            yield sorted(found, key=lambda entry: entry.path.parts)
        return
    if not path.is_file():
        raise UserError(f"Slack export: there is no file or folder {path}; give the path of the ZIP or of the unpacked folder")
    with _archive(path) as archive:
        yield sorted(_of_zip(archive, path), key=lambda entry: entry.path.parts)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"Slack export: {path} is not a readable ZIP ({type(error).__name__}); download it again, or give the folder"
        ) from None


def _of_folder(root: Path) -> Iterator[Entry]:
    inside = root.resolve()
    for folder, subfolders, files in os.walk(root):
        for name in [*subfolders, *files]:
            found = Path(folder, name)
            if found.is_symlink() and not found.resolve().is_relative_to(inside):
                raise UserError("Slack export: the folder holds a link that leads out of it; remove the link, or give the ZIP itself")
        for name in files:
            found = Path(folder, name)
            if found.is_file():
                yield Entry(PurePosixPath(found.relative_to(root).as_posix()), found.stat().st_size, _opener(found))


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _of_zip(archive: zipfile.ZipFile, path: Path) -> Iterator[Entry]:
    infos = [info for info in archive.infolist() if not _name(info).endswith("/")]
    total = sum(info.file_size for info in infos)
    bomb = UserError("Slack export: the ZIP would unpack to far more than a chat export can hold; it is refused as a zip bomb")
    if len(infos) > _MAX_ENTRIES or (total > _SMALL_ARCHIVE and total > _MAX_RATIO * path.stat().st_size):
        raise bomb
    for info in infos:
        if info.file_size > _SMALL_ENTRY and info.file_size > _MAX_RATIO * info.compress_size:
            raise bomb
        if info.flag_bits & 0x1:
            raise UserError("Slack export: the ZIP is encrypted; unpack it with its password and give the folder")
        name = PurePosixPath(_name(info))
        if (
            not name.parts
            or name.is_absolute()
            or ".." in name.parts
            or "\x00" in info.orig_filename
            or ":" in name.parts[0][:2]
            or stat.S_ISLNK(info.external_attr >> 16)
        ):
            raise UserError("Slack export: the ZIP holds a path that leads out of it; it did not come from Slack like this and is refused")
        yield Entry(name, info.file_size, _zip_opener(archive, info))


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _name(info: zipfile.ZipInfo) -> str:
    """Return the entry's name in POSIX form.

    Tools that write UTF-8 without saying so are read as UTF-8, and those of Windows that part folders by backslashes as meaning that:
    no name of Slack's holds one.
    """
    name = info.filename
    if not info.flag_bits & _UTF8_NAME:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def elements(entry: Entry) -> Iterator[object]:
    """Give the elements of a list, in bounded memory.

    Raises:
        BrokenFileError: After the last good element, where the file goes wrong: unreadable_file, broken_json, not_a_list or
            oversized_record.
    """
    try:
        with entry.open() as stream:
            if entry.size <= WHOLE_FILE_LIMIT:
                yield from _decoded(stream.read())
            else:
                yield from _streamed(iter(lambda: stream.read(_CHUNK), b""))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        raise BrokenFileError("unreadable_file") from None


def _decoded(data: bytes) -> Iterator[object]:
    try:
        value = orjson.loads(data.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        yield from _streamed(iter((data,)))
    else:
        yield from _unwrapped(value)


def _unwrapped(value: object) -> Iterator[object]:
    """Give the elements of a list, of an answer of the API that holds one, or a record that stands alone on its line."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict) and ("id" in value or "ts" in value):
        yield value
    elif (
        isinstance(value, dict)
        and (held := next((value[name] for name in _WRAPPERS if isinstance(value.get(name), list)), None)) is not None
    ):
        yield from held
    elif isinstance(value, dict) and value and all(isinstance(held, dict) and "id" in held for held in value.values()):
        yield from value.values()
    else:
        raise BrokenFileError("not_a_list")


def _streamed(chunks: Iterator[bytes]) -> Iterator[object]:
    """Decode lists and records whose bytes come in chunks, one after the other; a few megabytes are held at a time."""
    decoder = json.JSONDecoder()
    text = _Text(chunks)
    if not text.skip_space():
        raise BrokenFileError("broken_json")
    spoilt = False
    while mark := text.skip_space():
        if mark == "[":
            text.at += 1
            yield from _array(decoder, text)
        elif mark == "{":
            try:
                value = _element(decoder, text)
            except BrokenFileError as broken:
                # of JSON lines, one that is spoilt costs itself
                if broken.reason != "broken_json" or not text.skip_line():
                    raise
                spoilt = True
                continue
            yield from _unwrapped(value)
        else:
            raise BrokenFileError("not_a_list" if text.is_first else "broken_json")
        text.is_first = False
    if spoilt:
        raise BrokenFileError("broken_json")


def _array(decoder: json.JSONDecoder, text: _Text) -> Iterator[object]:
    """Decode the rest of an array."""
    if text.skip_space() == "]":
        text.at += 1
        return
    while True:
        text.skip_space()
        yield _element(decoder, text)
        mark = text.skip_space()
        if mark not in ("]", ","):
            raise BrokenFileError("broken_json")
        text.at += 1
        if mark == "]":
            return


class _Text:
    """Text that grows at its end as chunks come, and forgets what lies before `at`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._decoder: codecs.IncrementalDecoder | None = None
        self.buffer = ""
        self.at = 0
        self.ended = False
        self.is_first = True

    def grow(self) -> bool:
        """Read one chunk more; return whether there was one."""
        chunk = next(self._chunks, b"")
        self.ended = not chunk
        if self._decoder is None:
            encoding = "utf-16" if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
            self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self.buffer = self.buffer[self.at :] + self._decoder.decode(chunk, final=self.ended)
        self.at = 0
        return not self.ended

    def peek(self) -> str:
        """Return the character at hand, or nothing at the end."""
        while self.at >= len(self.buffer):
            if not self.grow() and self.at >= len(self.buffer):
                return ""
        return self.buffer[self.at]

    def skip_space(self) -> str:
        """Move to the next character that is no white space and return it."""
        while (mark := self.peek()) and mark in " \t\r\n":
            self.at += 1
        return mark

    def skip_line(self) -> bool:
        """Move behind the end of the line; return whether another record begins there."""
        while (end := self.buffer.find("\n", self.at)) < 0:
            self.at = len(self.buffer)
            if not self.grow():
                return False
        self.at = end + 1
        return self.skip_space() == "{"


def _element(decoder: json.JSONDecoder, text: _Text) -> Any:
    while True:
        try:
            value, end = decoder.raw_decode(text.buffer, text.at)
        except RecursionError:
            raise BrokenFileError("broken_json") from None
        except json.JSONDecodeError as error:
            unfinished = error.pos > len(text.buffer) - 64 or error.msg.startswith("Unterminated")
            if not unfinished or text.ended:
                raise BrokenFileError("broken_json") from None
        else:
            if end < len(text.buffer) or text.ended:
                text.at = end
                return value
        if len(text.buffer) - text.at > _ELEMENT_LIMIT:
            raise BrokenFileError("oversized_record")
        # twice as much each time, so that one long element is not decoded again for every chunk
        wanted = 2 * (len(text.buffer) - text.at)
        while text.grow() and len(text.buffer) < wanted:
            pass
