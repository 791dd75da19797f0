"""ATTACKS 31: what goes wrong inside is told with a number, never with what happened."""

import logging

import pytest
from tests.support.commands import FRAME, command_side, group, task_frame, with_topics

from funcledger_event_log.memory import MemoryLog
from funcledger_event_log.port import LogUnavailable

SECRET = "mongodb://root:hunter2@db.internal/ledger"


class _Broken(MemoryLog):
    """A log whose errors hold what nobody outside may read."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def append(self, records):  # type: ignore[no-untyped-def]
        if records[0].topic == "tasks":
            raise self._error
        return await super().append(records)


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError(SECRET), 500), (LogUnavailable(SECRET), 503), (KeyError(SECRET), 500)]
)
async def test_an_error_inside_leaves_nothing_of_itself_in_the_answer(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator finds it in the log, under the number that the client was told."""
    async with command_side(await with_topics(_Broken(error))) as side:
        body = task_frame([group(await side.endpoint(), await side.register(), [b"x"])], [b"x"])
        with caplog.at_level(logging.ERROR):
            response = await side.client.post("/v1/tasks", content=body, headers=FRAME)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    said = response.text + str(dict(response.headers))
    for part in ("hunter2", "mongodb", "Traceback", "Error", ".py", type(error).__name__):
        assert part not in said
    if status == 500:
        [told] = [record for record in caplog.records if response.json()["incident"] in record.getMessage()]
        assert told.exc_info is not None
        assert told.exc_info[1] is error


async def test_a_wrong_request_is_not_repeated_in_the_answer() -> None:
    """Field names and reasons, not values: a token pasted into the wrong field does not come back."""
    async with command_side() as side:
        response = await side.client.post(
            "/v1/tasks", json={"tasks": [{"payload": SECRET, "batch_id": SECRET}]}
        )
    assert response.status_code == 422
    assert "hunter2" not in response.text
    assert "pydantic" not in response.text
