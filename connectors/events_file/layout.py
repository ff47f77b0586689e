"""How a file is laid out: which encoding and separator, where its header is, what its columns are called."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from connectors.errors import UserError

ROWS_A_PIECE: Final = 500_000
SEPARATORS: Final[Mapping[str, str]] = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_HEAD_BYTES: Final = 1 << 18
_HEAD_LINES: Final = 12
_BLOCK: Final = 1 << 20


def plain(name: str) -> str:
    """Return a column's name without what differs between programs: case, blanks, underlines, marks."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


@dataclass(slots=True)
class Layout:
    """A file that can be read in pieces.

    Attributes:
        path: The file.
        columns: Plain name -> place of the column, or in Parquet its name.
        names: The header as it is written.
        before: The lines before the header, as cells: some reports say there what the whole file is about.
        encoding: The encoding of a CSV file; empty for Parquet.
        is_sure: Whether the encoding is known. If not, only what is ASCII can be read.
        separator: What separates a CSV file's cells.
        header_line: In which line the header stands.
        crooked: How many rows have more or fewer cells than the header, and are left out.
        twice: Columns that are there more than once: which is meant nobody can tell.
    """

    path: Path
    columns: dict[str, int]
    names: list[str]
    before: list[list[str]] = field(default_factory=list)
    encoding: str = ""
    is_sure: bool = True
    separator: str = ","
    header_line: int = 1
    crooked: int = 0
    twice: frozenset[str] = frozenset()

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet."""
        return not self.encoding

    def pieces(self, wanted: Iterable[str]) -> Iterator[tuple[int, pa.Table]]:
        """Yield the wanted columns, under their plain names, in bounded pieces with the line that each begins in.

        CSV's columns are all text, so that one bad value does not spoil a file; other columns are never looked at.

        Raises:
            UserError: If the file cannot be read, or not in this encoding.
        """
        chosen = {name: self.columns[name] for name in wanted}
        if doubtful := self.twice & chosen.keys():
            raise UserError(f"{self.path.name}: has the column {min(doubtful)} twice; keep one of them")
        line = self.header_line + 1
        self.crooked = 0
        try:
            for piece in self._parquet(chosen) if self.is_parquet else self._csv(chosen):
                if not self.is_sure:
                    self._refuse_unsure(piece, line)
                yield line, piece
                line += piece.num_rows
        except (pa.ArrowException, OSError, UnicodeError) as error:
            # an Arrow message may quote a line of the file
            kind = "Parquet" if self.is_parquet else "CSV"
            raise UserError(f"{self.path.name}: cannot be read as {kind} ({type(error).__name__})") from None

    def _parquet(self, chosen: Mapping[str, int]) -> Iterator[pa.Table]:
        with pq.ParquetFile(self.path) as parquet:
            for piece in parquet.iter_batches(ROWS_A_PIECE, columns=[self.names[place] for place in chosen.values()]):
                table = pa.Table.from_batches([piece])
                yield pa.table({name: table.column(self.names[place]) for name, place in chosen.items()})

    def _csv(self, chosen: Mapping[str, int]) -> Iterator[pa.Table]:
        places = [str(place) for place in range(len(self.names))]
        read = pcsv.ReadOptions(column_names=places, skip_rows=self.header_line, encoding=self.encoding.replace("utf-8-sig", "utf8"))
        parse = pcsv.ParseOptions(delimiter=self.separator, newlines_in_values=True, invalid_row_handler=self._leave_out)
        convert = pcsv.ConvertOptions(
            column_types=dict.fromkeys(places, pa.string()),
            include_columns=[str(place) for place in chosen.values()],
            strings_can_be_null=True,
        )
        with pa.input_stream(str(self.path)) as stream:
            try:
                reader = pcsv.open_csv(stream, read_options=read, parse_options=parse, convert_options=convert)
            except pa.ArrowInvalid as error:
                if "Could not skip initial" in str(error) or "Empty CSV" in str(error):
                    return
                raise
            with reader:
                for batch in reader:
                    if batch.num_rows:
                        yield pa.Table.from_batches([batch]).rename_columns(list(chosen))

    def _leave_out(self, _: pcsv.InvalidRow) -> str:
        self.crooked += 1
        return "skip"

    def _refuse_unsure(self, piece: pa.Table, line: int) -> None:
        for name in piece.column_names:
            strange = pc.fill_null(pc.invert(pc.string_is_ascii(piece[name])), fill_value=False)
            if (place := pc.index(strange, True).as_py()) >= 0:
                raise UserError(
                    f"{self.path.name}: is not UTF-8, and column {self.names[self.columns[name]].strip()}, line {line + place}, "
                    "holds a letter that each encoding reads otherwise; save it as `CSV UTF-8`, "
                    "or say which encoding it has, such as --encoding cp1252 (Windows in western Europe)"
                )


def opened(path: Path, is_header: Mapping[str, Iterable[frozenset[str]]], *, encoding: str | None = None) -> Layout:
    """Find out how a file is laid out.

    Args:
        path: Parquet (`.parquet`) or CSV, also compressed (`.csv.gz`).
        is_header: The shapes that are looked for, each a set of plain names: the first line that holds one is the header.
        encoding: The encoding, where somebody has said it.

    Raises:
        UserError: If there is no such file, or it is neither CSV nor Parquet.
    """
    if not path.is_file():
        raise UserError(f"{path.name}: no such file")
    if encoding is not None:
        try:
            encoding = codecs.lookup(encoding).name
        except LookupError:
            raise UserError("--encoding: no such encoding; use a name such as utf-8, utf-16, cp1252 or iso-8859-1") from None
    try:
        if path.name.endswith(".parquet"):
            with pq.ParquetFile(path) as parquet:
                names = list(parquet.schema_arrow.names)
            columns, twice = _columns(names)
            return Layout(path, columns, names, header_line=0, twice=twice)
        return _opened_csv(path, [shape for shapes in is_header.values() for shape in shapes], encoding)
    except (pa.ArrowException, OSError, UnicodeError, csv.Error) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        raise UserError(f"{path.name}: cannot be read as {kind} ({type(error).__name__})") from None


def _opened_csv(path: Path, shapes: list[frozenset[str]], given: str | None) -> Layout:
    with pa.input_stream(str(path)) as stream:
        head: bytes = stream.read(_HEAD_BYTES)
    if head[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1"):
        raise UserError(f"{path.name}: is a workbook, an archive or Parquet; save it as `CSV UTF-8`, or name it .parquet")
    encoding = given or _encoding(path, head)
    text = codecs.getincrementaldecoder(encoding or "latin-1")("replace").decode(head).lstrip("\ufeff")
    lines = text.splitlines()[:_HEAD_LINES]
    place, separator, names = _header(lines, shapes)
    before = [next(csv.reader([line], delimiter=separator), []) for line in lines[:place]]
    columns, twice = _columns(names)
    return Layout(path, columns, names, before, encoding or "latin-1", encoding is not None, separator, place + 1, twice=twice)


def _encoding(path: Path, head: bytes) -> str | None:
    """Return a file's encoding, or None where it is not UTF-8 and does not say what else."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    for half, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[half:4_096:2].count(0) * 2 > len(head[half:4_096:2]) > 0:
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    with pa.input_stream(str(path)) as stream:
        try:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return None
    return "utf-8"


def _header(lines: list[str], shapes: list[frozenset[str]]) -> tuple[int, str, list[str]]:
    """Return the place, separator and names of the header: the first line of a known shape, else the first that is not empty."""
    said = next((line[4:5] for line in lines[:1] if line.casefold().startswith("sep=") and len(line) >= 5), None)
    separators = [said] if said else list(SEPARATORS)
    for place, line in enumerate(lines):
        for separator in separators:
            names = next(csv.reader(io.StringIO(line), delimiter=separator), [])
            found = {plain(name) for name in names}
            if any(shape <= found for shape in shapes):
                return place, separator, names
    place = next((place for place, line in enumerate(lines) if line.strip() and not line.casefold().startswith(("sep=", "#type"))), 0)
    first = lines[place] if lines else ""
    separator = said or max(SEPARATORS, key=first.count)
    return place, separator, next(csv.reader(io.StringIO(first), delimiter=separator), [])


def _columns(names: list[str]) -> tuple[dict[str, int], frozenset[str]]:
    """Return plain names with their places, and the names that are there more than once."""
    keys = [plain(name) for name in names]
    return {key: place for place, key in enumerate(keys) if key}, frozenset(key for key in keys if key and keys.count(key) > 1)
