"""How long one waits for many tasks: they are asked for a thousand at a time, and time runs on."""

import json
import pickle
import time
from typing import Any

import pytest

from funcledger import Client
from funcledger.results import MOST_IDS, Answer, Results
from funcledger_schemas.ids import new_id


class Unfinished(Results):
    """Tasks that do not end; each request takes all the time it may."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.now = 0.0
        self.asked: list[int] = []

    def fetch(self, task_ids: Any, wait: float, room: float | None = None) -> list[Answer]:
        self.asked.append(len(task_ids))
        self.now += wait
        return [({"task_id": each, "status": "running"}, b"") for each in task_ids]


def test_a_timeout_is_for_all_of_them_however_many_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    results = Unfinished()
    monkeypatch.setattr(time, "monotonic", lambda: results.now)
    ids = [new_id() for _ in range(5 * MOST_IDS)]
    done, not_done = results.wait(ids, timeout=7)
    assert (done, not_done) == (set(), set(ids))
    assert results.now == pytest.approx(7)
    assert sum(results.asked) >= len(ids), "all of them are asked for, those after the time is over at once"


class EndsWhenWaitedFor(Results):
    """Tasks that have ended as soon as a request waits at all."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.waited = 0

    def fetch(self, task_ids: Any, wait: float, room: float | None = None) -> list[Answer]:
        self.waited += wait > 0
        ended = {"status": "success", "payload_format": "pickle", "finished_at": 1000}
        task = ended if wait else {"status": "running"}
        return [({"task_id": each, **task}, pickle.dumps(49)) for each in task_ids]


def test_a_batch_says_how_it_stands_and_waits_for_a_value_that_is_read() -> None:
    results, ids = EndsWhenWaitedFor(), [new_id() for _ in range(3)]
    infos = results.infos(ids, 0)
    first, second, third = infos.values()
    assert [each["status"] for each in infos.values()] == ["running"] * 3
    assert "result" not in first
    assert first.get("result") is None
    assert json.loads(json.dumps(first))["pending"] is True
    assert "result" not in pickle.loads(pickle.dumps(third))
    assert results.waited == 0
    assert first["result"] == 49
    assert (first["status"], bool(first["pending"])) == ("success", False)
    assert second["result"] == third["result"] == 49
    assert results.waited == 1, "once for all of them"
    with pytest.raises(KeyError):
        first["exception"]


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [({}, 0), ({"wait": True}, None), ({"wait": 3}, 3), ({"timeout": 5}, 5),
     ({"wait": True, "timeout": 5}, 5),
     ({"wait": False, "timeout": 5}, 0)],
)  # fmt: skip
def test_a_batch_is_waited_for_as_long_as_is_said(asked: dict[str, Any], seconds: float | None) -> None:
    with Client("http://127.0.0.1:9", "flu_x") as client:
        given: list[float | None] = []
        client.results.infos = lambda _, timeout: given.append(timeout) or {}  # type: ignore[method-assign,func-returns-value,assignment]
        client.get_batch_result([], **asked)
    assert given == [seconds]
