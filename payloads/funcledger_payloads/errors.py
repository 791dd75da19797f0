"""What can go wrong with code and data on their way; the SDK gives these to the user as they are."""


class ComputeError(Exception):
    """The root of every error of funcledger."""


class SerializationError(ComputeError):
    """Something cannot be turned into bytes; the message names what and why."""


class DeserializationError(ComputeError):
    """Bytes cannot be turned back into what they were; the message names why."""


class VersionMismatch(ComputeError):
    """A function cannot run under this version of Python; the message names both."""


class TaskExecutionFailed(ComputeError):
    """A task failed with something that cannot be raised here as itself; the message is its text.

    ``error_type`` names the remote exception's type, ``remote_traceback`` is its text, where known.
    """

    error_type: str | None = None
    remote_traceback: str | None = None


class RemoteTraceback(Exception):
    """The traceback of the remote exception it is the cause of, printed above it."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""' if self.args else ""
