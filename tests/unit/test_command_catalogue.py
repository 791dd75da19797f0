"""Functions and endpoints: registering, sharing, deleting, and what the catalogue makes of it."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator

import httpx2
import pytest
from tests.support.apps import BOB
from tests.support.commands import (
    FRAME,
    PARTITIONS,
    Side,
    base64_of,
    command_side,
    endpoint_json,
    function_frame,
    function_head,
    group,
    task_frame,
)

from funcledger_event_log.records import NewRecord
from funcledger_schemas.ids import new_id
from funcledger_schemas.limits import PAYLOAD_LIMIT
from funcledger_web.auth import Principal
from funcledger_web.catalogue import Catalogue, Where
from funcledger_web.credentials import EndpointCredentials
from funcledger_web.tokens import ENDPOINT_PREFIX, digest, new_token


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    async with command_side() as running:
        yield running


def _slug(response: httpx2.Response) -> str:
    return str(response.json()["type"]).removeprefix("urn:funcledger:problem:")


async def _submit_as(side: Side, token: str, endpoint: str, function: str) -> httpx2.Response:
    async with side.as_user(token) as client:
        body = task_frame([group(endpoint, function, [b"x"])], [b"x"])
        return await client.post("/v1/tasks", content=body, headers=FRAME)


async def test_a_function_is_found_by_id_and_its_body_by_content_hash(side: Side) -> None:
    """What the gateway asks the catalogue for: where the record stands that holds the body."""
    function = await side.register(b"the body")
    [record] = await side.records("functions")
    content_hash = hashlib.sha256(b"the body").hexdigest()
    assert side.catalogue.functions[function].content_hash == content_hash
    assert side.catalogue.body(content_hash) == Where(*record.position)
    assert side.catalogue.body("0" * 64) is None


async def test_a_function_in_json_is_the_same_as_in_a_frame(side: Side) -> None:
    head = function_head(description="squares", metadata={"b": 1, "a": [None]})
    asked = {**head, "payload": base64_of(b"\x00\xff")}
    first = await side.client.post("/v1/functions", json=asked)
    again = await side.client.post(
        "/v1/functions", content=function_frame(b"\x00\xff", **head), headers=FRAME
    )
    assert (first.status_code, first.content) == (201, again.content)
    [record] = await side.records("functions")
    assert record.event().metadata == '{"a":[null],"b":1}'  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("size", "status"), [(PAYLOAD_LIMIT - 1, 201), (PAYLOAD_LIMIT, 201), (PAYLOAD_LIMIT + 1, 413)]
)
async def test_law_12_limits_of_a_function(side: Side, size: int, status: int) -> None:
    response = await side.client.post("/v1/functions", content=function_frame(b"x" * size), headers=FRAME)
    assert response.status_code == status, response.text
    if status == 413:
        assert _slug(response) == "payload-too-large"
        assert (response.json()["size"], response.json()["limit"]) == (size, PAYLOAD_LIMIT)
    assert len(await side.records("functions")) == (status == 201)


async def test_registering_again_is_the_same_registration_and_anything_else_a_conflict(side: Side) -> None:
    head = function_head()
    bodies = [function_frame(b"one", **head)] * 20 + [function_frame(b"two", **head)]
    answers = await asyncio.gather(
        *(side.client.post("/v1/functions", content=body, headers=FRAME) for body in bodies)
    )
    assert {answer.content for answer in answers if answer.status_code == 201} == {answers[0].content}
    assert (answers[-1].status_code, _slug(answers[-1])) == (409, "conflict")
    async with side.as_user(BOB) as bob:
        theft = await bob.post("/v1/functions", content=bodies[0], headers=FRAME)
    assert theft.status_code == 409


@pytest.mark.parametrize(
    "field", [{"function_id": "x"}, {"name": ""}, {"name": "a\nb"}, {"python_version": "3.11; rm"}]
)
async def test_a_wrong_field_of_a_function_is_named(side: Side, field: dict[str, str]) -> None:
    response = await side.client.post("/v1/functions", content=function_frame(b"x", **field), headers=FRAME)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == list(field)


async def test_endpoints_are_spread_over_the_partitions(side: Side) -> None:
    """Also when they register all at once: each goes to the least loaded partition."""
    await asyncio.gather(*(side.endpoint(f"lab-{number}") for number in range(3 * PARTITIONS)))
    assert side.catalogue.load() == Counter(dict.fromkeys(range(PARTITIONS), 3))


async def test_an_owner_has_one_endpoint_of_a_name(side: Side) -> None:
    """However many ask at once; another owner may use the name, and so may the first after a delete."""
    asked = [endpoint_json("lab") for _ in range(5)]
    answers = await asyncio.gather(*(side.client.post("/v1/endpoints", json=each) for each in asked))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    async with side.as_user(BOB) as bob:
        assert (await bob.post("/v1/endpoints", json=endpoint_json("lab"))).status_code == 201
    [taken] = [answer.json()["endpoint_id"] for answer in answers if answer.status_code == 201]
    assert (await side.client.delete(f"/v1/endpoints/{taken}")).status_code == 200
    assert (await side.client.post("/v1/endpoints", json=endpoint_json("lab"))).status_code == 201


async def test_registering_an_endpoint_again_is_the_same_registration(side: Side) -> None:
    asked = endpoint_json("lab")
    first, again = [await side.client.post("/v1/endpoints", json=asked) for _ in range(2)]
    assert (first.status_code, first.content) == (201, again.content)
    assert len(await side.records("endpoints")) == 1
    stolen = {**endpoint_json("other"), "credential_sha256": asked["credential_sha256"]}
    assert (await side.client.post("/v1/endpoints", json=stolen)).status_code == 409


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", ".hidden", "a\x00b", "x" * 101, f"{0:08}-0000-7000-8000-{0:012}"]
)
async def test_attack_24_a_name_that_is_a_path_or_an_id_is_refused(side: Side, name: str) -> None:
    response = await side.client.post("/v1/endpoints", json=endpoint_json(name))
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["name"]


async def test_nothing_of_ada_is_there_for_bob_until_she_shares_it(side: Side) -> None:
    """404 and not 403 for what he may not see; both function and endpoint must be open to him."""
    endpoint, function = await side.endpoint(), await side.register()
    assert _slug(await _submit_as(side, BOB, endpoint, function)) == "function-not-found"
    assert (await side.client.put(f"/v1/functions/{function}/shares/user/bob")).status_code == 200
    assert _slug(await _submit_as(side, BOB, endpoint, function)) == "endpoint-not-found"
    assert (await side.client.put(f"/v1/endpoints/{endpoint}/shares/user/bob")).status_code == 200
    assert (await _submit_as(side, BOB, endpoint, function)).status_code == 202
    assert (await side.client.delete(f"/v1/functions/{function}/shares/user/bob")).status_code == 200
    assert _slug(await _submit_as(side, BOB, endpoint, function)) == "function-not-found"


async def test_only_the_owner_shares_and_deletes(side: Side) -> None:
    """404 where Bob may not even see it, 403 where he may."""
    hidden, public = await side.register(), await side.register(public=True)
    async with side.as_user(BOB) as bob:
        for function, status in [(hidden, 404), (new_id(), 404), (public, 403)]:
            assert (await bob.delete(f"/v1/functions/{function}")).status_code == status
            assert (await bob.put(f"/v1/functions/{function}/shares/user/bob")).status_code == status
        assert (await bob.delete("/v1/functions/nonsense")).status_code == 422


async def test_a_deleted_function_cannot_be_used_but_its_body_is_still_found(side: Side) -> None:
    """Tasks submitted before keep running; deleting again is the same answer; its id is not given twice."""
    endpoint, head = await side.endpoint(), function_head()
    await side.register(b"code", **head)
    function = head["function_id"]
    for _ in range(2):
        assert (await side.client.delete(f"/v1/functions/{function}")).status_code == 200
    body = task_frame([group(endpoint, function, [b"x"])], [b"x"])
    response = await side.client.post("/v1/tasks", content=body, headers=FRAME)
    assert (response.status_code, _slug(response)) == (404, "function-not-found")
    assert side.catalogue.body(hashlib.sha256(b"code").hexdigest()) is not None
    again = await side.client.post("/v1/functions", content=function_frame(b"code", **head), headers=FRAME)
    assert again.status_code == 409


async def test_a_credential_opens_the_gateway_until_its_endpoint_is_deleted() -> None:
    """Also at a server whose catalogue has not heard of it yet: it looks again before it turns it away."""
    token = new_token(ENDPOINT_PREFIX)
    async with command_side() as one, command_side(one.log) as other:
        known = EndpointCredentials(other.catalogue, lambda: other.tail.catch_up(2.0))
        assert await known.authenticate(token) is None
        endpoint = await one.endpoint(credential_sha256=digest(token))
        principal = await known.authenticate(token)
        assert principal is not None
        assert principal == Principal.endpoint(endpoint)
        await one.client.delete(f"/v1/endpoints/{endpoint}")
        await other.tail.catch_up(2.0)
        assert await known.authenticate(token) is None


async def test_law_3_and_11_the_catalogue_ignores_copies_and_passes_over_what_it_cannot_read(
    side: Side,
) -> None:
    function = await side.register()
    await side.client.put(f"/v1/functions/{function}/shares/user/bob")
    await side.client.delete(f"/v1/functions/{function}/shares/user/bob")
    await side.log.append([NewRecord("functions", 0, b"k", (), b"garbage")])
    later = await side.register()
    records = await side.records("functions")
    twice = Catalogue()
    for record in records:
        twice.apply([record])
        twice.apply(records[: records.index(record) + 1])
    assert twice.functions == side.catalogue.functions
    assert twice.functions[function].users == set()
    assert later in twice.functions


async def test_a_name_that_no_endpoint_may_have_is_refused_with_what_one_may_be(side: Side) -> None:
    for name in ("my/lab", "", "x" * 101, "lab."):
        answer = await side.client.post("/v1/endpoints", json=endpoint_json(name))
        assert answer.status_code == 422
        assert "name: not a name for an endpoint: use up to 100 letters" in answer.json()["detail"]
        assert "pattern" not in answer.text
