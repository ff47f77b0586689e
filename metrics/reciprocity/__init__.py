"""How mutual relations are, beside what chance would give."""
