"""An external schema registry: registers our schemas there and learns the ids that records will carry."""

import asyncio
import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx2

from funcledger_schemas import manifest
from funcledger_schemas.manifest import Entry

#: The rule of evolution each of our subjects gets.
COMPATIBILITY = "FULL_TRANSITIVE"
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
#: Seconds between two tries while a registry is starting or its leader changing.
_PAUSE = 0.2
#: Answers to a schema that does not fit, or that the registry finds no schema at all.
_INCOMPATIBLE = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


class RegistryRefused(Exception):
    """Raised when a registry does not take our schemas; the message says what to do."""


class RegistryUnavailable(Exception):
    """Raised when a registry does not answer in time."""


async def register(url: str, prefix: str = "", patience: float = 30.0) -> dict[str, int]:
    """Register every schema there is, oldest first; the registry's ids by ``ce_dataschema``.

    Subjects are named by TopicRecordNameStrategy over topics that begin with ``prefix``, and each is set to
    FULL_TRANSITIVE. Registering again changes nothing, so every process does it when it starts. ``url`` may
    hold an account: ``https://name:password@registry``. A registry that does not answer is asked for
    ``patience`` seconds.

    Raises:
        RegistryRefused: a schema is incompatible with what stands under its subject, or we may not register.
        RegistryUnavailable: no answer.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise RegistryRefused(
            f"{_shown(url)} is not the address of a schema registry: write it as http://host:port/path in "
            "FUNCLEDGER_SCHEMA_REGISTRY_URL"
        )
    async with httpx2.AsyncClient(base_url=url.rstrip("/") + "/", timeout=10.0) as client:
        registry = _Registry(client, _shown(url), patience)
        known = manifest.entries()
        return {entry.dataschema: await registry.add(entry, entry.subject(prefix)) for entry in known}


def _shown(url: str) -> str:
    """The address without the account in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class _Registry:
    def __init__(self, client: httpx2.AsyncClient, name: str, patience: float) -> None:
        self._client = client
        self._name = name
        self._deadline = asyncio.get_running_loop().time() + patience

    async def add(self, entry: Entry, subject: str) -> int:
        """Register one schema; its id there."""
        named = quote(subject, safe="")
        if entry.version == 1:
            # Of several processes that set it at once, Apicurio tells all but one of a conflict.
            body = {"compatibility": COMPATIBILITY}
            self._expect_ok(await self._send("PUT", f"config/{named}", body, again=(HTTPStatus.CONFLICT,)))
        schema = json.dumps(manifest.schema(entry))
        answer = await self._send("POST", f"subjects/{named}/versions", {"schema": schema})
        if answer.status_code in _INCOMPATIBLE:
            raise RegistryRefused(
                f"the schema registry {self._name} refuses {entry.name}, version {entry.version}: under the "
                f"subject {subject} stands something incompatible ({_message(answer)}). Remove that subject "
                "if nothing else uses it, or give the topics a prefix of their own "
                "(FUNCLEDGER_KAFKA_TOPIC_PREFIX)"
            )
        return int(self._expect_ok(answer).json()["id"])

    async def _send(
        self, method: str, path: str, body: dict[str, Any], again: Sequence[int] = ()
    ) -> httpx2.Response:
        """The answer; asked again while there is none, or one that says so."""
        while True:
            answer = await self._once(method, path, body)
            if isinstance(answer, httpx2.Response):
                if not (answer.is_server_error or answer.status_code in again):
                    return answer
                why = f"it answers {answer.status_code} ({_message(answer)})"
            else:
                why = repr(answer)
            if asyncio.get_running_loop().time() > self._deadline:
                raise RegistryUnavailable(f"the schema registry {self._name} cannot be reached: {why}")
            await asyncio.sleep(_PAUSE)

    async def _once(self, method: str, path: str, body: dict[str, Any]) -> "httpx2.Response | Exception":
        headers = {"Content-Type": _MEDIA_TYPE, "Accept": f"{_MEDIA_TYPE}, application/json"}
        try:
            return await self._client.request(method, path, content=json.dumps(body), headers=headers)
        except httpx2.TransportError as error:
            return error

    def _expect_ok(self, answer: httpx2.Response) -> httpx2.Response:
        if answer.is_success:
            return answer
        raise RegistryRefused(
            f"the schema registry {self._name} answers {answer.status_code} ({_message(answer)}). Check "
            "FUNCLEDGER_SCHEMA_REGISTRY_URL, and the account it may need: https://name:password@host/path"
        )


def _message(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
