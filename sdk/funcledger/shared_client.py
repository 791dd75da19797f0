"""The client of executors that were given none: one for each server that a program talks to."""

import os
from weakref import WeakValueDictionary, finalize

from funcledger.client import Client
from funcledger.settings import Server, find_server

#: By process, since a forked child has none of its parent's threads and may not use its connections.
_clients: "WeakValueDictionary[tuple[int, Server], Client]" = WeakValueDictionary()


def shared_client() -> Client:
    """A client of the server that the environment names; closed when the last executor lets go of it.

    Raises:
        ServiceUnavailable, Unauthenticated, PermissionDenied: as ``Client()``.
    """
    key = (os.getpid(), find_server())
    client = _clients.get(key)
    if client is None or client.closed:
        client = _clients[key] = Client()
        # Not at the program's end: what exit handlers submit is still to be sent.
        finalize(client, client.transport.close).atexit = False
    return client
