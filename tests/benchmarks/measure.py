"""Measuring a function in a process of its own: wall seconds, CPU seconds, peak memory, and growth between sizes."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil


class _Peak(threading.Thread):
    """Watches how much memory this process and its children hold."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._ended = threading.Event()

    def run(self) -> None:
        process = psutil.Process()
        while not self._ended.wait(0.05):
            self.bytes = max(self.bytes, process.memory_info().rss)

    def end(self) -> None:
        self._ended.set()
        self.join()


def _child(connection: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    peak = _Peak()
    peak.start()
    began, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    figures = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    peak.end()
    connection.send((result, {**figures, "peak_gigabytes": peak.bytes / 1e9}))
    connection.close()


def measured(function: Callable[..., Any], *arguments: Any) -> tuple[Any, dict[str, float]]:
    """Run a function in a fresh process; return what it returns, and its seconds, CPU seconds and peak memory in GB.

    Raises:
        RuntimeError: If the process ended without a result.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        result, figures = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{function.__name__} ended with exit code {process.exitcode}") from None
    process.join()
    return result, figures


def exponents(seconds: dict[int, float]) -> list[float]:
    """Growth exponents between each two neighbouring sizes: 1 is linear growth, 2 quadratic."""
    sizes = sorted(seconds)
    return [
        math.log(seconds[large] / seconds[small]) / math.log(large / small)
        for small, large in itertools.pairwise(sizes)
        if seconds[small] > 0 and seconds[large] > 0
    ]
