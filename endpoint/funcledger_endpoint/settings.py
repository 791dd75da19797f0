"""What an operator may set of an agent."""

import msgspec


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in seconds, sizes in bytes."""

    #: How long running tasks may take to finish when the agent is told to stop.
    drain: float = 30.0
    heartbeat: float = 5.0
    #: How often the position is committed when it has moved.
    commit: float = 1.0
    #: Most submissions, and payload bytes of them, that are held in memory before their turn.
    read_ahead: int = 10_000
    read_ahead_bytes: int = 8 << 20
