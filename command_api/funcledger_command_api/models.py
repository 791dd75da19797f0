"""What clients may send, field by field; anything else is refused (422), also fields the server owns."""

import json
import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

from funcledger_schemas.ids import is_id
from funcledger_schemas.limits import (
    ATTEMPTS_LIMIT,
    BODY_LIMIT,
    DESCRIPTION_LIMIT,
    EXPIRY_LIMIT,
    NAME_LIMIT,
    SETTINGS_LIMIT,
    WALLTIME_LIMIT,
)
from funcledger_schemas.texts import CONTROLS, check_json
from funcledger_web.json_values import SentModel

#: Most tasks in one request; more go into several.
TASKS_LIMIT = 32_768
_ENDPOINT_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,98}[A-Za-z0-9])?$")
_CONTROL = re.compile(f"[{CONTROLS}]")
_INT32 = 2**31 - 1
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


_STRICT = ConfigDict(extra="forbid", strict=True, val_json_bytes="base64", frozen=True)


class Strict(BaseModel):
    """No field but those named, no value of another type, payloads in base64."""

    model_config = _STRICT


class StrictSent(SentModel):
    """The same of a body that FastAPI reads."""

    model_config = _STRICT


def settings_text(settings: dict[str, JsonValue] | None) -> str | None:
    """Settings as the text that stands in an event: one text for equal settings."""
    if settings is None:
        return None
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _small(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    check_json(settings)
    if (size := len(settings_text(settings) or "")) > SETTINGS_LIMIT:
        raise ValueError(f"{size} characters of JSON, the limit is {SETTINGS_LIMIT}")
    return settings


def _within(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if (size := len(text.encode())) > limit:
            raise ValueError(f"{size} bytes, the limit is {limit}")
        return text

    return AfterValidator(check)


def _on_one_line(name: str) -> str:
    if (found := _CONTROL.search(name)) is not None:
        raise ValueError(f"a name must not hold control characters, and this one has {found.group()!a}")
    return name


def _endpoint_name(name: str) -> str:
    if _ENDPOINT_NAME.match(name) is None:
        raise ValueError(
            "not a name for an endpoint: use up to 100 letters, digits, spaces, dots, dashes and "
            "underscores, with a letter or digit first and last"
        )
    return name


def _no_id(name: str) -> str:
    if is_id(name):
        raise ValueError("a name must not look like an id")
    return name


Id = Annotated[str, StringConstraints(pattern=_UUID), Field(description="A UUID, lower case.")]
Format = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9/._-]{0,31}$"),
    Field(description="How it is serialised."),
]
Description = Annotated[str, _within(DESCRIPTION_LIMIT)]
Name = Annotated[
    str, StringConstraints(min_length=1), _within(NAME_LIMIT), AfterValidator(_on_one_line),
]  # fmt: skip
EndpointName = Annotated[
    str,
    Field(json_schema_extra={"pattern": _ENDPOINT_NAME.pattern}),
    AfterValidator(_endpoint_name),
    AfterValidator(_no_id),
]
Code = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z.+ _-]{1,96}$"),
    Field(description="Who can read the code that the payload holds, as cpython-3.11 cloudpickle-3.1.1."),
]
#: Empty where another serialiser wrote the function.
DillVersion = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+_-]{0,64}$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+_-]{1,64}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Settings = Annotated[dict[str, JsonValue], AfterValidator(_small)]
Index = Annotated[int, Field(ge=0, le=_INT32)]
Size = Annotated[int, Field(ge=0, le=BODY_LIMIT)]


class _Function(Strict):
    function_id: Id
    name: Name
    description: Description | None = None
    metadata: Settings | None = None
    public: bool = False
    group: Name | None = None
    python_version: Version
    dill_version: DillVersion = ""
    payload_format: Format
    payload_code: Code | None = None


class FunctionHead(_Function):
    """A function to register; its serialised body of ``size`` bytes follows in the frame."""

    size: Size


class FunctionJson(_Function):
    """A function to register, its serialised body in base64."""

    payload: bytes


class EndpointJson(StrictSent):
    """An endpoint to register. Of its credential the server learns the SHA-256 only."""

    endpoint_id: Id
    name: EndpointName
    description: Description | None = None
    metadata: Settings | None = None
    public: bool = False
    credential_sha256: Sha256


class Terms(Strict):
    """What a task may take; tasks that differ in nothing else go into one group."""

    endpoint_id: Id
    function_id: Id
    payload_format: Format
    payload_code: Code | None = None
    walltime: (
        Annotated[float, Field(gt=0, le=WALLTIME_LIMIT, description="Seconds the call may take.")] | None
    ) = None
    max_attempts: Annotated[int, Field(ge=1, le=ATTEMPTS_LIMIT, description="1 means at most once.")] = 3
    expires_in: Annotated[int, Field(ge=1, le=EXPIRY_LIMIT, description="Seconds until it is given up.")] = (
        604_800
    )
    resource_specification: Settings | None = None
    endpoint_config: Settings | None = None


class Group(Terms):
    """Tasks of one function for one endpoint, as columns of equal length."""

    task_ids: Annotated[list[Id], Field(min_length=1, max_length=TASKS_LIMIT, fail_fast=True)]
    batch_indexes: Annotated[list[Index], Field(max_length=TASKS_LIMIT, fail_fast=True)] | None = None
    sizes: Annotated[list[Size], Field(max_length=TASKS_LIMIT, fail_fast=True)]


class TasksHead(Strict):
    """Tasks to submit; their serialised arguments follow in the frame, in the order of the groups."""

    batch_id: Id
    batch_size: Index | None = None
    groups: Annotated[list[Group], Field(min_length=1, max_length=TASKS_LIMIT, fail_fast=True)]


class TaskJson(Terms):
    """One task to submit, its serialised arguments in base64."""

    task_id: Id | None = None
    batch_index: Index | None = None
    payload: bytes


class TasksJson(Strict):
    """Tasks to submit, for people and other languages. Ids that are left out are made up."""

    batch_id: Id | None = None
    batch_size: Index | None = None
    tasks: Annotated[list[TaskJson], Field(min_length=1, max_length=TASKS_LIMIT, fail_fast=True)]


class CancelOne(StrictSent):
    """Where the task to cancel was sent."""

    endpoint_id: Id
    batch_id: Id


class TaskName(CancelOne):
    """A task to cancel."""

    task_id: Id


class CancelMany(StrictSent):
    """Tasks to cancel."""

    tasks: Annotated[list[TaskName], Field(min_length=1, max_length=TASKS_LIMIT, fail_fast=True)]


#: The fields of a task that this server accepts; a newer SDK sends no others.
TASK_FIELDS = tuple(sorted(TaskJson.model_fields))
