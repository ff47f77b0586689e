"""Many looks at once: what is left of a finding when many were looked for."""

from __future__ import annotations

import numpy as np

from metrics.panels import Floats


def benjamini_hochberg(p: Floats) -> Floats:
    """P values adjusted such that of all findings called at a level, at most that share is expected to be false.

    Args:
        p: The p values of all comparisons of a table, without gaps.

    Reference:
        Benjamini, Hochberg (1995), Controlling the false discovery rate, J. R. Stat. Soc. B 57, 289-300.
    """
    order = np.argsort(p)[::-1]
    ranked = p[order] * len(p) / np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked), 1.0)
    return adjusted
