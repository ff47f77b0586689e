"""Measures of lasting relationships: one table a file, and the pure functions behind them."""
