"""The read side of Confluent's Schema Registry API: an ordinary Avro consumer finds every schema here.

What it answers stands in the manifest and changes only with a release. Shapes and error codes are those of
https://docs.confluent.io/platform/current/schema-registry/develop/api.html.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from funcledger_query_api.subjects import RegistryError, Subjects
from funcledger_schemas import manifest
from funcledger_web.auth import BASIC_PATHS, Principal, allow
from funcledger_web.documentation import Responses, problems

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
#: The rule of evolution that every subject is held to.
COMPATIBILITY = "FULL_TRANSITIVE"

Anyone = Annotated[Principal, allow(None)]


class RegistryAnswer(JSONResponse):
    """JSON under the registry's own media type."""

    media_type = MEDIA_TYPE


class RegistryErrorDocument(BaseModel):
    """An error in the registry's own form."""

    error_code: int = Field(description="The status and two digits more, such as 40401.", examples=[40401])
    message: str = Field(description="What was wrong.")


def _answer(content: Any, status: int = 200) -> Response:
    return RegistryAnswer(content, status)


def _says(schema: dict[str, Any]) -> Responses:
    """The answer of a route, in its own media type."""
    return {
        200: {"description": "As the registry's API has it.", "content": {MEDIA_TYPE: {"schema": schema}}}
    }


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
#: A schema itself: Avro's own form.
_AVRO = {"type": "object"}


def _errors() -> Responses:
    """404 and 422 as the registry says them; 422 also as the rest of the server does, of parameters."""
    content = {MEDIA_TYPE: {"schema": RegistryErrorDocument.model_json_schema()}}
    invalid = problems("invalid-request")[422]["content"]
    return {
        404: {"description": "No such subject, version or schema.", "content": content},
        422: {"description": "A version or parameter that cannot be.", "content": {**content, **invalid}},
    }


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
    routes = APIRouter(prefix=BASIC_PATHS.rstrip("/"), tags=["schema registry"], route_class=_Route,
                       default_response_class=RegistryAnswer, responses=_errors())  # fmt: skip
    _add_subjects(routes, subjects)
    _add_schemas(routes, subjects)
    _add_settings(routes, subjects)
    return routes


def _add_subjects(routes: APIRouter, subjects: Subjects) -> None:
    @routes.get(
        "/subjects", summary="Every subject: <topic>-<full name of the event>", responses=_says(_list(_TEXT))
    )
    async def names(_who: Anyone, page: Page) -> Response:
        return page.of(subjects.names())

    @routes.get(
        "/subjects/{subject}/versions", summary="A subject's versions", responses=_says(_list(_NUMBER))
    )
    async def versions(subject: str, _who: Anyone, page: Page) -> Response:
        return page.of(entry.version for entry in subjects.versions(subject))

    @routes.get(
        "/subjects/{subject}/versions/{version}",
        summary="A version with its schema and id",
        responses=_says(_object(subject=_TEXT, version=_NUMBER, id=_NUMBER, schema=_TEXT)),
    )
    async def version(subject: str, version: str, _who: Anyone) -> Response:
        entry = subjects.version(subject, version)
        text = manifest.schema_text(entry)
        return _answer({"subject": subject, "version": entry.version, "id": entry.id, "schema": text})

    @routes.get(
        "/subjects/{subject}/versions/{version}/schema", summary="The schema alone", responses=_says(_AVRO)
    )
    async def text(subject: str, version: str, _who: Anyone) -> Response:
        return _answer(manifest.schema(subjects.version(subject, version)))


def _add_schemas(routes: APIRouter, subjects: Subjects) -> None:
    @routes.get("/schemas/types", summary="The kinds of schemas there are", responses=_says(_list(_TEXT)))
    async def types(_who: Anyone) -> Response:
        return _answer(["AVRO"])

    # Clients that name subjects in another way ask with "?subject=" all the same: an id has one meaning.
    @routes.get(
        "/schemas/ids/{number}",
        summary="The schema of an id in a record's first bytes",
        responses=_says(_object(schema=_TEXT)),
    )
    async def schema(number: int, _who: Anyone) -> Response:
        return _answer({"schema": manifest.schema_text(subjects.of_id(number)[1])})

    @routes.get("/schemas/ids/{number}/schema", summary="The same alone", responses=_says(_AVRO))
    async def text(number: int, _who: Anyone) -> Response:
        return _answer(manifest.schema(subjects.of_id(number)[1]))

    @routes.get(
        "/schemas/ids/{number}/subjects", summary="Which subject has it", responses=_says(_list(_TEXT))
    )
    async def subject(number: int, _who: Anyone, page: Page) -> Response:
        return page.of([subjects.of_id(number)[0]])

    @routes.get(
        "/schemas/ids/{number}/versions",
        summary="Which subject has it, and as which version",
        responses=_says(_list(_object(subject=_TEXT, version=_NUMBER))),
    )
    async def version(number: int, _who: Anyone, page: Page) -> Response:
        subject, entry = subjects.of_id(number)
        return page.of([{"subject": subject, "version": entry.version}])


def _add_settings(routes: APIRouter, subjects: Subjects) -> None:
    @routes.get(
        "/config", summary="The rule of evolution", responses=_says(_object(compatibilityLevel=_TEXT))
    )
    async def config(_who: Anyone) -> Response:
        return _answer({"compatibilityLevel": COMPATIBILITY})

    @routes.get(
        "/config/{subject}",
        summary="A subject's rule of evolution",
        responses=_says(_object(compatibilityLevel=_TEXT)),
    )
    async def config_of(subject: str, _who: Anyone) -> Response:
        subjects.versions(subject)
        return _answer({"compatibilityLevel": COMPATIBILITY})

    @routes.get(
        "/mode",
        summary="Whether anything can be registered: nothing can",
        responses=_says(_object(mode=_TEXT)),
    )
    async def mode(_who: Anyone) -> Response:
        return _answer({"mode": "READONLY"})
