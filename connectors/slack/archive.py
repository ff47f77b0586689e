"""An export's files, from a folder or a ZIP that is read in place: nothing is ever unpacked to disk."""

from __future__ import annotations

import codecs
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
        yield sorted(_of_folder(path), key=lambda entry: entry.path.parts)
        return
    if not path.is_file():
        raise UserError(f"Slack export: there is no file or folder {path}; give the path of the ZIP or of the unpacked folder")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"Slack export: {path} is not a readable ZIP ({type(error).__name__}); download it again, or give the folder"
        ) from None
    with archive:
        yield sorted(_of_zip(archive, path), key=lambda entry: entry.path.parts)


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
    infos = [info for info in archive.infolist() if not info.is_dir()]
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
        raw = info.orig_filename
        if (
            name.is_absolute()
            or ".." in name.parts
            or "\\" in raw
            or "\x00" in raw
            or ":" in name.parts[0][:2]
            or stat.S_ISLNK(info.external_attr >> 16)
        ):
            raise UserError("Slack export: the ZIP holds a path that leads out of it; it did not come from Slack like this and is refused")
        yield Entry(name, info.file_size, _zip_opener(archive, info))


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _name(info: zipfile.ZipInfo) -> str:
    """Return the entry's name; tools that write UTF-8 without saying so are read as UTF-8."""
    if not info.flag_bits & _UTF8_NAME:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename


def elements(entry: Entry) -> Iterator[object]:
    """Give the elements of a JSON array, in bounded memory.

    Raises:
        BrokenFileError: After the last good element, where the file goes wrong: unreadable_file, broken_json, not_a_list or
            oversized_record.
    """
    try:
        with entry.open() as stream:
            if entry.size <= WHOLE_FILE_LIMIT:
                data = stream.read()
                try:
                    values = orjson.loads(data.removeprefix(codecs.BOM_UTF8))
                except orjson.JSONDecodeError:
                    yield from _streamed(iter((data,)))
                    return
                if not isinstance(values, list):
                    raise BrokenFileError("not_a_list")
                yield from values
            else:
                yield from _streamed(iter(lambda: stream.read(_CHUNK), b""))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        raise BrokenFileError("unreadable_file") from None


def _streamed(chunks: Iterator[bytes]) -> Iterator[object]:
    """Decode a JSON array whose bytes come in chunks; a few megabytes are held at a time."""
    decoder = json.JSONDecoder()
    text = _Text(chunks)
    if text.skip_space() != "[":
        raise BrokenFileError("not_a_list" if text.peek() else "broken_json")
    text.at += 1
    if text.skip_space() == "]":
        return
    while True:
        text.skip_space()
        yield _element(decoder, text)
        mark = text.skip_space()
        if mark == "]":
            return
        if mark != ",":
            raise BrokenFileError("broken_json")
        text.at += 1


class _Text:
    """Text that grows at its end as chunks come, and forgets what lies before `at`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self.buffer = ""
        self.at = 0
        self.ended = False

    def grow(self) -> bool:
        """Read one chunk more; return whether there was one."""
        chunk = next(self._chunks, b"")
        self.ended = not chunk
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
