"""Which endpoints are offline just now."""

from collections.abc import Iterable

from funcledger_read_models.documents import ENDPOINT_HEALTH, BatchResult, EndpointHealth, TaskStatus
from funcledger_read_models.liveness import is_online
from funcledger_read_models.port import ReadModelStore
from funcledger_schemas.lifecycle import Status


async def offline_among(
    store: ReadModelStore, tasks: Iterable[TaskStatus | BatchResult], at: int
) -> frozenset[str]:
    """The endpoints without a live agent, at this time of the log's (ms), among those that tasks wait for."""
    wanted = {task.endpoint_id for task in tasks if task.status == Status.RECEIVED}
    if not wanted:
        return frozenset()
    known = (await store.load({ENDPOINT_HEALTH: [(each,) for each in wanted]})).get(ENDPOINT_HEALTH, {})
    online = {
        health.endpoint_id
        for health in known.values()
        if isinstance(health, EndpointHealth) and is_online(health, at)
    }
    return frozenset(wanted - online)
