"""What ends an agent for good is said in a sentence, and by an exit code for whoever would restart it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from tests.support.endpoint import Endpoint

from funcledger_compose import agent_process
from funcledger_compose.endpoint_dir import EndpointDir
from funcledger_endpoint.local.engine import LocalEngine
from funcledger_event_log.direct import DirectEndpointLog
from funcledger_event_log.endpoint_port import CredentialRefused, Fenced
from funcledger_event_log.port import LogError, PositionGone
from funcledger_event_log.records import Record


class Ending(DirectEndpointLog):
    """A log whose feed of tasks ends in an error that no waiting cures; damage is waited for."""

    error: LogError | None = None

    async def follow_tasks(
        self, start: int, *, credit: int, credit_bytes: int
    ) -> AsyncGenerator[list[Record]]:
        if self.error:
            raise self.error
        yield []


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (PositionGone("tasks are kept from offset 9 on, not from 4"), 76, "keep the log for longer"),
        (LogError("it makes no sense"), 76, "the log cannot serve this endpoint: it makes no sense"),
        (Fenced("a newer agent"), 75, "a newer agent has taken this endpoint over"),
        (CredentialRefused("deleted"), 77, "refuses this endpoint's credential: deleted"),
    ],
)
async def test_an_agent_that_cannot_go_on_says_why_and_ends_with_a_code_of_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: LogError,
    code: int,
    sentence: str,
) -> None:
    endpoint = await Endpoint.create()
    view = Ending(endpoint.log, await endpoint.view().identify())
    view.error = error

    async def ending(*_: Any) -> Ending:
        return view

    monkeypatch.setattr(agent_process, "_log_of", ending)
    # This process has other children than workers, such as the broker of other tests.
    monkeypatch.setattr(agent_process, "_engine", lambda *_: LocalEngine(1))
    where = EndpointDir(tmp_path, "lab")
    where.configure(endpoint.endpoint_id, "http://127.0.0.1:1", "fle_none", 1)
    assert await agent_process._run(where, where.settings(), attached=False) == code
    assert sentence in caplog.text
