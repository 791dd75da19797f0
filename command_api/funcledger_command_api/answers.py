"""What commands answer."""

from pydantic import BaseModel, Field
from starlette.responses import Response

from funcledger_event_log.records import Token

#: Header of the position token (law 9), in requests and in answers.
POSITION = "Funcledger-Position"


class Positioned(BaseModel):
    """Every command's answer says how far somebody must read to see what it did."""

    position: str = Field(
        description="Position token, opaque: send it back in the header Funcledger-Position."
    )


class FunctionAnswer(Positioned):
    """A function was registered, shared or deleted."""

    function_id: str


class EndpointAnswer(Positioned):
    """An endpoint was shared or deleted."""

    endpoint_id: str


class EndpointRegisteredAnswer(EndpointAnswer):
    """An endpoint was registered."""

    partition: int = Field(description="Where its tasks and results are, for ever.")


class CancelAnswer(Positioned):
    """Cancelling was asked for."""

    accepted: int


class TasksAnswer(Positioned):
    """Tasks were submitted."""

    batch_id: str
    accepted: int
    task_ids: list[str] | None = Field(None, description="In the order sent; only in answer to JSON.")


def answer(status: int, token: Token, body: Positioned) -> Response:
    """The body with its position in the header as well."""
    text = body.model_dump_json(exclude_none=True)
    return Response(text, status, {POSITION: str(token)}, media_type="application/json")
