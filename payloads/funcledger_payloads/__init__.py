"""Code, data and exceptions as bytes and back; only the SDK and the endpoint's workers open them (law 10)."""

from funcledger_payloads.arguments import apart, dump_arguments, with_function
from funcledger_payloads.container import code_of
from funcledger_payloads.errors import (
    ComputeError,
    DeserializationError,
    RemoteTraceback,
    SerializationError,
    TaskExecutionFailed,
    VersionMismatch,
)
from funcledger_payloads.exceptions import ExceptionPayload, dump_exception, load_exception
from funcledger_payloads.functions import (
    FunctionPayload,
    OpenedFunction,
    dump_function,
    dump_source,
    load_function,
    open_function,
)
from funcledger_payloads.values import dump, dump_json, load

__all__ = [
    "ComputeError",
    "DeserializationError",
    "ExceptionPayload",
    "FunctionPayload",
    "OpenedFunction",
    "RemoteTraceback",
    "SerializationError",
    "TaskExecutionFailed",
    "VersionMismatch",
    "apart",
    "code_of",
    "dump",
    "dump_arguments",
    "dump_exception",
    "dump_function",
    "dump_json",
    "dump_source",
    "load",
    "load_exception",
    "load_function",
    "open_function",
    "with_function",
]
