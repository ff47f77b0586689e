"""The same rows in every dialect give the same contacts; what is not certain is refused with column, line, value and mend."""

from __future__ import annotations

import csv as csv_module
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import events_file
from connectors.errors import UserError
from connectors.events_file import Options
from connectors.pseudonyms import Pseudonymiser

NAMES = Pseudonymiser(bytes(range(32)))
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def rows(path: Path, kind: str = "interaction", **options: Any) -> list[dict[str, Any]]:
    read = events_file.read(path, NAMES, options=Options(**options), now=NOW)
    return [row for batch in read if kind in batch.records for row in batch.records[kind].to_pylist()]


def written(folder: Path, text: str, encoding: str = "utf-8", name: str = "events.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def contacts(path: Path, **options: Any) -> list[tuple[Any, ...]]:
    found = rows(path, **options)
    return sorted((row["occurred_at"], row["sender_key"], tuple(part["account_key"] for part in row["participants"])) for row in found)


# -- the same rows, in every dialect ------------------------------------------------------------------------------------

TIMES = {
    "iso": lambda at: at.isoformat(),
    "iso without zone": lambda at: f"{at:%Y-%m-%d %H:%M:%S}",
    "iso with seven digits": lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.0000000",
    "iso of Paris": lambda at: at.astimezone(PARIS).isoformat(),
    "year first": lambda at: f"{at:%Y/%m/%d %H:%M:%S}",
    "mail": format_datetime,
    "mail, Eastern": lambda at: f"{at - timedelta(hours=5):%d %b %Y %H:%M:%S} EST",
    "console": lambda at: f"{at:%b %d, %Y, %I:%M:%S %p} UTC",
    "seconds": lambda at: f"{at.timestamp():.0f}",
    "milliseconds": lambda at: f"{at.timestamp() * 1000:.0f}",
    "microseconds": lambda at: f"{at.timestamp() * 1e6:.0f}",
}
LOCAL_TIMES = {
    "american": lambda at: f"{at.month}/{at.day}/{at.year} {at:%I:%M:%S %p}",
    "british": lambda at: f"{at:%d/%m/%Y %H:%M:%S}",
    "german": lambda at: f"{at:%d.%m.%Y %H:%M:%S}",
    "german, in words": lambda at: f"{at:%d.%m.%Y, %H:%M:%S} Uhr",
    "short year": lambda at: f"{at:%d/%m/%y %H:%M:%S}",
    "dashes": lambda at: f"{at:%d-%m-%Y %H:%M:%S}",
    "excel": lambda at: f"{(at.replace(tzinfo=None) - datetime(1899, 12, 30)) / timedelta(days=1):.10f}",  # noqa: DTZ001
    "month in letters": lambda at: f"{at:%d-%b-%Y %H:%M:%S}",
}
LISTS = {
    "semicolons": ";".join,
    "commas": ", ".join,
    "bars": "|".join,
    "lines": "\n".join,
    "json": json.dumps,
    "python": repr,
    "objects": lambda people: json.dumps([{"emailAddress": {"name": "X", "address": person}} for person in people]),
    "names": lambda people: "; ".join(f"Lee, Ann <{person}>" for person in people),
    "quoted names": lambda people: ", ".join(f'"Lee; Ann" <{person}>' for person in people),
    "capitals and prefixes": lambda people: ";".join(f"SMTP:{person.upper()}" for person in people),
    "trailing": lambda people: "".join(f"{person};" for person in people),
}
HEADERS = {
    "plain": ("at", "sender", "recipients"),
    "capitals": ("At", "SENDER", "Recipients"),
    "blanks": (" at ", '"sender"', "recipients "),
}
PERSON = st.sampled_from([f"{name}@own.example" for name in ("ann", "bob", "cat", "dan.o'neil", "eve-1")])
ROW = st.tuples(
    st.datetimes(datetime(2024, 1, 13), datetime(2026, 5, 31)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),  # noqa: DTZ001
    PERSON,
    st.lists(PERSON, min_size=1, max_size=3, unique=True),
)
# of these two, whatever else there is, each order is certain from one row
CERTAIN = (
    (datetime(2024, 3, 13, 9, tzinfo=UTC), "ann@own.example", ["bob@own.example"]),
    (datetime(2024, 4, 28, 23, 59, tzinfo=UTC), "bob@own.example", ["ann@own.example", "cat@own.example"]),
)


def dialect(listed: list[tuple[Any, ...]], *, time: Any, people: Any, separator: str = ",", header: str = "plain") -> str:
    text = io.StringIO()
    writer = csv_module.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerow(HEADERS[header])
    writer.writerows((time(at), sender, people(recipients)) for at, sender, recipients in listed)
    return text.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.lists(ROW, max_size=6),
    st.sampled_from([*TIMES, *LOCAL_TIMES]),
    st.sampled_from(list(LISTS)),
    st.sampled_from(",;\t|"),
    st.sampled_from(list(HEADERS)),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "gzip"]),
)
def test_the_same_rows_in_every_dialect_give_the_same_contacts(
    tmp_path: Path, listed: list[Any], time: str, people: str, separator: str, header: str, encoding: str
) -> None:
    listed = [*listed, *CERTAIN]
    usual = written(tmp_path, dialect(listed, time=TIMES["iso"], people=LISTS["semicolons"]), name="usual.csv")
    text = dialect(listed, time={**TIMES, **LOCAL_TIMES}[time], people=LISTS[people], separator=separator, header=header)
    if encoding == "gzip":
        other = tmp_path / "other.csv.gz"
        other.write_bytes(gzip.compress(text.encode()))
    else:
        other = written(tmp_path, text, encoding, "other.csv")
    options = {"time_zone": "UTC"} if time in LOCAL_TIMES else {}
    assert contacts(other, **options) == contacts(usual)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(ROW, max_size=6), st.sampled_from(list(LOCAL_TIMES)), st.sampled_from(["Europe/Paris", "America/New_York", "Asia/Kolkata"]))
def test_local_times_are_those_of_the_zone_that_was_said(tmp_path: Path, listed: list[Any], time: str, zone: str) -> None:
    listed = [*listed, *CERTAIN]
    usual = written(tmp_path, dialect(listed, time=TIMES["iso"], people=LISTS["semicolons"]), name="usual.csv")
    # an hour that comes twice cannot be written down for certain
    wall = [(at.astimezone(ZoneInfo(zone)), sender, people) for at, sender, people in listed]
    if any(at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset() for at, _, _ in wall):
        return
    other = written(tmp_path, dialect(wall, time=LOCAL_TIMES[time], people=LISTS["json"]), name="other.csv")
    assert contacts(other, time_zone=zone) == contacts(usual)
    assert contacts(other, home_zone=zone) == contacts(usual)


def one(folder: Path, when: str, **options: Any) -> datetime:
    (row,) = rows(written(folder, f'at,sender,recipient\n"{when}",a,b\n'), **options)
    found: datetime = row["occurred_at"]
    return found


@pytest.mark.parametrize(
    "when, day",
    [
        ("13/3/2026 9:00", 13),
        ("3/13/2026 9:00 AM", 13),
        ("3/13/26", 13),
        ("1.3.2026 9:00", 1),
        ("Sunday, March 1, 2026 9:00 AM", 1),
        ("1st March 2026", 1),
        ("46082.375", 1),
        ("46082,375", 1),
    ],
)
def test_a_row_may_tell_the_order_itself(tmp_path: Path, when: str, day: int) -> None:
    assert one(tmp_path, when, time_zone="UTC").date() == datetime(2026, 3, day, tzinfo=UTC).date()


def refused(folder: Path, *lines: str, encoding: str = "utf-8", **options: Any) -> str:
    with pytest.raises(UserError) as error:
        rows(written(folder, "\n".join(lines) + "\n", encoding), **options)
    return str(error.value)


def test_an_order_that_no_row_tells_is_refused_with_the_mend(tmp_path: Path) -> None:
    lines = ("At,sender,recipient", "2026-03-01T09:00:00Z,a,b", "3/4/2026 9:00 AM,a,b")
    said = refused(tmp_path, *lines, time_zone="UTC")
    for word in ("column At, line 3", "`3/4/2026 9:00 AM`", "--date-order day-first"):
        assert word in said
    path = written(tmp_path, "\n".join(lines))
    assert rows(path, time_zone="UTC", date_order="day-first")[-1]["occurred_at"].month == 4
    assert rows(path, time_zone="UTC", date_order="month-first")[-1]["occurred_at"].month == 3


def test_orders_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    lines = ("at,sender,recipient", "13/3/2026 9:00,a,b", "3/14/2026 9:00,a,b")
    said = refused(tmp_path, *lines, time_zone="UTC")
    assert "line 2: `13/3/2026 9:00` has the day first and line 3 the month" in said
    assert "leave --date-order out" in refused(tmp_path, *lines[:2], time_zone="UTC", date_order="month-first")


@pytest.mark.parametrize("when", ["13/3/2026 9:00", "1.3.2026 09:00", "46082.375", "1 Mar 2026 9:00"])
def test_a_local_time_without_its_zone_is_refused_with_the_mend(tmp_path: Path, when: str) -> None:
    said = refused(tmp_path, "at,sender,recipient", f"{when},a,b")
    for word in ("column at, line 2", f"`{when}`", "--time-zone", "2026-03-01T09:00:00"):
        assert word in said


def test_what_stands_in_the_wrong_column_is_not_repeated(tmp_path: Path) -> None:
    said = refused(tmp_path, "at,sender,recipient", "ann.lee@own.example,2026-03-01,b")
    assert "ann" not in said
    assert "column at, line 2: a text of 19 characters is no time that is known" in said


def test_an_import_of_nothing_tells_the_form_that_is_wanted(tmp_path: Path) -> None:
    said = refused(tmp_path, "at,sender,recipient", *["9 o'clock sharp on 1,a,b"] * 3)
    assert "of 3 rows none could be used, 3 of them for this" in said
    assert "2026-03-01T09:00:00" in said


@pytest.mark.parametrize(
    "row, word",
    [
        ("2026-03-01,,b@own.example", "line 2 has no sender"),
        ("2026-03-01,a@own.example,", "line 2 has no recipient"),
        ("2026-03-01,a@own.example,b@@own.example", "no address"),
        ("2027-03-01,a@own.example,b@own.example", "later than now"),
    ],
)
def test_an_import_of_nothing_says_why(tmp_path: Path, row: str, word: str) -> None:
    assert word in refused(tmp_path, "at,sender,recipient", row)


def test_times_later_than_now_are_put_in_quarantine(tmp_path: Path) -> None:
    path = written(tmp_path, "at,sender,recipient\n2026-05-31T23:59:59Z,a,b\n2026-06-01T00:00:01Z,a,b\n")
    assert len(rows(path)) == 1
    assert [row["reason"] for row in rows(path, "quarantine")] == ["in_future"]


# -- encodings ----------------------------------------------------------------------------------------------------------


def test_a_letter_whose_encoding_is_not_known_is_refused_where_it_matters(tmp_path: Path) -> None:
    lines = ("at,sender,recipient", "2026-03-01,ann@own.example,bob@own.example", "2026-03-01,andré@own.example,bob@own.example")
    said = refused(tmp_path, *lines, encoding="cp1252")
    for word in ("UTF-8", "column sender, line 3", "--encoding cp1252"):
        assert word in said
    usual = contacts(written(tmp_path, "\n".join(lines)))
    assert contacts(written(tmp_path, "\n".join(lines), "cp1252"), encoding="cp1252") == usual


def test_a_letter_where_nothing_is_read_costs_nothing(tmp_path: Path) -> None:
    trace = "Received,SenderAddress,RecipientAddress,Subject,Status\n2026-03-01T09:00:00,a@x.example,b@x.example,Prüfung,Delivered\n"
    assert contacts(written(tmp_path, trace, "cp1252")) == contacts(written(tmp_path, trace))


def test_an_encoding_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--encoding: no such encoding"):
        rows(written(tmp_path, "at,sender,recipient\n2026-03-01,a,b\n"), encoding="klingon")


def test_a_workbook_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="save it as `CSV UTF-8`"):
        rows(written(tmp_path, "PK\x03\x04...", name="events.csv"))


def test_a_separator_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    path = written(tmp_path, "sep=;\nat;sender;recipient\n2026-03-01;a;b\n")
    assert len(list(events_file.read(path, NAMES, notes=notes, now=NOW))) == 2
    assert notes == ["cells are separated by semicolons"]


def test_crooked_rows_are_left_out_and_told(tmp_path: Path) -> None:
    notes: list[str] = []
    path = written(tmp_path, "at,sender,recipient\n2026-03-01,a,b,c\n2026-03-01,a,b\n")
    list(events_file.read(path, NAMES, notes=notes, now=NOW))
    assert notes == ["1 rows were left out: they have more or fewer cells than the header"]


# -- who is meant -------------------------------------------------------------------------------------------------------


def people(folder: Path, cell: str, column: str = "recipients") -> list[int]:
    text = io.StringIO()
    csv_module.writer(text).writerows([("at", "sender", column), ("2026-03-01", "x", cell)])
    (row,) = rows(written(folder, text.getvalue()))
    return sorted(part["account_key"] for part in row["participants"])


def keys(*names: str) -> list[int]:
    return sorted(NAMES.key("address", name) if "@" in name else NAMES.key("events:events:account", name) for name in names)


@pytest.mark.parametrize(
    "cell, expected",
    [
        ("bob@x.example, cat@x.example", ("bob@x.example", "cat@x.example")),
        ("Lee, Ann <ann@x.example>; Ray, Bob <bob@x.example>", ("ann@x.example", "bob@x.example")),
        ('"Cat, O." <cat@x.example>', ("cat@x.example",)),
        ("bob@x.example cat@x.example", ("bob@x.example", "cat@x.example")),
        ("bob@x.example; e17", ("bob@x.example", "e17")),
        ("e17,e42", ("e17", "e42")),
        ("e17, e42", ("e17", "e42")),
        ("e17|e42", ("e17", "e42")),
        ("['e17', 'e42']", ("e17", "e42")),
        ("[17, 42]", ("17", "42")),
        ('[{"email": "bob@x.example"}, {"address": "cat@x.example"}]', ("bob@x.example", "cat@x.example")),
        ("bob@x.example;bob@x.example", ("bob@x.example",)),
        ("'bob@x.example'", ("bob@x.example",)),
        ("bob@x.example;;", ("bob@x.example",)),
        ("/o=EXCH/ou=Site/cn=Recipients/cn=Bob", ("/o=exch/ou=site/cn=recipients/cn=bob",)),
    ],
)
def test_a_cell_may_name_several_people(tmp_path: Path, cell: str, expected: tuple[str, ...]) -> None:
    assert people(tmp_path, cell) == keys(*expected)


@pytest.mark.parametrize("cell", ["bob@x.example,cat@x.example", "Bob <bob@x.example>; Cat <cat@x.example>"])
def test_what_holds_an_at_sign_is_split_in_any_column(tmp_path: Path, cell: str) -> None:
    assert people(tmp_path, cell, "recipient") == keys("bob@x.example", "cat@x.example")


def test_an_id_with_a_comma_stays_one_person_where_no_list_is_meant(tmp_path: Path) -> None:
    assert people(tmp_path, "Lee, Ann", "recipient") == keys("Lee, Ann")


@pytest.mark.parametrize(
    "cell, reason", [("bob@@x.example", "bad_address"), ("Lee, Ann", "unclear_recipients"), ("{broken", "unclear_recipients")]
)
def test_what_is_no_address_or_not_certain_is_put_in_quarantine(tmp_path: Path, cell: str, reason: str) -> None:
    path = written(tmp_path, f'at,sender,recipients\n2026-03-01,a,"{cell}"\n2026-03-01,a,b\n')
    assert [row["reason"] for row in rows(path, "quarantine")] == [reason]
    assert len(rows(path)) == 1


def test_two_senders_are_no_sender(tmp_path: Path) -> None:
    path = written(tmp_path, 'at,sender,recipient\n2026-03-01,"a@x.example, b@x.example",c\n2026-03-01,a,b\n')
    assert [row["reason"] for row in rows(path, "quarantine")] == ["several_senders"]


# -- Parquet ------------------------------------------------------------------------------------------------------------

AT = datetime(2026, 3, 1, tzinfo=UTC)


def parquet(folder: Path, **columns: Any) -> Path:
    usual = {"at": [AT], "sender": ["a"], "recipient": ["b"]}
    pq.write_table(pa.table({**usual, **columns}), folder / "events.parquet")
    return folder / "events.parquet"


@pytest.mark.parametrize(
    "column, values",
    [
        ("at", [True]),
        ("at", [[1]]),
        ("sender", [[1]]),
        ("sender", [1.5]),
        ("recipient", [{"address": "b"}]),
        ("recipients", [[{"address": "b"}]]),
        ("recipients", [AT]),
        ("medium", [2.5]),
        ("minutes", [["30"]]),
        ("interaction_id", [b"\x00"]),
    ],
)
def test_parquet_of_a_wrong_type_is_refused_with_column_and_row(tmp_path: Path, column: str, values: list[Any]) -> None:
    with pytest.raises(UserError, match=f"column {column.replace('_', '_?')}, row 1 on, is of type"):
        rows(parquet(tmp_path, **{column: values}))


def test_parquet_of_other_fitting_types_is_read(tmp_path: Path) -> None:
    usual = contacts(parquet(tmp_path))
    assert contacts(parquet(tmp_path, at=[AT.date()])) == usual
    assert contacts(parquet(tmp_path, at=[int(AT.timestamp()) * 1000])) == usual
    assert contacts(parquet(tmp_path, at=pa.array(["2026-03-01"]).dictionary_encode())) == usual
    assert contacts(parquet(tmp_path, at=[AT.replace(tzinfo=None)], sender=pa.array(["a"]).dictionary_encode())) == usual
    assert contacts(parquet(tmp_path, minutes=[None])) == usual
