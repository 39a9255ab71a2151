"""Workers with real limits: whatever a call does, the process that asked goes on, and so does the pool."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from forbear.crawler.limits import workers
from forbear.crawler.limits.workers import TooCostly, WorkerPool
from forbear.optout import policy
from forbear.optout.model import Capture
from tests.crawler import hostile_calls as calls


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(1, seconds=0.3, memory=150 << 20) as pool:
        yield pool


@pytest.mark.parametrize(
    ("call", "because"),
    [
        (calls.burn, "more than 0.3 seconds of processor time were needed"),
        (calls.burn_in_c, "more than 0.3 seconds of processor time were needed"),
        (calls.allocate, "more than 150 MiB of memory were needed"),
        (calls.hide_it, "more than 150 MiB of memory were needed"),
        (calls.crash, "the process that read it was ended by SIGSEGV"),
        (calls.leave, "the process that read it was ended by exit code 0"),
    ],
)
def test_a_call_beyond_its_limits_ends_the_worker_alone(
    pool: WorkerPool, call: Callable[[], Any], because: str
) -> None:
    before = pool.run(calls.pid)
    with pytest.raises(TooCostly) as error:
        pool.run(call)
    assert str(error.value) == because
    assert pool.run(calls.pid) not in (before, os.getpid())


def test_a_message_that_does_not_fit_into_memory_is_one_that_costs_too_much(pool: WorkerPool) -> None:
    with pytest.raises(TooCostly, match="150 MiB of memory"):
        pool.run(calls.length, bytes(200 << 20))
    assert pool.run(calls.length, bytes(1 << 20)) == (1 << 20, b"\0\0\0")


def test_a_worker_that_waits_for_ever_is_given_up(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.run(calls.pid)
    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    with pytest.raises(TooCostly, match=r"no answer came within 0\.2 seconds"):
        pool.run(calls.wait)


def test_ordinary_calls_have_one_worker_that_is_kept(pool: WorkerPool) -> None:
    page = Capture("https://a.example/", 200, (("a", "b"),), b"x" * 100_000, memo={"detail": "d", "other": object()})
    assert len({pool.run(calls.pid, page, policy.load()) for _ in range(20)}) == 1
    came = pool.run(replies, page)
    assert (came.url, came.status, came.headers, came.body, came.error) == (*PAGE, b"x" * 100_000, None)
    assert came.memo == {"detail": "d"}
    assert pool.run(digest_of, policy.load()) == pool.run(digest_of, policy.load()) == policy.load().digest


PAGE = ("https://a.example/", 200, (("a", "b"),))


def replies(anything: Any) -> Any:
    """What came, as it came."""
    return anything


def digest_of(law: policy.Policy) -> str:
    """Of a policy as a worker has it."""
    return law.digest


def test_what_a_call_raises_is_raised_here_and_the_worker_stays(pool: WorkerPool) -> None:
    before = pool.run(calls.pid)
    with pytest.raises(ValueError, match="word"):
        pool.run(calls.fail, "word")
    assert pool.run(calls.pid) == before


def test_a_worker_that_has_grown_is_replaced_without_anybody_noticing() -> None:
    with WorkerPool(1) as pool:
        first = pool.run(calls.keep, 40 << 20)
        assert pool.run(calls.keep, 40 << 20) == first
        assert pool.run(calls.pid) != first


def test_a_worker_that_somebody_has_ended_is_replaced_without_anybody_noticing(pool: WorkerPool) -> None:
    before = pool.run(calls.pid)
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    assert pool.run(calls.pid) != before


def test_a_worker_has_nothing_of_its_parent_and_goes_first(pool: WorkerPool) -> None:
    with Path(__file__).open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        assert not [name for name in pool.run(calls.descriptors) if name.endswith(".py")]
    assert pool.run(calls.oom_score) == "1000"
    assert pool.run(calls.ignored_signals) == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    assert os.getsid(pool.run(calls.pid)) != os.getsid(0)


def test_as_many_work_at_a_time_as_the_pool_is_large() -> None:
    with WorkerPool(2) as pool, ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: pool.run(calls.pid), range(64)))) <= 2


def test_the_event_loop_goes_on_meanwhile(pool: WorkerPool) -> None:
    async def run() -> int:
        turns = 0
        call = asyncio.ensure_future(pool.call(calls.burn))
        while not call.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert isinstance(call.exception(), TooCostly)
        return turns

    assert asyncio.run(run()) > 20


def test_a_worker_ends_with_its_parent() -> None:
    """Its side of the connection is closed when the parent is gone, however it went."""
    program = "import os; from forbear.crawler.limits.workers import WorkerPool; "
    program += "from tests.crawler.hostile_calls import pid; "
    program += "print(WorkerPool(1).run(pid), flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    while Path(f"/proc/{int(done.stdout)}").exists():
        pass


def test_a_program_that_is_not_python_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with WorkerPool(1) as pool, pytest.raises(OSError, match="A process that reads files could not be started"):
        pool.run(calls.pid)
