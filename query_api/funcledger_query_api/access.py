"""Who may see a function or an endpoint: its owner, those it is shared with, everybody if it is public."""

from collections.abc import AsyncIterator

from funcledger_read_models.documents import ACCESS, Access, Key
from funcledger_read_models.port import ReadModelStore
from funcledger_web.auth import Principal

_PAGE = 1000


def may_see(access: Access, who: Principal) -> bool:
    """Whether it exists for this principal."""
    if access.deleted:
        return False
    if access.public or access.owner == who.id or who.id in access.users:
        return True
    return not who.groups.isdisjoint(access.groups)


async def is_visible(store: ReadModelStore, kind: str, resource_id: str, who: Principal) -> bool:
    """Whether one function or endpoint (``kind``) exists for this principal."""
    access = await store.get(ACCESS, (kind, resource_id))
    return isinstance(access, Access) and may_see(access, who)


async def visible(store: ReadModelStore, kind: str, who: Principal, own: bool) -> AsyncIterator[str]:
    """The ids of all functions or endpoints that exist for this principal; with ``own``, only its own."""
    where = {"owner": who.id} if own else {}
    after: Key | None = None
    while page := await store.find(ACCESS, (kind,), where, after=after, limit=_PAGE):
        for access in page:
            if isinstance(access, Access) and may_see(access, who):
                yield access.resource_id
        after = ACCESS.key_of(page[-1])
