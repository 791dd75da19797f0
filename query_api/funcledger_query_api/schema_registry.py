"""The read side of Confluent's Schema Registry API: an ordinary Avro consumer finds every schema here.

What it answers stands in the manifest and changes only with a release. Shapes and error codes are those of
https://docs.confluent.io/platform/current/schema-registry/develop/api.html.
"""

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from funcledger_query_api.subjects import RegistryError, Subjects
from funcledger_schemas import manifest
from funcledger_web.auth import BASIC_PATHS, Principal, allow

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
#: The rule of evolution that every subject is held to.
COMPATIBILITY = "FULL_TRANSITIVE"

Anyone = Annotated[Principal, allow(None)]


def _answer(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type=MEDIA_TYPE)


class _Route(APIRoute):
    """A route whose errors have the registry's own shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def telling(request: Request) -> Response:
            try:
                return await handler(request)
            except RegistryError as error:
                return _answer({"error_code": error.code, "message": str(error)}, error.code // 100)

        return telling


class _Page:
    """Which part of a list is asked for; all of it unless a ``limit`` of 0 or more is given."""

    def __init__(
        self, offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=-1)] = -1
    ) -> None:
        self._part = slice(offset, None if limit < 0 else offset + limit)

    def of(self, items: Iterable[Any]) -> Response:
        return _answer(list(items)[self._part])


Page = Annotated[_Page, Depends()]


def router(prefix: str = "") -> APIRouter:
    """Its routes, below ``/schema-registry``; ``prefix`` is what the cluster's topics are named with."""
    subjects = Subjects(prefix)
    routes = APIRouter(prefix=BASIC_PATHS.rstrip("/"), tags=["schema registry"], route_class=_Route)
    _add_subjects(routes, subjects)
    _add_schemas(routes, subjects)
    _add_settings(routes, subjects)
    return routes


def _add_subjects(routes: APIRouter, subjects: Subjects) -> None:
    @routes.get("/subjects", summary="Every subject: <topic>-<full name of the event>")
    async def names(_who: Anyone, page: Page) -> Response:
        return page.of(subjects.names())

    @routes.get("/subjects/{subject}/versions", summary="A subject's versions")
    async def versions(subject: str, _who: Anyone, page: Page) -> Response:
        return page.of(entry.version for entry in subjects.versions(subject))

    @routes.get("/subjects/{subject}/versions/{version}", summary="A version with its schema and id")
    async def version(subject: str, version: str, _who: Anyone) -> Response:
        entry = subjects.version(subject, version)
        text = manifest.schema_text(entry)
        return _answer({"subject": subject, "version": entry.version, "id": entry.id, "schema": text})

    @routes.get("/subjects/{subject}/versions/{version}/schema", summary="The schema alone")
    async def text(subject: str, version: str, _who: Anyone) -> Response:
        return _answer(manifest.schema(subjects.version(subject, version)))


def _add_schemas(routes: APIRouter, subjects: Subjects) -> None:
    @routes.get("/schemas/types", summary="The kinds of schemas there are")
    async def types(_who: Anyone) -> Response:
        return _answer(["AVRO"])

    # Clients that name subjects in another way ask with "?subject=" all the same: an id has one meaning.
    @routes.get("/schemas/ids/{number}", summary="The schema of an id in a record's first bytes")
    async def schema(number: int, _who: Anyone) -> Response:
        return _answer({"schema": manifest.schema_text(subjects.of_id(number)[1])})

    @routes.get("/schemas/ids/{number}/schema", summary="The same alone")
    async def text(number: int, _who: Anyone) -> Response:
        return _answer(manifest.schema(subjects.of_id(number)[1]))

    @routes.get("/schemas/ids/{number}/subjects", summary="Which subject has it")
    async def subject(number: int, _who: Anyone, page: Page) -> Response:
        return page.of([subjects.of_id(number)[0]])

    @routes.get("/schemas/ids/{number}/versions", summary="Which subject has it, and as which version")
    async def version(number: int, _who: Anyone, page: Page) -> Response:
        subject, entry = subjects.of_id(number)
        return page.of([{"subject": subject, "version": entry.version}])


def _add_settings(routes: APIRouter, subjects: Subjects) -> None:
    @routes.get("/config", summary="The rule of evolution")
    async def config(_who: Anyone) -> Response:
        return _answer({"compatibilityLevel": COMPATIBILITY})

    @routes.get("/config/{subject}", summary="A subject's rule of evolution")
    async def config_of(subject: str, _who: Anyone) -> Response:
        subjects.versions(subject)
        return _answer({"compatibilityLevel": COMPATIBILITY})

    @routes.get("/mode", summary="Whether anything can be registered: nothing can")
    async def mode(_who: Anyone) -> Response:
        return _answer({"mode": "READONLY"})
