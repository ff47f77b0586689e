"""Disclosure control: what may leave as a figure about a group, and in what form.

Every way out (exports, report) passes through `control`. It knows no table by name; what a table is about is read from its
documented columns, by these conventions:

- **Restricted** tables (`restricted: yes`), and any table with a column of unit `key`, `keys` or `id`, are refused: an error, not a filter.
- **Dimensions** are the columns of `grain`. The value `any` or `all`, or an empty one, is the total over that dimension.
  `panel_kind` and `panel_start` are one dimension; the panel `all` is its total. `grouping` and `level` are one, the one that
  `grouping` names. `team_a_person_count` is a figure about a value of the dimension `team`.
- **Guards** say how many people a row is about: columns `person_count` and `<anything>_person_count`. A row whose guard is 1
  to `minimum_group_size - 1` is withheld, all of it but its dimensions; 0 is nobody and is shown. `<dimension>_person_count`
  (`team_a_person_count`) counts the people of that dimension's value, so it is one and the same figure in every row and table that
  repeats it. So do not call an outcome `..._person_count` unless it is to guard (`isolated_count` is an outcome).
- A table without a guard of people is guarded by its base of pairs: `pair_count`, `tie_count`, `dyad_count`,
  `spell_count`, `at_risk_count` or `observation_count`, whichever it has first. Seven pairs are needed where five people
  are: six pairs can be four people.
- A metrics table with neither is left out and named in the result: nobody can say how many people it is about. (One that holds
  only dates and counts of calendar days is about no people.)
- A row that has figures while all its guards are empty is withheld.
- **Counts** (unit `count`) are rounded to `rounding_base`, except counts of calendar and design (days, weeks, panels, draws, teams,
  organisations, folds, `minimum_...`) and what was promised and met (`required_count`, `met_count`), whose
  verdict is shown anyway. Ratios, scores and the like keep `ratio_digits`; minutes, hours, days, and shares of the busiest one or
  two (`top_...`), one digit.

**Complementary suppression.** Withheld guards must not be worked out from totals. All guards of all tables make one web of cells:
a cell is a measure and the values of its dimensions (totals left out), whichever table shows it. Dropping one
dimension leads to the cell that totals it. Whether a total is the sum of its parts, at most it (people counted once though they use
several media) or at least it (people without a team are missing) is read off the figures themselves, the same way an attacker
would. Cells are withheld until linear programming over everything shown leaves each withheld cell an
interval wider than `protection`. This is done on exact figures: rounding comes on top and is not what protects.
What the last export showed counts as shown, and what it withheld in a dated panel stays withheld.

**Repeated figures.** What is withheld in one table no other table shows: columns of one name in tables of the same dimensions that agree
are one figure, and it is emptied wherever it stands; such a row is marked `part`.

Withheld cells carry one reason, whether the group is small or shields a small one: telling them apart would narrow the interval.

What it does not do: a total of zero says that all its parts are zero, and that is not hidden. Measures other than guards
are protected by withholding whole rows and by rounding, not by intervals of their own. It cannot know what an attacker
knows from elsewhere.

Source: Hundepool et al. (2012), Statistical Disclosure Control, Wiley, chapter 4 (magnitude tables, audit by linear programming).
"""

from metrics.disclosure._attack import Interval, feasible_intervals
from metrics.disclosure._control import PART, WHOLE, WITHHELD, Controlled, control
from metrics.disclosure._escape import escape_html, escape_spreadsheet
from metrics.disclosure._policy import DisclosureError, DisclosurePolicy, Documented, Roles, roles_of

__all__ = [
    "PART",
    "WHOLE",
    "WITHHELD",
    "Controlled",
    "DisclosureError",
    "DisclosurePolicy",
    "Documented",
    "Interval",
    "Roles",
    "control",
    "escape_html",
    "escape_spreadsheet",
    "feasible_intervals",
    "roles_of",
]
