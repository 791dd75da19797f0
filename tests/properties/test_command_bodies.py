"""Whatever bytes are sent to the command side: a client's error, and nothing stands on the log."""

import asyncio
from contextlib import AsyncExitStack

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.commands import FRAME, Side, command_side, function_frame, group, task_frame

JSON = {"Content-Type": "application/json"}
PATHS = ["/v1/tasks", "/v1/functions", "/v1/endpoints", "/v1/tasks/cancel"]

#: Where to change a valid body, and into what; None cuts it there.
CHANGES = st.lists(
    st.tuples(st.integers(0, 10_000), st.none() | st.binary(min_size=1, max_size=4)), min_size=1, max_size=3
)


def _changed(body: bytes, changes: list[tuple[int, bytes | None]]) -> bytes:
    for place, piece in changes:
        at = place % (len(body) + 1)
        body = body[:at] if piece is None else body[:at] + piece + body[at + len(piece) :]
    return body


async def _check(side: Side, path: str, body: bytes, headers: dict[str, str], may_pass: bool) -> None:
    topics = ("functions", "endpoints", "tasks")
    before = [await side.log.ends(topic) for topic in topics]
    response = await side.client.post(path, content=body, headers=headers)
    if response.status_code < 300:  # the change left it valid: another name, other payload bytes
        assert may_pass
        return
    assert response.status_code in (404, 409, 413, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert [await side.log.ends(topic) for topic in topics] == before


def test_no_bytes_bring_the_command_side_down() -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        side = runner.run(stack.enter_async_context(command_side()))
        endpoint, function = runner.run(side.endpoint()), runner.run(side.register())
        bodies = {
            "/v1/tasks": task_frame([group(endpoint, function, [b"ab", b"c"])], [b"ab", b"c"]),
            "/v1/functions": function_frame(b"code"),
        }

        @settings(max_examples=150, deadline=None)
        @given(st.sampled_from(PATHS), st.binary(max_size=300), st.sampled_from([FRAME, JSON]))
        def arbitrary(path: str, body: bytes, headers: dict[str, str]) -> None:
            runner.run(_check(side, path, body, headers, False))

        @settings(max_examples=150, deadline=None)
        @given(st.sampled_from(sorted(bodies)), CHANGES)
        def nearly_valid(path: str, changes: list[tuple[int, bytes | None]]) -> None:
            runner.run(_check(side, path, _changed(bodies[path], changes), FRAME, True))

        arbitrary()
        nearly_valid()
        runner.run(stack.aclose())
