"""One call: open the arguments, call the function, close the value or the exception; never raises."""

from collections.abc import Callable
from contextvars import copy_context
from time import perf_counter, process_time
from types import CoroutineType
from typing import Any

from funcledger_endpoint.local.frames import Call
from funcledger_endpoint.report import Report
from funcledger_endpoint.worker.functions import Functions
from funcledger_endpoint.worker.limits import WorkerLimits
from funcledger_endpoint.worker.memory import PeakMemory
from funcledger_payloads import (
    ComputeError,
    SerializationError,
    VersionMismatch,
    apart,
    code_of,
    dump,
    dump_exception,
    load,
)
from funcledger_payloads.container import CALL
from funcledger_schemas.limits import PAYLOAD_LIMIT

#: Seconds in which no call can open, make or close a file; and to ask for the processor's time takes 1 µs.
SHORT = 2e-6
_peak = PeakMemory()


def perform(functions: Functions, call: Call, limits: WorkerLimits) -> Report:
    """What became of the call."""
    limits.begin(call.memory)
    payload_format, payload = call.payload_format, call.payload
    try:
        if payload_format == CALL:
            body, payload_format, payload = apart(payload)
            function = functions.brought_along(body)
        else:
            function = functions.get(call.function)
    except VersionMismatch as error:
        return Report("VersionMismatch", message=str(error))
    except BaseException as error:  # the user's module-level code may raise anything
        limits.explain(error)
        return Report("FunctionNotLoaded", message=_said(error))
    try:
        args, kwargs = load(payload_format, payload, "the value that holds the arguments")
    except VersionMismatch as error:
        return Report("VersionMismatch", message=str(error))
    except BaseException as error:
        limits.explain(error)
        return Report("ArgumentsNotLoaded", message=_said(error))
    cpu_began, began = process_time(), perf_counter()  # the dear one outside of the time measured
    try:
        # In a context of its own: the precision of decimal numbers, for one, is not the next call's.
        value = copy_context().run(function, *args, **kwargs)
        if type(value) is CoroutineType:
            value = _run_to_its_end(value)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are outcomes too, not this worker's end
        limits.explain(error)
        return _raised(error, *_times(began, cpu_began))
    return _returned(value, *_times(began, cpu_began), limits)


class SelfTest:
    """Whether this worker's own code still does what it did when this was made."""

    def __init__(self) -> None:
        self._sample: Callable[[], int] = lambda: 2
        self._written = dump(self._sample, "cloudpickle")

    def passes(self) -> bool:
        """Write and open data and code, which takes some 0.5 ms."""
        try:
            written = dump(self._sample, "cloudpickle")
            return bool(load(*self._written)() == load(*written)() == 2 and load(*dump((1, "a"))) == (1, "a"))
        except BaseException:  # whatever a call has put in its way
            return False


def _times(began: float, cpu_began: float) -> tuple[float, float]:
    """Seconds that the call ran, and that it had a processor; in the shortest they are one, unasked."""
    run_time = perf_counter() - began
    return run_time, run_time if run_time < SHORT else process_time() - cpu_began


def _run_to_its_end(coroutine: "CoroutineType[Any, Any, Any]") -> Any:
    """What an async function returns, run in a loop of its own."""
    import asyncio  # slow to import, and few functions are async

    return asyncio.run(coroutine)


def _returned(value: object, run_time: float, cpu_time: float, limits: WorkerLimits) -> Report:
    try:
        payload_format, payload = dump(value)
    except BaseException as error:
        limits.explain(error)
        why = str(error) if isinstance(error, SerializationError) else _said(error)
        text = f"the result, a {type(value).__qualname__}, cannot be sent back: {why}"
        return Report("ResultNotSerializable", "", b"", run_time, cpu_time, _peak.after(run_time), "", text)
    if len(payload) > PAYLOAD_LIMIT:
        text = (
            f"the result takes {len(payload)} bytes, the limit is {PAYLOAD_LIMIT}: "
            "return less, or write it to a file and return its path"
        )
        return Report("ResultTooLarge", "", b"", run_time, cpu_time, _peak.after(run_time), "", text)
    code = code_of(payload_format, payload) or ""
    return Report("", payload_format, payload, run_time, cpu_time, _peak.after(run_time), payload_code=code)


def _raised(error: BaseException, run_time: float, cpu_time: float) -> Report:
    sent = dump_exception(error)
    carried = sent.format is not None and len(sent.payload) <= PAYLOAD_LIMIT
    payload_format, payload = (sent.format or "", sent.payload) if carried else ("", b"")
    texts = (sent.error_type, sent.message, sent.traceback)
    code = code_of(payload_format, payload) or ""
    return Report(
        "Exception", payload_format, payload, run_time, cpu_time, _peak.after(run_time), *texts, code
    )


def _said(error: BaseException) -> str:
    if isinstance(error, ComputeError):
        return str(error)
    sent = dump_exception(error)
    return f"{sent.error_type}: {sent.message}"
