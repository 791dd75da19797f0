"""An endpoint speaks only of tasks that were submitted to it (ATTACKS 5 and 39, law 15)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec
import pytest
from tests.support.apps import client_of
from tests.support.endpoints import TestEndpoint, gateway_over, memory_log, say

from funcledger_event_log.endpoint_wire import pack_appends
from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.records import TopicPartition
from funcledger_schemas import events as e
from funcledger_schemas.ids import new_id

pytestmark = [pytest.mark.attack(5, 39), pytest.mark.law(15)]


@dataclass
class Scene:
    """A gateway, an endpoint that lies, and a neighbour of it on the same partition with a task to do."""

    log: MemoryLog
    liar: TestEndpoint
    client: httpx2.AsyncClient
    mine: e.TaskSubmitted
    theirs: e.TaskSubmitted

    async def append(self, *said: e.Event) -> dict[str, Any]:
        (frame,) = pack_appends(said)
        answer = await self.client.post("/v1/gateway/events", content=frame)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def results(self) -> list[e.Event]:
        end = (await self.log.ends("results"))[1]
        batch = await anext(self.log.follow({TopicPartition("results", 1): 0})) if end else []
        return [record.event() for record in batch]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    log, liar, neighbour = await memory_log(), TestEndpoint(), TestEndpoint()
    await say(log, liar.registered(), neighbour.registered())
    mine, theirs = liar.submitted(), neighbour.submitted()
    await say(log, mine, theirs, partition=1)
    async with gateway_over(log) as parts, client_of(parts.app, liar.credential) as client:
        found = Scene(log, liar, client, mine, theirs)
        await found.append(liar.started())
        yield found


def lies(scene: Scene) -> dict[str, e.TaskCompleted]:
    """Outcomes that the liar may not say, by what is wrong with each."""
    true = scene.liar.completed(scene.mine, 0)
    of_theirs = scene.liar.completed(scene.theirs, 0)
    changed = msgspec.structs.replace
    return {
        "a neighbour's task": of_theirs,
        "a neighbour's task at its own offset": changed(of_theirs, submission=true.submission),
        "a task nobody submitted": changed(true, task_id=new_id()),
        "another owner": changed(true, owner="eve"),
        "another batch": changed(true, batch_id=new_id()),
        "another submission": changed(true, submission=1),
        "an offset beyond the log": changed(true, submission=1 << 40),
        "no submission of an unknown task": changed(true, task_id=new_id(), submission=None),
    }


async def test_what_was_not_submitted_to_an_endpoint_it_cannot_end(scene: Scene) -> None:
    for what, lie in lies(scene).items():
        answer = await scene.append(lie)
        assert answer["offsets"] == [None], what
        ((place, word, why),) = answer["refused"]
        assert (place, word) == (0, "not_found"), what
        assert lie.task_id in why
    assert [type(event) for event in await scene.results()] == [e.EndpointStarted]


async def test_a_lie_is_refused_by_itself_and_the_truth_beside_it_is_taken(scene: Scene) -> None:
    false, true = lies(scene)["a neighbour's task"], scene.liar.completed(scene.mine, 0)
    answer = await scene.append(scene.liar.begun(scene.mine, 0), false, true)
    assert answer["offsets"] == [1, None, 2]
    assert [refused[:2] for refused in answer["refused"]] == [[1, "not_found"]]
    assert [event.event_id for event in (await scene.results())[1:]] == [
        (await scene.results())[1].event_id, true.event_id,
    ]  # fmt: skip


async def test_the_first_outcome_is_kept_and_a_second_is_told_so(scene: Scene) -> None:
    first, second = (scene.liar.completed(scene.mine, 0, value) for value in (b"first", b"second"))
    assert await scene.append(first) == {"offsets": [1]}
    answer = await scene.append(second)
    assert (answer["offsets"], answer["refused"][0][1]) == ([None], "already_finished")
    assert len(await scene.results()) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": -1}, {"run_time": -0.5}, {"cpu_time": -1.0}, {"peak_memory": -1},
        {"payload_sha256": "0" * 64},
        {"payload_size": 1}, {"event_id": "not an id"}, {"payload_format": "x" * 100_000},
    ],
    ids=str,
)  # fmt: skip
async def test_hashes_sizes_numbers_and_texts_must_be_possible(scene: Scene, changes: dict[str, Any]) -> None:
    bent = msgspec.structs.replace(scene.liar.completed(scene.mine, 0), **changes)
    (frame,) = pack_appends([bent])
    answer = await scene.client.post("/v1/gateway/events", content=frame)
    assert answer.status_code == 422, answer.text
    assert next(iter(changes)) in answer.json()["detail"]
    assert len(await scene.results()) == 1
