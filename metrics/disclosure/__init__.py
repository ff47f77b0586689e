"""Disclosure control: what may leave as a figure about a group, and in what form.

Every way out (exports, report, artifacts) passes through `control`. It knows no table by name and no column by name: what a column is
stands in the table's header (`metrics.roles`).

1. **Rows.** A row leaves only if every column that says how many people it is about, on either side, says five or more.
   Nobody counts as few too: that there is none is a figure.
2. **Counts** of people and pairs are rounded to a multiple of five; what would round to five or to none is left empty, so that it can
   be anything from none to seven. **Volumes** (contacts, hours) leave as preferred numbers, a range of a quarter of their size. What a
   withheld row tells, no other row tells.
3. **Shares and estimates** are told in steps no finer than five of what they rest on; a share whose part or rest is that small is told
   as none or all. Intervals widen to the same steps. Lags repeat what the row of the period before tells.
4. **The web.** All counts and volumes of all tables are cells; a total and its parts over a dimension are a line. Whether a total is the
   sum of its parts, at most it or at least it is read off the figures, as an attacker would; a volume that adds up exactly and whose
   header does not say so stops the release. Linear programming over what is told, in its ranges, must leave each withheld cell, and each
   count that is left empty, a range of at least four and an eighth of itself. Until it does, totals around it are told more coarsely,
   then not at all.

What it does not do: it cannot know what an attacker knows from elsewhere (that a team has one member, say); and it says nothing to those
who may read the analysts' file, which holds every figure exactly.

Sources: Hundepool et al. (2012), Statistical Disclosure Control, Wiley, chapters 4 and 5 (p%-rule, audit by linear programming, rounding);
ISO 3 (1973), Preferred numbers.
"""

from metrics.disclosure._attack import Interval, feasible_intervals, too_narrow
from metrics.disclosure._control import PART, WHOLE, WITHHELD, Controlled, control, figures_withheld
from metrics.disclosure._escape import escape_html, escape_spreadsheet
from metrics.disclosure._policy import DisclosureError, DisclosurePolicy, Documented, TableRoles, roles_of
from metrics.disclosure._protect import ranges
from metrics.disclosure._told import row_before

__all__ = [
    "PART",
    "WHOLE",
    "WITHHELD",
    "Controlled",
    "DisclosureError",
    "DisclosurePolicy",
    "Documented",
    "Interval",
    "TableRoles",
    "control",
    "escape_html",
    "escape_spreadsheet",
    "feasible_intervals",
    "figures_withheld",
    "ranges",
    "roles_of",
    "row_before",
    "too_narrow",
]
