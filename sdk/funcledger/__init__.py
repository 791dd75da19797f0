"""funcledger: run Python functions on machines elsewhere and get the value, or the exception, back."""

from funcledger.batch import Batch
from funcledger.client import Client
from funcledger.errors import *  # noqa: F403
from funcledger.errors import __all__ as _errors
from funcledger.executor import Executor
from funcledger.futures import TaskFuture

__all__ = ["Batch", "Client", "Executor", "TaskFuture", *_errors]
