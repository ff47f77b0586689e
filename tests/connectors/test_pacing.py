"""Pacing on a clock of its own: never more than the share of the limit, closed for all by one refusal, no lost time."""

from __future__ import annotations

import asyncio
import heapq

import pytest

from connectors.pacing import SHARE, Bucket, Limit, Time


class Simulated:
    """A clock that goes on when everybody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self._number += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._number, future))
        await future

    async def run(self, tasks: list[asyncio.Task[None]]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers:
                self.now, _, future = heapq.heappop(self._sleepers)
                if not future.done():
                    future.set_result(None)
        for task in tasks:
            task.result()


class Service:
    """Enforces a limit in any stretch of its length, with a pause where it is passed."""

    def __init__(self, simulated: Simulated, limit: Limit) -> None:
        self.simulated = simulated
        self.limit = limit
        self.sent: list[float] = []
        self.refused = 0

    def is_refused(self) -> bool:
        now = self.simulated.now
        if sum(moment > now - self.limit.seconds for moment in self.sent) >= self.limit.requests:
            self.refused += 1
            return True
        self.sent.append(now)
        return False


async def ask(service: Service, bucket: Bucket, count: int, tries: list[int]) -> None:
    for _ in range(count):
        tried = 0
        while True:
            await bucket.take()
            await service.simulated.sleep(0.2)
            tried += 1
            if not service.is_refused():
                bucket.answered()
                break
            bucket.refused(1.0)
        tries.append(tried)


def most_in(sent: list[float], seconds: float) -> int:
    return max(sum(moment <= other < moment + seconds - 1e-6 for other in sent) for moment in sent)


@pytest.mark.parametrize("limit", [Limit(200, 1), Limit(30, 1), Limit(1_500, 20), Limit(10_000, 600, at_once=0.2)])
async def test_no_more_than_the_share_in_any_stretch_and_nearly_as_much(limit):
    simulated = Simulated()
    bucket = Bucket(limit, time=Time(simulated.sleep, simulated.clock))
    sent: list[float] = []

    async def send() -> None:
        while len(sent) < 2.2 * limit.requests:
            await bucket.take()
            sent.append(simulated.now)

    tasks = [asyncio.create_task(send()) for _ in range(50)]
    await simulated.run(tasks)
    if limit.requests <= 1_500:
        assert most_in(sent, limit.seconds) <= SHARE * limit.requests + 1
    else:
        assert sum(moment < limit.seconds for moment in sent) <= SHARE * limit.requests + 1
    used = len(sent) / (sent[-1] - sent[0]) / (limit.requests / limit.seconds)
    assert used >= (0.9 if limit.at_once < 0.1 else 0.7)


@pytest.mark.parametrize("real", [Limit(5, 1), Limit(50, 1)])
async def test_a_limit_lower_than_published_loses_nothing(real):
    """128 at once where five a second are allowed: every one of them is served, after few refusals each."""
    simulated = Simulated()
    service = Service(simulated, real)
    bucket = Bucket(Limit(1_500, 20), time=Time(simulated.sleep, simulated.clock))
    tries: list[int] = []
    tasks = [asyncio.create_task(ask(service, bucket, 3, tries)) for _ in range(128)]
    await simulated.run(tasks)
    assert len(tries) == 384
    assert max(tries) <= 20
    # and it did not take for ever
    assert simulated.now < 4 * 384 / real.requests


async def test_one_refusal_closes_for_all():
    simulated = Simulated()
    bucket = Bucket(Limit(200, 1), time=Time(simulated.sleep, simulated.clock))
    sent: list[float] = []

    async def send() -> None:
        await bucket.take()
        sent.append(simulated.now)

    await bucket.take()
    bucket.refused(7.0)
    bucket.refused(5.0)
    assert bucket.refusals_in_a_row == 1
    await simulated.run([asyncio.create_task(send()) for _ in range(20)])
    assert min(sent) >= 7.0
    bucket.answered()
    assert bucket.refusals_in_a_row == 0


async def test_a_single_refusal_leaves_the_rate_and_a_second_soon_after_halves_it_for_a_while():
    simulated = Simulated()
    bucket = Bucket(Limit(100, 1), time=Time(simulated.sleep, simulated.clock))

    async def second() -> int:
        start = simulated.now
        count = 0
        while simulated.now < start + 1.0:
            await bucket.take()
            count += 1
        return count

    async def measure(found: list[int]) -> None:
        simulated.now += 100
        found.append(await second())
        bucket.refused(1.0)
        simulated.now += 1.5
        found.append(await second())
        bucket.refused(1.0)
        simulated.now += 1.0
        found.append(await second())
        simulated.now += 60
        found.append(await second())

    found: list[int] = []
    await simulated.run([asyncio.create_task(measure(found))])
    full, once, twice, later = found
    assert abs(full - once) <= 3
    assert 40 <= twice <= 60
    assert abs(full - later) <= 3


async def test_time_passes_also_where_a_sleep_returns_at_once():
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    bucket = Bucket(Limit(10, 1), time=Time(sleep, lambda: 0.0))
    for _ in range(50):
        await bucket.take()
    assert 3.5 < sum(slept) < 6
