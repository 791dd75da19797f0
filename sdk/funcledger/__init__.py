"""funcledger: run Python functions on machines elsewhere and get the value, or the exception, back."""

from funcledger.batch import Batch
from funcledger.client import Client
from funcledger.errors import *  # noqa: F403
from funcledger.errors import __all__ as _errors
from funcledger.executor import Executor
from funcledger.futures import TaskFuture

__all__ = ["Batch", "Client", "Executor", "TaskFuture", *_errors]


def __getattr__(name: str) -> str:
    """``__version__``, which is looked up when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'funcledger' has no attribute {name!r}")
    from importlib.metadata import version

    return version("funcledger")
