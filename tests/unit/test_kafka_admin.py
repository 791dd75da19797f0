"""The client for questions: replaced when it waits in vain, and then gone."""

import gc

import psutil
import pytest

from funcledger_compose.native.process import free_port
from funcledger_event_log.kafka import KafkaSettings, admin
from funcledger_event_log.kafka.admin import Admin
from funcledger_event_log.port import LogUnavailable


async def test_row_14_clients_that_are_replaced_leave_no_threads_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found in a service whose broker was away for twenty minutes: it had 760 threads."""
    monkeypatch.setattr(admin, "ANSWER_TIMEOUT", 1.0)
    asked = Admin(KafkaSettings(f"127.0.0.1:{free_port()}"))
    process = psutil.Process()
    gc.disable()
    try:
        with pytest.raises(LogUnavailable, match="Connection refused"):
            await asked.brokers()
        threads = process.num_threads()
        monkeypatch.setattr(admin, "ANSWER_TIMEOUT", 0.1)
        for _ in range(5):
            with pytest.raises(LogUnavailable):
                await asked.brokers()
        assert process.num_threads() <= threads + 4
    finally:
        gc.enable()


def test_a_client_that_nobody_needs_any_more_is_gone_at_once() -> None:
    """Each look at the cluster by somebody who starts has one."""
    process = psutil.Process()
    gc.disable()
    try:
        threads = process.num_threads()
        for _ in range(5):
            Admin(KafkaSettings(f"127.0.0.1:{free_port()}"))
        assert process.num_threads() <= threads + 1
    finally:
        gc.enable()
