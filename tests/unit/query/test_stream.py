"""Streams of results over real sockets: live, resumed, slow, and at shutdown."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from tests.support.apps import ADA, BOB
from tests.support.deadlines import scaled
from tests.support.poll import until
from tests.support.queries import ENDPOINT, PARTITION, Answers, Side, Task, heads, query_side, read_frame
from tests.support.server import serving

from funcledger_event_log.endpoint_wire import EVENTS_LIMIT
from funcledger_event_log.records import NewRecord, Record, Token, TopicPartition
from funcledger_query_api import stream
from funcledger_query_api.copies import Copies
from funcledger_query_api.seen import Seen
from funcledger_query_api.stream import ResultStream
from funcledger_schemas import frames
from funcledger_schemas.events import TaskStarted
from funcledger_schemas.ids import new_id

Frames = AsyncIterator[tuple[dict[str, Any], Answers]]


@asynccontextmanager
async def streaming(
    side: Side, url: str, batches: Sequence[str], token: str = ADA, **params: str
) -> AsyncIterator[Frames]:
    """The frames of a stream over HTTP, the first one taken and checked."""
    query: dict[str, str | list[str]] = {"batch_id": list(batches), **params}
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=scaled(10)) as client,
        client.stream("GET", f"{url}/v1/results/stream", params=query) as response,
    ):
        assert response.status_code == 200
        found = heads(response.aiter_raw())
        head, _ = await anext(found)
        assert head["hello"] is True
        yield found


async def until_finished(found: Frames, count: int) -> tuple[dict[str, Any], Answers]:
    """Frames until so many tasks have come: the last head, and the tasks."""
    tasks: Answers = {}
    head: dict[str, Any] = {}
    async with asyncio.timeout(scaled(10)):
        while len(tasks) < count:
            head, more = await anext(found)
            assert not tasks.keys() & more.keys(), "none comes twice"
            tasks |= more
    return head, tasks


async def test_a_stream_gives_what_was_finished_and_what_lands_and_only_ones_own() -> None:
    async with query_side() as side, serving(side.app, side.side.close_streams) as url:
        batch = new_id()
        before, after, bobs = Task(batch_id=batch), Task(batch_id=batch), Task(batch_id=batch, owner="bob")
        await side.append(before.submitted(), before.begun(), before.completed(b"v" * 70_000))
        await side.project()
        async with streaming(side, url, [batch]) as found, streaming(side, url, [batch], BOB) as his:
            _, tasks = await until_finished(found, 1)
            assert tasks[before.task_id][1] == b"v" * 70_000
            await side.append(after.submitted(), bobs.submitted())
            await side.append(after.begun(), bobs.begun(), after.failed(), bobs.completed(b"his"))
            _, tasks = await until_finished(found, 1)
            status, payload = tasks[after.task_id]
            assert (status["status"], payload) == ("failed", b"error")
            assert (await until_finished(his, 1))[1].keys() == {bobs.task_id}
        await until(lambda: side.side.feed.subscribers == 0)


async def test_live_results_arrive_while_the_projector_stands_still() -> None:
    """And what was before the stream began comes when the read models know it, without a double."""
    async with query_side() as side, serving(side.app, side.side.close_streams) as url:
        batch = new_id()
        before, live = Task(batch_id=batch), Task(batch_id=batch)
        await side.append(before.submitted(), before.begun(), before.completed())
        await side.fed()
        async with streaming(side, url, [batch]) as found:
            await side.append(live.submitted(), live.begun(), live.completed(b"live"))
            head, tasks = await until_finished(found, 1)
            assert tasks.keys() == {live.task_id}
            assert head["position"] == "results:1:5"
            assert head["resume"] == ";1:3-5", "what was before is still owed"
            await side.project()
            _, tasks = await until_finished(found, 1)
            assert tasks.keys() == {before.task_id}
            head, _ = await anext(found)
            assert head["position"] == head["resume"] == "results:1:5"


async def test_fault_24_a_stream_goes_on_where_it_was_cut() -> None:
    async with query_side() as side, serving(side.app, side.side.close_streams) as url:
        batch = new_id()
        tasks = [Task(batch_id=batch) for _ in range(3)]
        await side.append(*(task.submitted() for task in tasks), *(task.begun() for task in tasks))
        await side.project()
        async with streaming(side, url, [batch]) as found:
            await side.append(tasks[0].completed())
            head, _ = await until_finished(found, 1)
        await side.append(tasks[1].completed())
        await side.project()
        async with streaming(side, url, [batch], after=head["resume"]) as found:
            await side.append(tasks[2].completed())
            _, answers = await until_finished(found, 2)
            assert answers.keys() == {tasks[1].task_id, tasks[2].task_id}


async def test_a_slow_reader_holds_a_bounded_queue_and_is_sent_away() -> None:
    """Its stream ends after what was queued, and the next one brings the rest: none lost, none twice."""
    payload = bytes(4 * 1024 * 1024)
    async with query_side() as side:
        batch = new_id()
        tasks = [Task(batch_id=batch) for _ in range(12)]
        seen, got, streams = Seen(), list[str](), 0
        while len(got) < len(tasks):
            streams += 1
            source = side.stream(batch, seen)
            assert await anext(source)
            if not got:
                await side.append(
                    *(task.submitted() for task in tasks),
                    *(task.begun() for task in tasks),
                    *(task.completed(payload) for task in tasks),
                )
                await side.project()
                await side.fed()
            async for frame in source:
                head, answers = read_frame(frame[4:]) if len(frame) > 4 else ({}, {})
                got += answers
                seen = Seen.parse(head["resume"]) if head else seen
                if len(got) == len(tasks):
                    break
            await source.aclose()
        assert streams == 2
        assert sorted(got) == sorted(task.task_id for task in tasks)


async def test_silence_is_filled_with_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE", 0.01)
    async with query_side() as side:
        source = side.stream(new_id(), Seen())
        found = [await anext(source) for _ in range(4)]
        assert found[-1] == frames.KEEP_ALIVE
        await source.aclose()


async def test_a_server_with_open_streams_and_waits_stops_at_once() -> None:
    async with query_side() as side:
        task = Task()
        await side.append(task.submitted())
        await side.project()
        path = f"/v1/tasks/{task.task_id}?wait=300"
        async with (
            asyncio.timeout(scaled(5)),
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {ADA}"}, timeout=scaled(10)) as client,
            serving(side.app, side.side.close_streams) as url,
            streaming(side, url, [new_id()]) as found,
        ):
            waiting = asyncio.create_task(client.get(url + path))
            await until(lambda: side.side.feed.subscribers == 2)
            side.side.close_streams()
            assert (await waiting).json()["pending"]
            assert [tasks async for _, tasks in found if tasks] == []


async def test_a_text_that_is_no_resume_of_ours_is_refused() -> None:
    async with query_side() as side:
        for text in ("nonsense", "results:1:x", "results:1:5;1", "results:1:5;1:2", ";1:5-x"):
            params = {"batch_id": new_id(), "after": text}
            response = await side.client.get("/v1/results/stream", params=params)
            assert response.status_code == 422, text
            assert response.json()["errors"][0]["field"] == "after"


@pytest.mark.attack(37)
def test_a_resume_of_very_many_spans_is_read_in_time_linear_in_them() -> None:
    """What fits into a header: 20,000 spans of one partition, which one after the other took a minute."""
    text = "results:0:1;" + ";".join(f"0:{2 * at}-{2 * at + 1}" for at in range(1, 20_000))
    begun = time.process_time()
    seen = Seen.parse(text)
    assert time.process_time() - begun < 1.0
    assert [seen.covers(0, at) for at in (2, 3, 4)] == [True, False, True]
    assert str(Seen.parse("results:0:5;0:3-7;0:9-12;0:7-8")) == "results:0:8;0:9-12"


async def test_a_server_that_is_behind_sends_nothing_again() -> None:
    """A client that comes from another server has seen what this one's feed has yet to come to."""
    async with query_side() as side:
        batch = new_id()
        seen, new = Task(batch_id=batch), Task(batch_id=batch)
        source = side.stream(batch, Seen.parse("results:1:3"))
        await anext(source)
        await side.append(seen.submitted(), new.submitted())
        await side.append(seen.begun(), seen.completed(), new.begun(), new.completed())
        got: Answers = {}
        while new.task_id not in got:
            got |= read_frame((await anext(source))[4:])[1]
        assert got.keys() == {new.task_id}
        await source.aclose()


async def test_law_03_an_append_sent_twice_over_a_restart_of_the_server_gives_a_result_once() -> None:
    """The agent got no answer, so all of it comes again; meanwhile this server began, and a client came."""
    async with query_side() as side:
        batch = new_id()
        told, new = Task(batch_id=batch), Task(batch_id=batch)
        unanswered = [told.begun(), told.completed()]
        await side.append(told.submitted(), new.submitted(), *unanswered)
        await side.project()
        async with query_side(side.log, side.store) as later:
            source = later.stream(batch, Seen())
            got: list[str] = []
            await anext(source)
            while told.task_id not in got:
                got += read_frame((await anext(source))[4:])[1]
            await later.append(*unanswered, new.begun(), new.completed())
            while new.task_id not in got:
                got += read_frame((await anext(source))[4:])[1]
            await source.aclose()
        assert got == [told.task_id, new.task_id]


def test_of_an_agent_that_had_begun_before_only_one_append_can_be_copies() -> None:
    copies = Copies()
    began = [Task().begun() for _ in range(EVENTS_LIMIT + 1)]
    records = [_record(event) for event in began]
    assert all(copies.possible(record) for record in records[:-1])
    assert all(copies.possible(record) for record in records[:-1]), "however often they are sent"
    assert not copies.possible(records[-1]), "one append cannot hold so many"
    assert not copies.possible(records[0])


def test_of_an_agent_that_begins_after_the_server_nothing_is_a_copy() -> None:
    copies = Copies()
    copies.begun_anew(ENDPOINT.encode())
    assert not copies.possible(_record(Task().begun()))


def _record(event: TaskStarted) -> Record:
    made = NewRecord.of(event, 0)
    return Record(made.topic, 0, 0, 0, made.key, made.headers, made.value)


@pytest.mark.attack(18)
async def test_batches_join_an_open_stream_and_leave_it() -> None:
    """What had landed before comes, then that it has settled; only its own user may change a stream."""
    async with query_side() as side, serving(side.app, side.side.close_streams) as url:
        before, later, gone = Task(), Task(), Task()
        await side.append(before.submitted(), before.begun(), before.completed(b"before"))
        await side.project()
        sent = {"batch_ids": [], "joining": [gone.batch_id]}
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {ADA}"}, timeout=scaled(10)) as client,
            client.stream("POST", f"{url}/v1/results/stream", json=sent) as response,
        ):
            found = heads(response.aiter_raw())
            stream_id = (await anext(found))[0]["stream"]
            change = {"add": [before.batch_id, later.batch_id], "remove": [gone.batch_id]}
            path = f"/v1/results/stream/{stream_id}"
            async with side.as_user(BOB) as bob:
                assert (await bob.post(path, json=change)).status_code == 410
            assert (await client.post(url + path, json=change)).status_code == 204
            tasks: Answers = {}
            settled: set[str] = set()
            while not {before.batch_id, later.batch_id} <= settled:
                head, more = await anext(found)
                settled |= set(head.get("settled", ()))
                tasks |= more
            assert {task_id: payload for task_id, (_, payload) in tasks.items()} == {
                before.task_id: b"before"
            }
            await side.append(gone.submitted(), gone.begun(), gone.completed(b"nobody's"))
            await side.append(later.submitted(), later.begun(), later.completed(b"later"))
            assert (await until_finished(found, 1))[1].keys() == {later.task_id}
        await until(lambda: side.side.feed.subscribers == 0)
        assert (await side.client.post(path, json=change)).status_code == 410


async def test_a_batch_that_joins_is_sent_whole_whatever_the_client_has_seen_of_others() -> None:
    """Another process, whose feed had read more, may have told the client more than this one knows."""
    async with query_side() as side:
        ahead = Seen(Token({TopicPartition("results", PARTITION): 1000}))
        known, joins = Task(), Task()
        parts = (side.log, side.store, side.side.progress, side.side.feed)
        source = ResultStream(
            *parts, owner="ada", batches=[known.batch_id], joining=[joins.batch_id], seen=ahead
        )
        frames_of = source.frames()
        await anext(frames_of)
        for task in (known, joins):
            await side.append(task.submitted())
        for task in (known, joins):
            await side.append(task.begun(), task.completed(b"here"))
        got: set[str] = set()
        async with asyncio.timeout(scaled(10)):
            while not got:
                got |= read_frame((await anext(frames_of))[4:])[1].keys()
        await frames_of.aclose()
        assert got == {joins.task_id}
