"""Results of named tasks: finished before, landing meanwhile, large, many, unknown, somebody else's."""

import asyncio
import time

import msgspec
from tests.support.apps import BOB
from tests.support.deadlines import scaled
from tests.support.poll import until
from tests.support.queries import Task, ask, query_side, started

from funcledger_event_log.records import Token, TopicPartition
from funcledger_query_api.landed import Landed
from funcledger_query_api.recent import RecentOutcomes
from funcledger_schemas.events import TaskCompleted
from funcledger_schemas.ids import new_id


async def test_finished_tasks_come_with_their_payloads_and_failures_are_results_too() -> None:
    async with query_side() as side:
        good, bad, open_, gone = Task(), Task(), Task(), Task()
        for task in (good, bad, open_, gone):
            await side.append(task.submitted(), task.begun())
        token = await side.append(good.completed(b"v" * 70_000), bad.failed(), gone.cancelled())
        await side.project()
        unknown = new_id()
        head, tasks = await ask(
            side.client, [good.task_id, bad.task_id, open_.task_id, gone.task_id, unknown]
        )
        assert head["unknown"] == [unknown]
        assert tasks[good.task_id][1] == b"v" * 70_000, "a payload that the read models do not hold"
        status, payload = tasks[bad.task_id]
        assert (status["status"], status["error_type"], payload) == ("failed", "ZeroDivisionError", b"error")
        assert tasks[open_.task_id][0]["status"] == "running"
        assert tasks[open_.task_id][0]["pending"] is True
        assert (tasks[gone.task_id][0]["status"], tasks[gone.task_id][0]["message"]) == ("cancelled", "asked")
        assert Token.parse(head["position"]).merge(token).ends == Token.parse(head["position"]).ends


async def test_a_result_waits_for_no_poll_and_no_database() -> None:
    """The read models stand still, and the result is answered all the same, well before the wait is over."""
    async with query_side() as side:
        task = Task()
        token = await side.append(task.submitted())
        asking = asyncio.create_task(ask(side.client, [task.task_id], 30, token))
        await until(lambda: side.side.feed.subscribers == 1)
        await side.append(task.begun(), task.completed())
        async with asyncio.timeout(scaled(2)):
            head, tasks = await asking
        assert tasks[task.task_id][1] == b"value"
        assert Token.parse(head["position"]).ends[TopicPartition("results", 1)] == 3


async def test_a_result_that_has_landed_just_before_waits_for_no_database_either() -> None:
    """Who sends many tasks comes for the first results when they have landed; the read models stand still."""
    async with query_side() as side:
        tasks = [Task(epoch=1) for _ in range(3)]
        await side.append(started(supersedes=0))
        for task in tasks:
            await side.append(task.submitted(), task.begun())
        token = await side.append(tasks[0].completed(), tasks[1].failed())
        await until(lambda: side.side.feed.recent.of(tasks[1].owner, tasks[1].task_id))
        asking = asyncio.create_task(ask(side.client, [task.task_id for task in tasks], 30, token))
        await until(lambda: side.side.feed.subscribers == 1)
        await side.append(tasks[2].completed())
        async with asyncio.timeout(scaled(2)):
            _, found = await asking
        assert {task.task_id: found[task.task_id][0]["status"] for task in tasks} == {
            tasks[0].task_id: "success", tasks[1].task_id: "failed", tasks[2].task_id: "success",
        }  # fmt: skip


async def test_how_things_stand_is_told_by_the_read_models_even_of_what_has_just_landed() -> None:
    """Without a wait the answer is whole: what only the submission tells is in it."""
    async with query_side() as side:
        task = Task(epoch=1)
        await side.append(started(supersedes=0), task.submitted(), task.begun())
        token = await side.append(task.completed())
        await until(lambda: side.side.feed.recent.of(task.owner, task.task_id))
        await side.project()
        _, found = await ask(side.client, [task.task_id], 0, token)
        assert found[task.task_id][0]["function_id"]


async def test_who_does_not_wait_is_told_what_has_landed_though_no_read_model_knows_it() -> None:
    async with query_side() as side:
        task = Task(epoch=1)
        await side.append(started(supersedes=0))
        token = await side.append(task.submitted())
        await side.project()
        await side.append(task.begun(), task.completed())
        await until(lambda: side.side.feed.recent.of(task.owner, task.task_id))
        _, found = await ask(side.client, [task.task_id], 0, token)
        status, payload = found[task.task_id]
        assert (status["status"], payload) == ("success", b"value")


def test_outcomes_are_remembered_up_to_so_many_bytes() -> None:
    def landed(number: int, endpoint: str = "e", payload: bytes = b"") -> Landed:
        task = Task()
        event = msgspec.structs.replace(task.completed(payload), task_id=str(number), endpoint_id=endpoint)
        assert isinstance(event, TaskCompleted)
        return Landed((event.owner, event.task_id, endpoint), 0, number, 0, event, True)

    owner = Task().owner
    recent = RecentOutcomes(limit=10 * landed(0).size)
    for number in range(25):
        recent.add(landed(number))
    assert [number for number in range(25) if recent.of(owner, str(number))] == list(range(15, 25))
    recent.add(landed(24, "another endpoint"))
    assert [each.event.endpoint_id for each in recent.of(owner, "24")] == ["e", "another endpoint"]
    recent.add(landed(99, payload=bytes(20_000)))
    assert not any(recent.of(owner, str(number)) for number in range(100)), "too large by itself"


async def test_a_task_nobody_submitted_is_unknown_once_all_submissions_are_read() -> None:
    async with query_side() as side:
        other = Task()
        await side.append(other.submitted())
        unknown = new_id()
        asking = asyncio.create_task(ask(side.client, [unknown], 30))
        await until(lambda: side.side.feed.subscribers == 1)
        assert not asking.done()
        await side.project()
        async with asyncio.timeout(scaled(2)):
            head, tasks = await asking
        assert (head["unknown"], tasks) == ([unknown], {})


async def test_the_wait_ends_when_it_is_over() -> None:
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted())
        await side.project()
        begun = time.monotonic()
        _, tasks = await ask(side.client, [task.task_id], 0.05)
        assert tasks[task.task_id][0]["pending"]
        assert time.monotonic() - begun < scaled(2)


async def test_an_answer_is_bounded_and_says_what_to_ask_for_again() -> None:
    async with query_side() as side:
        tasks = [Task() for _ in range(9)]
        for task in tasks:
            await side.append(task.submitted(), task.begun(), task.completed(b"x" * 5_242_880))
        await side.project()
        open_ids, rounds = {task.task_id for task in tasks}, 0
        while open_ids:
            _, answers = await ask(side.client, sorted(open_ids))
            assert sum(len(payload) for _, payload in answers.values()) < 33_554_432
            done = {key for key, (status, _) in answers.items() if not status.get("truncated")}
            assert done, "at least one comes each time"
            open_ids -= done
            rounds += 1
        assert rounds == 2


async def test_attack_02_results_of_somebody_else_are_unknown() -> None:
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted(), task.begun(), task.completed())
        await side.project()
        head, tasks = await ask(side.as_user(BOB), [task.task_id])
        assert (head["unknown"], tasks) == ([task.task_id], {})


async def test_law_05_the_first_outcome_is_answered_when_a_second_lands_live() -> None:
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted(), task.begun(), task.cancelled(), task.completed())
        asking = asyncio.create_task(ask(side.client, [task.task_id], 30))
        await until(lambda: side.side.feed.subscribers == 1)
        await side.append(task.completed(b"second"))
        await side.project()
        _, tasks = await asking
        assert tasks[task.task_id][0]["status"] == "cancelled"


async def test_of_one_id_on_two_endpoints_the_one_submitted_first_is_answered() -> None:
    async with query_side() as side:
        first = Task(endpoint_id=new_id(), epoch=None)
        later = Task(task_id=first.task_id, epoch=None)
        await side.append(first.submitted(), first.begun(), first.completed(b"first"), partition=2)
        submitted = time.time_ns() // 1_000_000
        await until(lambda: time.time_ns() // 1_000_000 > submitted)
        await side.append(later.submitted(), later.begun(), later.completed(b"later"))
        await side.project()
        _, tasks = await ask(side.client, [first.task_id])
        assert tasks[first.task_id][1] == b"first"
