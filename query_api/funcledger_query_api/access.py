"""Who may see a function or an endpoint, and pages of those one may see, newest first.

A page is read from indexes that lead to few too many: one's own, what is public, what was shared with the
user and each of their groups. Whether one of them may be seen is for its ``access`` document to say. So
a page costs what it holds, however many functions and endpoints of others there are.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Generic, Protocol, TypeVar, cast

from funcledger_read_models.documents import ACCESS, GRANTS, Access, Document, Grant, scope
from funcledger_read_models.port import ReadModelStore
from funcledger_web.auth import Principal

T = TypeVar("T", bound=Document)
#: Candidates looked at in one go, and in one request: then the page is short, and its cursor goes on there.
_PIECE, _SCANNED = 250, 2_000


def may_see(access: Access, who: Principal) -> bool:
    """Whether it exists for this principal."""
    if access.deleted:
        return False
    if access.public or access.owner == who.id or who.id in access.users:
        return True
    return not who.groups.isdisjoint(access.groups)


async def is_visible(store: ReadModelStore, kind: str, resource_id: str, who: Principal) -> bool:
    """Whether one function or endpoint (``kind``) exists for this principal."""
    return bool(await those_visible(store, kind, [resource_id], who))


async def those_visible(store: ReadModelStore, kind: str, ids: Sequence[str], who: Principal) -> list[str]:
    """Those of some functions or endpoints that exist for this principal, in the same order."""
    keys = [(kind, resource_id) for resource_id in ids]
    known = (await store.load({ACCESS: keys}))[ACCESS]
    found = [cast("Access", known[key]) for key in keys if key in known]
    return [access.resource_id for access in found if may_see(access, who)]


class Candidates(Protocol):
    """Where a listing looks: ids, among them all that may be seen of what is asked for."""

    async def __call__(self, after: str | None, limit: int) -> list[str]:
        """The ids before ``after``, the highest first; fewer than ``limit`` only where there are no more."""
        ...


def open_to(store: ReadModelStore, kind: str, who: Principal, *, own: bool) -> Candidates:
    """What may be open to this principal; with ``own``, only what is its own."""
    scopes = [scope(kind, "user", who.id), *(scope(kind, "group", group) for group in sorted(who.groups))]

    async def some(after: str | None, limit: int) -> list[str]:
        key = None if after is None else (kind, after)
        found: list[Document] = []
        for where in ({"owner": who.id},) if own else ({"owner": who.id}, {"listed": True}):
            found += await store.find(ACCESS, (kind,), where, after=key, limit=limit, descending=True)
        for name in () if own else scopes:
            key = None if after is None else (name, after)
            found += await store.find(
                GRANTS, (name,), {"open": True}, after=key, limit=limit, descending=True
            )
        return nlargest(limit, {cast("Access | Grant", each).resource_id for each in found})

    return some


@dataclass(slots=True)
class Page(Generic[T]):
    """Part of a listing; ``cursor`` is where the next goes on, None after the last."""

    found: list[T]
    cursor: str | None


async def page_of(
    candidates: Candidates,
    look_up: Callable[[list[str]], Awaitable[list[T]]],
    id_of: Callable[[T], str],
    *,
    after: str | None,
    limit: int,
) -> Page[T]:
    """The first ``limit`` documents after ``after``; fewer, with a cursor, where many had to be passed over.

    ``look_up`` gives the documents of these ids that are to be shown, in the same order.
    """
    found: list[T] = []
    scanned, size = 0, min(limit, _PIECE)
    while len(found) < limit and scanned < _SCANNED:
        ids = await candidates(after, size)
        found += await look_up(ids)
        if len(ids) < size:
            return _cut(found, limit, id_of, None)
        scanned, after = scanned + size, ids[-1]
        size = min(2 * size, _PIECE)
    return _cut(found, limit, id_of, after)


def _cut(found: list[T], limit: int, id_of: Callable[[T], str], after: str | None) -> Page[T]:
    return Page(found[:limit], id_of(found[limit - 1]) if len(found) > limit else after)
