"""The schemas, for ordinary consumers: what is answered in which shape, and who may ask how."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from fastapi import FastAPI
from tests.support.apps import ADA, app_of, client_of
from tests.support.server import serving
from tests.support.whole import whole_app

from funcledger_query_api.schema_registry import router
from funcledger_schemas import manifest

SUBJECT = "tasks-funcledger.events.TaskSubmitted"
ENTRY = manifest.latest("TaskSubmitted")


@pytest.fixture
def app() -> FastAPI:
    return app_of(router(), allowed_hosts=["*"])


async def asked(app: FastAPI, path: str, status: int = 200) -> Any:
    async with client_of(app) as client:
        response = await client.get(f"/schema-registry{path}")
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    return response.json()


async def test_subjects_are_named_by_topic_and_record_and_begin_with_the_prefix(app: FastAPI) -> None:
    names = await asked(app, "/subjects")
    assert len(names) == len({entry.name for entry in manifest.entries()})
    assert SUBJECT in names
    assert f"lab.{SUBJECT}" in await asked(app_of(router("lab.")), "/subjects")


async def test_a_version_names_its_id_and_the_id_its_schema(app: FastAPI) -> None:
    assert await asked(app, f"/subjects/{SUBJECT}/versions") == [1, 2]
    found = await asked(app, f"/subjects/{SUBJECT}/versions/2")
    assert found == await asked(app, f"/subjects/{SUBJECT}/versions/latest")
    assert (found["subject"], found["version"], found["id"]) == (SUBJECT, 2, ENTRY.id)
    assert json.loads(found["schema"]) == manifest.schema(ENTRY)
    assert await asked(app, f"/schemas/ids/{ENTRY.id}") == {"schema": found["schema"]}
    assert await asked(app, f"/schemas/ids/{ENTRY.id}?subject=tasks-value") == {"schema": found["schema"]}
    assert await asked(app, f"/schemas/ids/{ENTRY.id}/schema") == manifest.schema(ENTRY)
    assert await asked(app, f"/schemas/ids/{ENTRY.id}/subjects") == [SUBJECT]
    assert await asked(app, f"/schemas/ids/{ENTRY.id}/versions") == [{"subject": SUBJECT, "version": 2}]


async def test_the_kinds_the_rule_and_the_mode(app: FastAPI) -> None:
    assert await asked(app, "/schemas/types") == ["AVRO"]
    assert await asked(app, "/config") == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert await asked(app, f"/config/{SUBJECT}") == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert await asked(app, "/mode") == {"mode": "READONLY"}


async def test_lists_come_in_pages(app: FastAPI) -> None:
    names = await asked(app, "/subjects")
    assert await asked(app, "/subjects?offset=2&limit=3") == names[2:5]
    assert await asked(app, f"/subjects?offset={len(names)}&limit=3") == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/subjects/tasks-value/versions", 404, 40401),
        ("/subjects/tasks-value/versions/1", 404, 40401),
        ("/config/tasks-value", 404, 40401),
        (f"/subjects/{SUBJECT}/versions/3", 404, 40402),
        (f"/subjects/{SUBJECT}/versions/0", 422, 42202),
        (f"/subjects/{SUBJECT}/versions/newest", 422, 42202),
        ("/schemas/ids/999999", 404, 40403),
        ("/schemas/ids/999999/versions", 404, 40403),
    ],
)
async def test_errors_have_the_registry_s_own_shape(app: FastAPI, path: str, status: int, code: int) -> None:
    found = await asked(app, path, status)
    assert found["error_code"] == code
    assert found["message"]


async def test_nothing_can_be_registered(app: FastAPI) -> None:
    async with client_of(app) as client:
        response = await client.post(f"/schema-registry/subjects/{SUBJECT}/versions", json={"schema": "{}"})
    assert response.status_code == 405


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def test_the_token_may_be_a_password_here_and_nowhere_else() -> None:
    """A browser sends a password along by itself: it must not open what changes things."""
    app = await whole_app()
    async with client_of(app, token=None) as client:
        for user in ("", "ada"):
            assert (await client.get("/schema-registry/subjects", headers=basic(user, ADA))).is_success
        for headers in ({}, basic(ADA, ""), basic("ada", "wrong"), {"Authorization": f"Basic {ADA}"}):
            assert (await client.get("/schema-registry/subjects", headers=headers)).status_code == 401
        for path in ("/v1/tasks", "/version", "/schema-registryx", "/schema-registry"):
            assert (await client.get(path, headers=basic("ada", ADA))).status_code == 401
        assert (await client.post("/v1/tasks", headers=basic("ada", ADA))).status_code == 401


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with serving(app) as found:
        yield f"{found}/schema-registry"


@pytest.fixture(params=["basic", "bearer"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[SchemaRegistryClient]:
    by_name = {
        "basic": {"basic.auth.user.info": f"any:{ADA}"},
        "bearer": {
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": ADA,
            "bearer.auth.logical.cluster": "",
            "bearer.auth.identity.pool.id": "",
        },
    }
    conf = {"url": url, "max.retries": 0, **by_name[request.param]}
    with SchemaRegistryClient(conf) as made:
        yield made


async def test_confluent_s_own_client_finds_its_way(client: SchemaRegistryClient) -> None:
    found = await asyncio.to_thread(client.get_latest_version, SUBJECT)
    assert (found.schema_id, found.version) == (ENTRY.id, 2)
    schema = await asyncio.to_thread(client.get_schema, ENTRY.id)
    assert json.loads(schema.schema_str or "") == manifest.schema(ENTRY)
    assert SUBJECT in await asyncio.to_thread(client.get_subjects)
    with pytest.raises(SchemaRegistryError) as caught:
        await asyncio.to_thread(client.get_latest_version, "tasks-value")
    assert (caught.value.http_status_code, caught.value.error_code) == (404, 40401)


async def test_without_a_token_the_client_is_told_401(url: str) -> None:
    with (
        SchemaRegistryClient({"url": url, "max.retries": 0}) as client,
        pytest.raises(SchemaRegistryError) as caught,
    ):
        await asyncio.to_thread(client.get_subjects)
    assert caught.value.http_status_code == 401
