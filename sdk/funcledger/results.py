"""Reading tasks and their outcomes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from funcledger.errors import ServiceUnavailable, TaskNotFound, TaskPending
from funcledger.names import Id, as_id
from funcledger.tasks import TaskInfo, info, is_finished, outcome
from funcledger_schemas import tracing
from funcledger_schemas.frames import cut, unpack

if TYPE_CHECKING:
    from funcledger.transport import Transport

#: Most task ids in one request: while one answer is read, the next tasks end. And the longest one request
#: waits, in seconds.
MOST_IDS = 1_000
LONGEST_POLL = 30.0
#: Seconds that a request is kept from the server by a limit at least, whatever its own timeout is.
_ROOM = 1.0
#: Most tasks in one page of a search.
PAGE = 1000

#: The server's status of a task and its payload, None where that is still to be asked for.
Answer = tuple[dict[str, Any], bytes | None]


class Results:
    """What the server knows of tasks."""

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def value(self, task_id: Id, timeout: float | None = None) -> Any:
        """The task's value, or its exception raised; waits for it up to ``timeout`` seconds.

        Raises:
            TaskPending: there is no outcome yet.
            TaskNotFound: there is no such task.
        """
        wanted = as_id(task_id, "task_id")
        for task, payload in self._poll([wanted], timeout):
            if is_finished(task) and payload is not None:
                return outcome(task, payload)
        raise TaskPending(f"The task {wanted} has no outcome yet.")

    def infos(self, task_ids: Sequence[Id], timeout: float | None) -> dict[str, TaskInfo]:
        """Each task's status with its outcome, once all are finished or ``timeout`` seconds have passed.

        Raises:
            TaskNotFound: naming those that do not exist.
        """
        wanted = [as_id(task_id, "task_id") for task_id in task_ids]
        found = {task["task_id"]: info(task, payload or b"") for task, payload in self._poll(wanted, timeout)}
        unfinished = {task_id: each for task_id, each in found.items() if each["pending"]}
        for each in unfinished.values():
            each.later = partial(self._finish, unfinished)
        return {task_id: found[task_id] for task_id in wanted}

    def _finish(self, unfinished: Mapping[str, TaskInfo]) -> None:
        """Wait for all of these, and have each tell its outcome."""
        for task, payload in self._poll(list(unfinished), None):
            known = unfinished[task["task_id"]]
            known.update(info(task, payload or b""))
            known.later = None

    def wait(self, task_ids: Sequence[Id], timeout: float | None = None) -> tuple[set[str], set[str]]:
        """The ids (finished, unfinished) once all are finished, or ``timeout`` seconds have passed."""
        wanted = [as_id(task_id, "task_id") for task_id in task_ids]
        done = {task["task_id"] for task, _ in self._poll(wanted, timeout) if is_finished(task)}
        return done, set(wanted) - done

    def _poll(self, task_ids: Sequence[str], timeout: float | None) -> Iterator[Answer]:
        """Each task once when it is finished, and what is unfinished at the end of ``timeout``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        open_ids = list(dict.fromkeys(task_ids))
        began = time.time_ns()
        while open_ids:
            again = []
            for start in range(0, len(open_ids), MOST_IDS):
                left = LONGEST_POLL if deadline is None else max(0.0, deadline - time.monotonic())
                room = None if deadline is None else max(left, _ROOM)
                asked = open_ids[start : start + MOST_IDS]
                for task, payload in self.fetch(asked, min(left, LONGEST_POLL), room):
                    if payload is None or (not is_finished(task) and left > 0):
                        again.append(task["task_id"])
                    else:
                        if (spans := tracing.spans) is not None and is_finished(task):
                            spans.hop("result", [task["task_id"]], began, time.time_ns())
                        yield task, payload
            open_ids = again

    def fetch(self, task_ids: Sequence[str], wait: float, room: float | None = None) -> list[Answer]:
        """One request for at most ``MOST_IDS`` tasks, answered when all are finished or ``wait`` is over.

        Raises:
            TaskNotFound: naming those that do not exist.
            ServiceUnavailable: the answer is about others.
            TooManyRequests: a limit was in the way for ``room`` seconds.
        """
        body = {"task_ids": task_ids, "wait": round(wait, 3)}
        head, answers = read_results(
            self._transport.request("POST", "/v1/results", json=body, wait=wait, room=room).content
        )
        self._transport.seen.merge(head.get("position"))
        unknown = head.get("unknown") or ()
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise TaskNotFound(f"There is no task {', '.join(unknown[:3])}{more}.")
        if {task["task_id"] for task, _ in answers} != set(task_ids):
            raise ServiceUnavailable("The server's answer is about other tasks than it was asked about.")
        return answers

    def status(self, task_id: Id) -> dict[str, Any]:
        """All that the server knows of a task, but for its value, which is neither sent nor opened.

        Raises:
            TaskNotFound: there is no such task.
        """
        found: dict[str, Any] = self._transport.get(f"/v1/tasks/{as_id(task_id, 'task_id')}")
        return found

    def search(self, limit: int, **filters: str | None) -> Iterator[dict[str, Any]]:
        """The statuses of up to ``limit`` tasks, newest first."""
        cursor = None
        while limit > 0:
            page = self._transport.get("/v1/tasks", limit=min(limit, PAGE), cursor=cursor, **filters)
            yield from page["tasks"]
            limit -= len(page["tasks"])
            cursor = page.get("cursor")
            if not cursor:
                return

    def batch(self, batch_id: str) -> Iterator[dict[str, Any]]:
        """Every task of a batch: task_id, endpoint_id, status, batch_index."""
        cursor = None
        while True:
            page = self._transport.get(f"/v1/batches/{batch_id}", cursor=cursor)
            yield from page["tasks"]
            cursor = page.get("cursor")
            if not cursor:
                return


def read_results(frame: bytes) -> tuple[dict[str, Any], list[Answer]]:
    """The head of a frame of results, and each task with its payload."""
    head, start = unpack(frame)
    tasks = head["tasks"]
    payloads = cut(frame, start, [task.get("size") or 0 for task in tasks])
    return head, [
        (task, None if task.get("truncated") else payload)
        for task, payload in zip(tasks, payloads, strict=True)
    ]
