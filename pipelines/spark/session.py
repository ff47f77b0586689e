"""Starting Spark: what it needs, and what perdure sets so that nothing opens to the network or stays on disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connectors.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OLDEST_JAVA: Final = 17
_LOCAL: Final = ("local", "local[", "local-cluster[")
_QUIET: Final = {
    # its pages show queries and environment to whoever reaches the port
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    # writes the rows of each table as they come: sorting them by table first would be for nothing
    "spark.sql.maxConcurrentOutputFileWriters": "32",
    "spark.hadoop.fs.permissions.umask-mode": "077",
}


def require() -> None:
    """Make sure that Spark can start here.

    Raises:
        UserError: If pyspark or Java is missing, or Java is too old; the message says what to install.
    """
    if find_spec("pyspark") is None:
        raise UserError("--engine spark: pyspark is not installed; run `pip install 'perdure[spark]'`")
    java = java_command()
    if java is None:
        raise UserError(f"--engine spark: Java is not installed; install a Java {OLDEST_JAVA} runtime or newer, or set JAVA_HOME to one")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found and int(found.group(1)) < OLDEST_JAVA:
        raise UserError(f"--engine spark: Java {found.group(1)} is too old; install {OLDEST_JAVA} or newer, or set JAVA_HOME to one")


def java_command() -> str | None:
    """Return the Java that Spark would start, or None."""
    home = os.environ.get("JAVA_HOME")
    if home:
        return shutil.which("java", path=str(Path(home) / "bin"))
    return shutil.which("java")


def start(master: str | None, conf: Mapping[str, str], scratch: Path) -> SparkSession:
    """Start a session, or join the one that this process already has (spark-submit, Databricks).

    Args:
        master: Spark's master; None for what spark-submit or the surroundings say, else all cores of this machine.
        conf: Spark's own settings, which win over those set here.
        scratch: A folder of this machine for shuffles of a local master.

    Raises:
        UserError: If Spark cannot start.
    """
    require()
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("perdure")
    if master is None and "MASTER" not in os.environ and not _is_submitted():
        master = "local[*]"
    if master is not None:
        builder = builder.master(master)
    settings = dict(_QUIET)
    if master is not None and master.startswith(_LOCAL):
        # tasks run in this very environment, and nobody else's machine has to reach this one
        os.environ["PYSPARK_PYTHON"] = sys.executable
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.local.dir": str(scratch),
            "spark.executorEnv.SPARK_LOCAL_DIRS": str(scratch),
        }
    for name, value in (settings | dict(conf)).items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JJavaError) as error:
        raise UserError(f"--engine spark: Spark did not start with this master and these settings ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    said = str(getattr(error, "java_exception", error)).strip()
    return said.splitlines()[0] if said else type(error).__name__


def _is_submitted() -> bool:
    return "PYSPARK_GATEWAY_PORT" in os.environ or "PYSPARK_SUBMIT_ARGS" in os.environ
