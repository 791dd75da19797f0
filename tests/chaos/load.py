"""The client of a run, a process of its own: submits by the SDK and records what it does and is told.

Arguments: the run's folder, seed, tasks, and the seconds to spread them over. It goes on until its
input ends.
"""

import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, wait
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from tests.chaos.auditor.evidence import Got, shown
from tests.chaos.journal import Journal
from tests.chaos.menu import Menu, Order
from tests.chaos.tasks import FUNCTIONS
from tests.support.deadlines import scaled

from funcledger import Client, Executor, errors

#: Tasks a thread leaves unfinished before it waits for some.
_WINDOW = 250
#: Seconds that everything may take to end once there are enough tasks.
_PATIENCE = 180.0
_LOST: dict[type[Exception], str] = {
    errors.TaskLost: "TaskLost",
    errors.WorkerDied: "WorkerDied",
    errors.WalltimeExceeded: "WalltimeExceeded",
}


class Load:
    """What the threads share: the pace, the record, and the numbers of submissions."""

    def __init__(self, folder: Path, seed: int, tasks: int, seconds: float) -> None:
        self.side = str(folder / "executions")
        self.journal = Journal(folder / "client")
        self.enough = Event()
        #: A thread has met what it should not: the others need not go on either.
        self.broken = Event()
        self._deadline: float | None = None
        self._chance = random.Random(seed)
        self.menu = Menu(random.Random(seed + 1))
        self._tasks, self._pace, self._begun = tasks, tasks / seconds, time.monotonic()
        self._ordered = 0
        self._numbers = count()
        self._lock = Lock()
        with Client() as client:
            self.ids = {each.__name__: client.register_function(each) for each in FUNCTIONS}

    def generator(self) -> random.Random:
        """Chance for one thread."""
        return random.Random(self._chance.randrange(2**32))

    def orders(self, most: int, max_attempts: int) -> list[Order]:
        """The next calls, as many as are due and not more than ``most``; none when there are enough."""
        while not self._finished():
            with self._lock:
                due = int((time.monotonic() - self._begun) * self._pace) - self._ordered
                if due > 0:
                    self._ordered += min(due, most)
                    return [self.menu.order(max_attempts) for _ in range(min(due, most))]
            time.sleep(0.02)
        return []

    def _finished(self) -> bool:
        return self.broken.is_set() or (self.enough.is_set() and self._ordered >= self._tasks)

    def left(self) -> float:
        """Seconds that are left to wait for outcomes; all there is while tasks are still submitted."""
        if not self._finished():
            return _PATIENCE
        self._deadline = self._deadline or time.monotonic() + _PATIENCE
        return max(0.0, self._deadline - time.monotonic())

    def sending(self, orders: Iterable[Order]) -> int:
        """Record what is about to be submitted; the submission's number."""
        number = next(self._numbers)
        self.journal.write("sending", submission=number, calls=[order.call for order in orders])
        return number


class Batches:
    """Submits batches, cancels what is to be cancelled, and collects outcomes, like a script of a user."""

    def __init__(self, load: Load, patience: float) -> None:
        self._load, self._chance = load, load.generator()
        self._client = Client(patience=patience)
        self._open: deque[list[str]] = deque()
        self._all: list[str] = []

    def run(self) -> None:
        """Until there are enough tasks; then everything is asked for once more."""
        while orders := self._orders():
            self._submit(orders)
            while sum(map(len, self._open)) > _WINDOW or (self._open and self._chance.random() < 0.3):
                self._collect(self._open.popleft())
        for start in range(0, len(self._all), 2000):
            self._collect(self._all[start : start + 2000])

    def _orders(self) -> list[Order]:
        attempts = self._chance.choice([1, 1, 2, 3, 3, 3])
        orders = self._load.orders(self._chance.randrange(1, 60), attempts)
        if orders and self._chance.random() < 0.02:
            return [self._load.menu.overrun(attempts)]
        return orders

    def _submit(self, orders: list[Order]) -> None:
        late = orders[0].call.kind == "overruns"
        batch = self._client.create_batch(
            max_attempts=orders[0].call.max_attempts, walltime=0.3 if late else None
        )
        number = self._load.sending(orders)
        try:
            for order in orders:
                where = {"endpoint_id": "local", "function_id": self._load.ids[order.function]}
                batch.add(order.call.token, self._load.side, *order.arguments, **where)
            ids = self._client.batch_run(batch)
        except errors.ServiceUnavailable as error:
            self._load.journal.write("unknown", submission=number, error=str(error))
            return
        self._load.journal.write("acknowledged", submission=number, tasks=ids)
        self._open.append(ids)
        self._all += ids
        self._cancel([task for task, order in zip(ids, orders, strict=True) if order.call.kind == "cancel"])

    def _cancel(self, task_ids: list[str]) -> None:
        for task_id in task_ids:
            time.sleep(self._chance.uniform(0, 0.3))
            self._load.journal.write("cancelling", task=task_id)
            try:
                self._client.cancel(task_id)
            except errors.ServiceUnavailable:
                continue  # it ends as it will

    def _collect(self, task_ids: list[str]) -> None:
        while self._load.left():
            try:
                infos = self._client.get_batch_result(task_ids, timeout=scaled(20.0))
            except errors.ServiceUnavailable:
                continue
            told = {task: _got(info) for task, info in infos.items() if not info["pending"]}
            self._load.journal.write("got", tasks=told)
            if len(told) == len(task_ids):
                return


def _got(info: dict[str, Any]) -> Got:
    if info["status"] == "success":
        return Got("success", None, shown(info["result"]))
    failed = info["kind"] == "Exception"
    return Got(info["status"], info["kind"], shown(info["exception"]) if failed else None)


class Executors:
    """Submits through one executor after another, and waits for the futures of each."""

    def __init__(self, load: Load) -> None:
        self._load, self._chance = load, load.generator()
        self._client = Client()

    def run(self) -> None:
        """Until there are enough tasks."""
        going = True
        while going:
            attempts = self._chance.choice([1, 3])
            executor = Executor("local", self._client, max_attempts=attempts)
            going = self._use(executor, attempts)
            executor.shutdown(wait=False)

    def _use(self, executor: Executor, attempts: int) -> bool:
        futures: list[tuple[int, Any]] = []
        for _ in range(self._chance.randrange(1, 6)):
            orders = self._load.orders(self._chance.randrange(1, 30), attempts)
            futures += [self._submit(executor, order) for order in orders]
            if not orders:
                break
        for number, future in futures:
            self._await(number, future)
        return bool(futures)

    def _submit(self, executor: Executor, order: Order) -> tuple[int, Any]:
        number = self._load.sending([order])
        given = [order.call.token, self._load.side, *order.arguments]
        future = executor.submit_to_registered_function(self._load.ids[order.function], given)
        self._load.journal.write("named", submission=number, tasks=[future.task_id])
        if order.call.kind == "cancel":
            self._load.journal.write("cancelling", task=future.task_id)
            future.cancel()
        return number, future

    def _await(self, number: int, future: "Future[Any]") -> None:
        task_id = future.task_id  # type: ignore[attr-defined]  # it is one of ours
        while not future.done() and self._load.left():
            wait([future], timeout=scaled(1.0))
        if not future.done():
            return  # the record lacks it, as the auditor will say
        got = self._outcome(future)
        if isinstance(got, Got):
            self._load.journal.write("got", tasks={task_id: got})
        elif not got:
            self._load.journal.write("unsent", submission=number)
        else:
            self._load.journal.write("unknown", submission=number, error=got)

    def _outcome(self, future: "Future[Any]") -> Got | str:
        """What the future says; else why it may not have arrived, or nothing when it was not even sent."""
        try:
            value = future.result(0)
        except CancelledError as error:
            # Cancelled before it was sent, a future has nothing to say.
            return Got("cancelled", None, None) if error.args else ""
        except errors.ServiceUnavailable as error:
            return str(error)
        except Exception as error:
            kind = _LOST.get(type(error))
            return Got("failed", kind or "Exception", None if kind else shown(error))
        return Got("success", None, shown(value))


def _watched(load: Load, run: Callable[[], None]) -> Callable[[], None]:
    def watched() -> None:
        try:
            run()
        except BaseException as error:
            load.journal.write("surprised", error=repr(error))
            load.broken.set()
            raise

    return watched


def main(folder: str, seed: str, tasks: str, seconds: str) -> None:
    """Run until the input ends and all is collected."""
    load = Load(Path(folder), int(seed), int(tasks), float(seconds))
    runs = [Batches(load, 60.0).run, Batches(load, 0.5).run, Executors(load).run]
    threads = [Thread(target=_watched(load, run)) for run in runs]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    load.enough.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:5])
