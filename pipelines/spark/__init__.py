"""The heavy path on Apache Spark: interactions to contacts, pairs, ties, their lives and their strength, for any number of machines.

Interactions are cut up by thread, contacts by pair, and each part goes through the very SQL files that build the
warehouse, in a DuckDB of its own inside a Spark task: one dialect and one definition. Which tables can be cut so is said
in their header (`partition`). What comes back lands in the warehouse by the ordinary build, in its transactions and
under its checks, and the ordinary build makes every other table from it.
"""

from __future__ import annotations

from pipelines.spark.engine import SparkEngine
from pipelines.spark.session import require

__all__ = ["SparkEngine", "require"]
