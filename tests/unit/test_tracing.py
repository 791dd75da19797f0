"""One task is one trace, from `run` to its result; and nothing at all while tracing is off."""

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.service import service
from tests.support.standalone import standalone

from funcledger import Client, Executor
from funcledger.errors import InvalidRequest
from funcledger_compose.logs import JsonLines
from funcledger_compose.spans import TaskIds
from funcledger_schemas import tracing
from funcledger_schemas.ids import new_id

#: Every part a task comes through, in this order, and then back.
HOPS = {"submit", "task", "deliver", "endpoint", "call", "report", "answer", "result"}


@pytest.fixture
def told() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=TaskIds())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.enable(tracing.Spans(provider.get_tracer("test")))
    try:
        yield exporter
    finally:
        tracing.enable(None)
        provider.shutdown()


def by_task(exporter: InMemorySpanExporter) -> dict[str, dict[str, ReadableSpan]]:
    found: dict[str, dict[str, ReadableSpan]] = {}
    for span in exporter.get_finished_spans():
        assert span.attributes is not None
        mine = found.setdefault(str(span.attributes["funcledger.task_id"]), {})
        name = span.name.removeprefix("funcledger.")
        assert name not in mine, f"{name} is there twice"
        mine[name] = span
    return found


def whole(exporter: InMemorySpanExporter, tasks: int) -> Callable[[], bool]:
    return lambda: [set(spans) for spans in by_task(exporter).values()] == [HOPS] * tasks


def test_one_task_is_one_trace_from_run_to_result(told: InMemorySpanExporter) -> None:
    with service() as running, running.endpoint("lab"), running.client() as client:
        task = client.run(2, 10, endpoint_id="lab", function_id=client.register_function(pow))
        assert client.get_result(task) == 1024
        with Executor(endpoint_id="lab", client=client) as executor:
            assert list(executor.map(abs, range(-3, 0))) == [3, 2, 1]
        until_sync(whole(told, 4))
        history = client.get_task_history(task)
        traces = by_task(told)
        assert task in traces
    for task_id, spans in traces.items():
        root = spans["task"]
        assert root.parent is None
        ids = {f"{span.context.trace_id:032x}" for span in spans.values() if span.context}
        assert ids == {task_id.replace("-", "")}
        assert {span.parent.span_id for span in spans.values() if span.parent} == {root.context.span_id}
        assert all(span.end_time >= span.start_time > 0 for span in spans.values())  # type: ignore[operator]
        assert spans["call"].attributes["funcledger.cpu_time"] >= 0  # type: ignore[index, operator]
        assert spans["endpoint"].attributes["funcledger.outcome"] == "TaskCompleted"  # type: ignore[index]
    assert [entry["type"] for entry in history] == ["TaskSubmitted", "TaskStarted", "TaskCompleted"]


def test_every_record_about_the_task_carries_its_traceparent(told: InMemorySpanExporter) -> None:
    from funcledger_event_log.memory import MemoryLog
    from funcledger_event_log.records import TopicPartition

    log = MemoryLog()
    with service(log) as running, running.endpoint("lab"), running.client() as client:
        task = client.run(2, 10, endpoint_id="lab", function_id=client.register_function(pow))
        client.get_result(task)
        records = [
            record
            for topic in ("tasks", "results")
            for partition in range(running_partitions(log, topic))
            for record in log.take(TopicPartition(topic, partition), 0, 1000, 1 << 30) or ()
            if (b"%s" % task.encode()) in dict(record.headers).get("ce_subject", b"")
        ]
    digits = task.replace("-", "")
    wanted = f"00-{digits}-{digits[16:]}-01".encode()
    assert [dict(record.headers)["traceparent"] for record in records] == [wanted] * 3


def running_partitions(log: object, topic: str) -> int:
    import asyncio

    return asyncio.run(log.partitions(topic))  # type: ignore[attr-defined, no-any-return]


def test_the_application_s_own_span_is_linked_and_not_grown(told: InMemorySpanExporter) -> None:
    with service() as running, running.endpoint("lab"), running.client() as client:
        function = client.register_function(pow)
        around = TracerProvider().get_tracer("application").start_span("report")
        with trace.use_span(around, end_on_exit=True):
            task = client.run(2, 2, endpoint_id="lab", function_id=function)
        client.get_result(task)
        (link,) = by_task(told)[task]["submit"].links
    assert link.context == around.get_span_context()


def test_a_part_of_the_tasks_is_traced_and_everybody_means_the_same_part() -> None:
    spans = tracing.Spans(trace.get_tracer("none"), 0.25)
    ids = [new_id() for _ in range(4000)]
    traced = {each for each in ids if spans.sampled(each)}
    assert 800 < len(traced) < 1200
    assert traced == {each for each in ids if tracing.Spans(trace.get_tracer("other"), 0.25).sampled(each)}
    assert not any(tracing.Spans(trace.get_tracer("none"), 0.0).sampled(each) for each in ids)
    assert not spans.sampled("not-an-id")
    assert spans.headers("not-an-id") == ()


@pytest.mark.parametrize("text", ["yes", "-0.1", "1.5"])
def test_a_ratio_that_is_none_is_refused_with_a_sentence(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCLEDGER_TRACE", text)
    with pytest.raises(InvalidRequest, match=f"FUNCLEDGER_TRACE must be a number .* not '{re.escape(text)}'"):
        Client("http://127.0.0.1:1", "flu_" + "x" * 43)


def test_without_it_a_scientist_s_process_does_not_load_opentelemetry() -> None:
    program = (
        "import sys, funcledger\n"
        f"funcledger.Client('http://127.0.0.1:1', 'flu_{'x' * 43}').close()\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_off_it_costs_nothing_that_can_be_felt() -> None:
    """What a hop does per task while tracing is off: look at one name."""
    assert not tracing.spans
    rounds = 200_000
    began = time.process_time()
    for _ in range(rounds):
        if (spans := tracing.spans) is not None:
            spans.headers("")
    assert (time.process_time() - began) / rounds < scaled(0.2e-6)


def test_structured_logs_carry_the_ids_of_task_and_trace() -> None:
    task_id = new_id()
    record = logging.LogRecord("agent", logging.WARNING, "", 0, "task %s: lost", (task_id,), None)
    record.task_id = task_id
    said = json.loads(JsonLines().format(record))
    assert said["task_id"] == task_id
    assert said["trace_id"] == task_id.replace("-", "")
    assert (said["level"], said["logger"], said["message"]) == ("warning", "agent", f"task {task_id}: lost")


def test_processes_tell_of_the_same_trace_each_for_itself(tmp_path: Path) -> None:
    """Server and agent are processes of their own; both write their spans, and their logs, as lines."""
    more = {"FUNCLEDGER_TRACE": "1", "OTEL_TRACES_EXPORTER": "console", "FUNCLEDGER_LOG_FORMAT": "json",
            "OTEL_BSP_SCHEDULE_DELAY": "100"}  # fmt: skip
    with standalone(tmp_path / "data", "--workers", "1", more=more) as server, server.client() as client:
        task = client.run(2, 10, endpoint_id="local", function_id=client.register_function(pow))
        assert client.get_result(task) == 1024
        dies = client.run(9, endpoint_id="local", function_id=client.register_function(_kill))
        client.wait([dies], timeout=scaled(30))
        logs = [server.output, *(tmp_path / "data" / "endpoints" / "local").glob("*.log")]

        def lines() -> list[dict[str, object]]:
            text = "".join(log.read_text() for log in logs)
            return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

        def named() -> bool:
            mine = [s for s in lines() if "context" in s and task.replace("-", "") in str(s["context"])]
            return {str(s["name"]).removeprefix("funcledger.") for s in mine} == HOPS - {"submit", "result"}

        until_sync(named, 20)
        until_sync(lambda: any(said.get("task_id") == dies and said.get("trace_id") for said in lines()), 20)


def _kill(number: int) -> None:
    import os

    os.kill(os.getpid(), number)


def test_without_the_extra_a_server_that_is_to_trace_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from funcledger_compose import main, tracing

    monkeypatch.setitem(main.PROBES, "tracing", ("opentelemetry.nothing", "nothing_at_all.here"))
    with pytest.raises(SystemExit):
        tracing.configure("server", {"FUNCLEDGER_TRACE": "1"})
    said = capsys.readouterr().err
    assert "opentelemetry.nothing, nothing_at_all.here" in said
    assert "pip install 'funcledger[tracing]'" in said
    tracing.configure("server", {})
