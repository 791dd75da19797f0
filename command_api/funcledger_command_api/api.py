"""The routers of the command side, and what it says of itself."""

from collections.abc import Collection
from typing import Any

from fastapi import APIRouter

from funcledger_command_api import endpoints, functions, shares, tasks
from funcledger_command_api.backlog import Backlog
from funcledger_command_api.commands import Commands
from funcledger_command_api.models import TASK_FIELDS, TASKS_LIMIT
from funcledger_event_log.follower import Tail
from funcledger_event_log.port import EventLog
from funcledger_schemas.limits import BODY_LIMIT, PAYLOAD_LIMIT
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Catalogue

#: For ``/version``: what a client may send.
ABOUT: dict[str, Any] = {
    "task_fields": list(TASK_FIELDS),
    "limits": {"tasks": TASKS_LIMIT, "payload": PAYLOAD_LIMIT, "body": BODY_LIMIT},
}


def routers(
    log: EventLog,
    catalogue: Catalogue,
    tail: Tail,
    backlog: Backlog | None = None,
    users: Collection[Principal] | None = None,
) -> list[APIRouter]:
    """The routers; ``tail``, which feeds ``catalogue``, and ``backlog`` are started elsewhere.

    A backlog that is not started, or not given, knows only what is on its way, and so refuses nothing. Where
    all ``users`` are given, nothing is shared with anybody else.
    """
    commands = Commands(log, catalogue, tail, users)
    others = [part.router(commands) for part in (functions, endpoints, shares)]
    return [tasks.router(commands, backlog or Backlog(log)), *others]
