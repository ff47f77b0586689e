"""The part of OData that Graph clients use: `$select`, `$filter` on times and simple fields, `$top`, next and delta links."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlencode

from connectors.sandbox.calendar import DAY
from connectors.sandbox.http import Call

_CLAUSE: Final = re.compile(r"^\s*\(?\s*([A-Za-z/]+)\s+(ge|gt|le|lt|eq|ne)\s+('(?:[^']|'')*'|\S+?)\s*\)?\s*$")
_PAGE_SIZE: Final = re.compile(r"odata\.maxpagesize\s*=\s*(\d+)")
Body = dict[str, Any]


class GraphRefusal(Exception):
    """A request that Graph would refuse.

    Attributes:
        status: HTTP status.
        code: Graph's error code.
        headers: Further headers.
    """

    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of a filter; texts without their quotes."""

    field: str
    operator: str
    value: str


def clauses(call: Call) -> list[Clause]:
    """Return the comparisons of `$filter`, which `and` joins.

    Raises:
        GraphRefusal: 400 if there is anything else in it.
    """
    text = parameter(call, "filter")
    if not text:
        return []
    found = []
    for part in re.split(r"\s+and\s+", text):
        match = _CLAUSE.match(part)
        if match is None:
            raise GraphRefusal(400, "BadRequest")
        field, operator, value = match.groups()
        found.append(Clause(field, operator, value[1:-1].replace("''", "'") if value.startswith("'") else value))
    return found


def span(call: Call, *fields: str) -> tuple[int, int] | None:
    """Return the half-open time span in microseconds that the filter sets on one of the fields; None without a filter.

    Raises:
        GraphRefusal: 400 if it filters by anything else.
    """
    found = clauses(call)
    if not found:
        return None
    low, high = 0, 1 << 62
    for clause in found:
        if clause.field not in fields:
            raise GraphRefusal(400, "ErrorInvalidUrlQueryFilter")
        moment = microseconds(clause.value)
        match clause.operator:
            case "ge":
                low = max(low, moment)
            case "gt":
                low = max(low, moment + 1)
            case "lt":
                high = min(high, moment)
            case "le":
                high = min(high, moment + 1)
            case _:
                raise GraphRefusal(400, "ErrorInvalidUrlQueryFilter")
    return low, high


def holds(value: Body, found: Sequence[Clause]) -> bool:
    """Return whether an object fulfils comparisons of simple fields."""
    for clause in found:
        held = value.get(clause.field)
        text = "true" if held is True else "false" if held is False else "null" if held is None else str(held)
        is_equal = text == clause.value
        if clause.operator not in ("eq", "ne") or is_equal != (clause.operator == "eq"):
            return False
    return True


def parameter(call: Call, name: str) -> str | None:
    """Return a system query option; the dollar may be left out, as in Graph."""
    value = call.query.get(f"${name}")
    return value if value is not None else call.query.get(name)


def selected(call: Call) -> frozenset[str] | None:
    """Return the names in `$select`; None for all."""
    text = parameter(call, "select")
    return frozenset(part.strip().partition("/")[0] for part in text.split(",")) if text else None


def shown(value: Body, fields: frozenset[str] | None) -> Body:
    """Return an object with the selected fields only; ids and annotations always stay."""
    if fields is None:
        return value
    return {name: field for name, field in value.items() if name in fields or name == "id" or "@" in name}


def page(
    call: Call,
    values: Sequence[Any],
    shape: Callable[[Any], Body],
    *,
    context: str,
    default: int,
    most: int,
    last: str | None = None,
    is_counted: bool = False,
) -> Body:
    """Return one page of a collection, with a link to the next, or `last` as the delta link on the last.

    Args:
        call: The request.
        values: The whole collection.
        shape: Turns one of them into its object; `$select` has been seen to.
        context: What the collection is called in `@odata.context`.
        default: Page size without `$top` or `Prefer: odata.maxpagesize`.
        most: The largest page.
        last: Delta token.
        is_counted: Whether the next link counts what to skip, as Exchange's do: what vanishes meanwhile shifts it.
    """
    top = parameter(call, "top")
    size = _PAGE_SIZE.search(call.headers.get("prefer", ""))
    wanted = int(top) if top and top.isdigit() else int(size.group(1)) if size else default
    limit = max(1, min(wanted, most))
    skip = parameter(call, "skip")
    start, empties = (int(skip), 0) if skip and skip.isdigit() else _position(parameter(call, "skiptoken"))
    body: Body = {"@odata.context": f"{root(call)}/$metadata#{context}"}
    if call.quirk == "empty_page" and start < len(values):
        call.quirk = None
        return {**body, "value": [], "@odata.nextLink": _link(call, start, empties + 1)}
    if call.quirk == "without_value":
        call.quirk = None
        return body
    found = [shape(value) for value in values[start : start + limit]]
    if call.quirk == "duplicate" and found:
        call.quirk = None
        found.append(found[-1])
    body["value"] = found
    if start + limit < len(values):
        body["@odata.nextLink"] = _link(call, start + limit, 0, is_counted=is_counted)
    elif last is not None:
        body["@odata.deltaLink"] = f"{root(call)}{_below(call)}?$deltatoken={quote(last, safe='')}"
    return body


def root(call: Call) -> str:
    """Return the service's root as the client named it."""
    return f"http://{call.headers.get('host', '127.0.0.1')}/{call.path.strip('/').partition('/')[0]}"


def _below(call: Call) -> str:
    return "/" + call.path.strip("/").partition("/")[2]


def _link(call: Call, start: int, empties: int, *, is_counted: bool = False) -> str:
    query = {name: value for name, value in call.query.items() if name.lstrip("$") not in ("skip", "skiptoken", "deltatoken")}
    if parameter(call, "deltatoken"):
        query["$deltatoken"] = str(parameter(call, "deltatoken"))
    if is_counted:
        query["$skip"] = str(start)
    else:
        query["$skiptoken"] = base64.urlsafe_b64encode(f"{start};{empties}".encode()).decode()
    return f"{root(call)}{_below(call)}?{urlencode(query, safe='$,:')}"


def _position(token: str | None) -> tuple[int, int]:
    if not token:
        return 0, 0
    try:
        start, _, empties = base64.urlsafe_b64decode(token.encode()).decode().partition(";")
        return int(start), int(empties or 0)
    except (ValueError, binascii.Error):
        raise GraphRefusal(400, "BadRequest") from None


def microseconds(text: str) -> int:
    """Return an OData time as microseconds since 1970.

    Raises:
        GraphRefusal: 400 if it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise GraphRefusal(400, "BadRequest") from None
    gone = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return gone.days * DAY + gone.seconds * 1_000_000 + gone.microseconds


def time_text(moment: int) -> str:
    """Return microseconds since 1970 as Graph writes them, to the second."""
    return f"{_seconds(moment)}Z"


def time_text_long(moment: int) -> str:
    """Return microseconds since 1970 with seven decimals, as calendars and Teams write them."""
    return f"{_seconds(moment)}.{moment % 1_000_000:06d}0"


def _seconds(moment: int) -> str:
    seconds = moment // 1_000_000
    rest = seconds % 86_400
    return f"{_day(seconds // 86_400)}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return date.fromordinal(719_163 + number).isoformat()
