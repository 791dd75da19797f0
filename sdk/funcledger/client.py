"""The client: everything a user can ask of a server."""

from funcledger.calls.endpoints import EndpointCalls
from funcledger.calls.functions import FunctionCalls
from funcledger.calls.tasks import TaskCalls


class Client(FunctionCalls, TaskCalls, EndpointCalls):
    """A connection to a funcledger server; safe to use from several threads, and in forked processes.

    ``Client()`` finds the server on this machine. ``url`` and ``token`` name another; so do the
    environment's FUNCLEDGER_URL and FUNCLEDGER_TOKEN. ``patience`` is how long, in seconds, a request
    is repeated while the server cannot be reached. While it asks for pauses, because the endpoint's backlog
    is full or requests come too fast, there is no end to that, unless ``room_timeout`` (seconds) sets one.

    Every method raises one of ``funcledger.errors``: Unauthenticated, PermissionDenied,
    ServiceUnavailable, InvalidRequest, and a NotFound that names the id, as the case may be.
    """
