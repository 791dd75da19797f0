"""What became of a call that ended by itself."""

from typing import NamedTuple


class Report(NamedTuple):
    """``kind`` is empty when the call returned, else the kind of failure, as TaskFailed has it.

    Times in seconds, memory in bytes. ``payload`` is the value, or the exception where one travels
    (``payload_format`` is empty where none does), and ``payload_code`` who can read the code that it holds;
    texts are empty where there is nothing to say.
    """

    kind: str = ""
    payload_format: str = ""
    payload: bytes = b""
    run_time: float = 0.0
    cpu_time: float = 0.0
    peak_memory: int = 0
    error_type: str = ""
    message: str = ""
    traceback: str = ""
    payload_code: str = ""
