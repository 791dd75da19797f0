"""Whether an endpoint is online: the one rule, for the query side and the keeper."""

from funcledger_read_models.documents import EndpointHealth

#: Shown offline after so many milliseconds without a sign of life: three missed heartbeats.
OFFLINE_AFTER = 15_000


def last_seen(health: EndpointHealth) -> int | None:
    """Append time of the current agent's last sign of life, in milliseconds; None when none ever started."""
    if not health.epochs:
        return None
    seen = [health.started_at, _heartbeat_of_current(health)]
    return max((at for at in seen if at is not None), default=None)


def is_online(health: EndpointHealth, now: int) -> bool:
    """Whether a live agent stands behind the endpoint; ``now`` in milliseconds since 1970.

    Not deleted, not stopped in its current epoch, and a start or heartbeat of that epoch within
    ``OFFLINE_AFTER`` of now.
    """
    seen = last_seen(health)
    if seen is None or health.deleted or health.stopped_epoch == health.epochs[-1]:
        return False
    return now - seen <= OFFLINE_AFTER


def _heartbeat_of_current(health: EndpointHealth) -> int | None:
    """A heartbeat of an agent that was taken over says nothing of the one that took over."""
    if health.heartbeat_epoch is not None and health.heartbeat_epoch < health.epochs[-1]:
        return None
    return health.heartbeat_at
