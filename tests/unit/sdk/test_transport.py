"""What the SDK does when connections and servers fail."""

import json
import time
from collections.abc import Iterator

import pytest
from tests.support.poll import until_sync
from tests.support.scripted import Asked, Reply, scripted

from funcledger import errors
from funcledger.listener import Follower, Listener
from funcledger.plain import is_direct
from funcledger.results import Answer, Results
from funcledger.settings import Server
from funcledger.submission import NewTask, send, submit
from funcledger.transport import Transport
from funcledger_schemas.frames import KEEP_ALIVE, delimit, pack
from funcledger_schemas.ids import new_id

FUNCTION, ENDPOINT, BATCH = new_id(), new_id(), new_id()


def transport_to(url: str, patience: float = 10.0) -> Transport:
    return Transport(Server(url, "flu_secret"), patience=patience)


def problem(slug: str, detail: str) -> bytes:
    return json.dumps({"type": f"urn:funcledger:problem:{slug}", "title": slug, "detail": detail}).encode()


def test_a_lost_response_is_answered_by_sending_the_same_ids_again() -> None:
    """FAULTS 5, the SDK's half: the second request is the first one, byte for byte."""

    def answer(_: Asked, number: int) -> Reply:
        return Reply(drop=True) if number == 0 else Reply(202, b'{"position":"tasks:0:1"}')

    task = NewTask(new_id(), ENDPOINT, FUNCTION, "pickle", b"arguments")
    with scripted(answer) as server:
        transport = transport_to(server.url)
        submit(transport, BATCH, [task])
        transport.close()
    first, second = server.asked
    assert first.body == second.body
    assert task.task_id.encode() in second.body
    assert transport.seen.token == "tasks:0:1"


def test_retry_after_is_honoured() -> None:
    def answer(_: Asked, number: int) -> Reply:
        if number == 0:
            return Reply(503, problem("outcome-unknown", "Send it again."), {"Retry-After": "1"})
        return Reply(body=b'{"ok": true}')

    with scripted(answer) as server:
        transport = transport_to(server.url)
        began = time.monotonic()
        assert transport.get("/v1/anything") == {"ok": True}
        assert time.monotonic() - began >= 1.0
        transport.close()


def test_a_server_that_stays_away_is_reported_with_its_own_sentence() -> None:
    with scripted(lambda *_: Reply(503, problem("log-unavailable", "The log is away."))) as server:
        transport = transport_to(server.url, patience=0.3)
        with pytest.raises(errors.ServiceUnavailable, match="The log is away"):
            transport.get("/v1/anything")
        transport.close()
    assert len(server.asked) > 1


def test_pauses_that_the_server_asks_for_have_no_end_unless_one_was_set() -> None:
    """ATTACKS 17 and a full backlog: the same request again, with the same ids, however long it takes."""

    def answer(_: Asked, number: int) -> Reply:
        if number < 3:
            slug = ("backlog-full", "too-many-requests")[number % 2]
            return Reply(429, problem(slug, "Nothing was taken."), {"Retry-After": "1"})
        return Reply(202, b"{}")

    task = NewTask(new_id(), ENDPOINT, FUNCTION, "pickle", b"arguments")
    pauses: list[float] = []
    with scripted(answer) as server:
        transport = transport_to(server.url, patience=0.1)
        send(transport, BATCH, [task], sleep=pauses.append)
        transport.close()
    assert len(pauses) == 3
    assert min(pauses) >= 1.0
    assert len({asked.body for asked in server.asked}) == 1


def test_a_room_timeout_ends_the_pauses_with_the_servers_sentence() -> None:
    sentence = "Endpoint lab has 12 unfinished tasks, the limit is 10."
    with scripted(lambda *_: Reply(429, problem("backlog-full", sentence), {"Retry-After": "1"})) as server:
        transport = Transport(Server(server.url, "flu_secret"), room_timeout=1.5)
        with pytest.raises(errors.BacklogFull, match="the limit is 10"):
            transport.get("/v1/anything")
        transport.close()
    assert len(server.asked) == 2


def test_a_server_that_goes_away_after_a_pause_has_its_own_patience() -> None:
    def answer(_: Asked, number: int) -> Reply:
        if number == 0:
            return Reply(429, problem("backlog-full", "Wait."), {"Retry-After": "1"})
        return Reply(503, problem("log-unavailable", "The log is away."))

    with scripted(answer) as server:
        transport = transport_to(server.url, patience=0.3)
        with pytest.raises(errors.ServiceUnavailable, match="The log is away"):
            transport.get("/v1/anything")
        transport.close()
    assert len(server.asked) > 1


def test_no_server_at_the_address_says_how_to_start_one() -> None:
    with scripted(lambda *_: Reply()) as server:
        url = server.url
    transport = transport_to(url, patience=0.2)
    with pytest.raises(errors.ServiceUnavailable, match="funcledger up"):
        transport.get("/v1/anything")
    transport.close()


@pytest.mark.parametrize(
    ("status", "slug", "kind"),
    [
        (401, "unauthenticated", errors.Unauthenticated),
        (403, "forbidden", errors.PermissionDenied),
        (404, "task-not-found", errors.TaskNotFound),
        (404, "function-not-found", errors.FunctionNotFound),
        (404, "endpoint-not-found", errors.EndpointNotFound),
        (409, "conflict", errors.Conflict),
        (413, "payload-too-large", errors.PayloadTooLarge),
        (422, "invalid-request", errors.InvalidRequest),
        (418, "never-heard-of", errors.RequestError),
    ],
)
def test_a_refusal_is_raised_at_once_with_the_servers_sentence(
    status: int, slug: str, kind: type[errors.ComputeError]
) -> None:
    with scripted(lambda *_: Reply(status, problem(slug, "What was wrong and what to do."))) as server:
        transport = transport_to(server.url)
        with pytest.raises(kind, match="What was wrong and what to do"):
            transport.get("/v1/anything")
        transport.close()
    assert len(server.asked) == 1


def test_law_9_every_request_carries_what_was_seen() -> None:
    tokens = ["tasks:1:5", "results:1:2,tasks:1:4", "tasks:0:9"]
    answers: Iterator[str] = iter(tokens)
    with scripted(lambda *_: Reply(headers={"Funcledger-Position": next(answers)})) as server:
        transport = transport_to(server.url)
        for _ in tokens:
            transport.get("/v1/anything")
        transport.close()
    assert [asked.headers.get("Funcledger-Position") for asked in server.asked] == [
        None,
        "tasks:1:5",
        "results:1:2,tasks:1:5",
    ]
    assert transport.seen.token == "results:1:2,tasks:0:9,tasks:1:5"


def test_a_cut_stream_goes_on_where_it_was() -> None:
    """The half frame of the cut is thrown away; the second stream resumes after the last whole one."""

    def frame(task_id: str, resume: str) -> bytes:
        task = {
            "task_id": task_id,
            "batch_id": BATCH,
            "status": "success",
            "payload_format": "pickle",
            "size": 4,
        }
        return delimit(pack({"tasks": [task], "position": resume, "resume": resume}, [b"data"]))

    def answer(asked: Asked, number: int) -> Reply:
        if number == 0:
            whole, half = frame("a", "results:0:1"), frame("b", "results:0:2")[:20]
            return Reply(pieces=[KEEP_ALIVE, whole[:7], whole[7:] + half], cut=True)
        return Reply(pieces=[frame("b", "results:0:2"), KEEP_ALIVE])

    got: list[Answer] = []
    with scripted(answer) as server:
        transport = transport_to(server.url)
        listener = Listener(transport)
        number = listener.follow(Follower(BATCH, got.extend, lambda error: pytest.fail(str(error))))
        until_sync(lambda: len(got) >= 2)
        listener.leave(number)
        transport.close()
    assert [task["task_id"] for task, _ in got[:2]] == ["a", "b"]
    assert [json.loads(asked.body)["after"] for asked in server.asked[:2]] == ["", "results:0:1"]


def test_a_stream_that_is_refused_says_so_instead_of_trying_for_ever() -> None:
    refused: list[errors.ComputeError] = []
    with scripted(lambda *_: Reply(401, problem("unauthenticated", "Name a token."))) as server:
        transport = transport_to(server.url)
        Listener(transport).follow(Follower(BATCH, lambda _: None, refused.append))
        until_sync(lambda: bool(refused))
        transport.close()
    assert isinstance(refused[0], errors.Unauthenticated)


def test_one_connection_serves_one_request_after_another() -> None:
    peers: set[str] = set()

    def answer(asked: Asked, _: int) -> Reply:
        peers.add(asked.peer)
        return Reply(pieces=[b"{}"]) if asked.path == "/chunked" else Reply()

    with scripted(answer) as server:
        transport = transport_to(server.url)
        for path in ("/v1/a", "/chunked", "/v1/b"):
            assert transport.get(path) == {}
        transport.close()
    assert len(peers) == 1


def test_a_kept_connection_that_the_server_has_closed_costs_no_retry() -> None:
    with scripted(lambda *_: Reply(hang_up=True)) as server:
        transport = transport_to(server.url, patience=0.0)
        for _ in range(20):
            assert transport.get("/v1/anything") == {}
        transport.close()


def test_an_answer_that_is_cut_short_is_asked_for_again() -> None:
    def answer(_: Asked, number: int) -> Reply:
        return Reply(pieces=[b'{"half'], cut=True) if number == 0 else Reply(body=b'{"whole": 1}')

    with scripted(answer) as server:
        transport = transport_to(server.url)
        assert transport.get("/v1/anything") == {"whole": 1}
        transport.close()


def test_a_token_cannot_smuggle_a_header() -> None:
    with scripted(lambda *_: Reply()) as server:
        transport = Transport(Server(server.url, "flu_x\r\nX-Evil: 1"), patience=0.0)
        with pytest.raises(errors.ServiceUnavailable, match="line break"):
            transport.get("/v1/anything")
        transport.close()
    assert server.asked == []


def test_plain_http_is_direct_unless_there_is_a_proxy_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert is_direct("http://lab:8642", here=False)
    assert not is_direct("https://lab:8642", here=False)
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert not is_direct("http://lab:8642", here=False)
    assert is_direct("http://127.0.0.1:8642", here=True)


@pytest.mark.law(14)
def test_an_answer_to_another_request_is_not_taken_and_its_connection_not_used_again() -> None:
    peers: list[str] = []

    def answer(asked: Asked, number: int) -> Reply:
        peers.append(asked.peer)
        name = asked.headers["Funcledger-Request"] if number != 1 else "somebody-else-7"
        return Reply(body=b'{"number": %d}' % number, headers={"funcledger-request": name})

    with scripted(answer) as server:
        transport = transport_to(server.url)
        assert [transport.get("/v1/x")["number"] for _ in range(3)] == [0, 2, 3]
        transport.close()
    assert peers[0] == peers[1] != peers[2] == peers[3]
    assert len({asked.headers["Funcledger-Request"] for asked in server.asked}) == 4


@pytest.mark.law(14)
def test_answers_that_stay_somebody_elses_are_told_with_both_names() -> None:
    with scripted(lambda *_: Reply(headers={"Funcledger-Request": "other"})) as server:
        transport = transport_to(server.url, patience=0.2)
        with pytest.raises(
            errors.ServiceUnavailable, match=r"to another request \(other, not [0-9a-f]+-\d+\)"
        ):
            transport.get("/v1/x")
        stream = transport.stream("POST", "/v1/results/stream", {})
        with pytest.raises(errors.ServiceUnavailable, match="to another request"):
            next(iter(stream))
        transport.close()


@pytest.mark.law(14)
def test_results_of_other_tasks_than_were_asked_for_are_not_taken() -> None:
    task = {"task_id": new_id(), "status": "success", "payload_format": "json", "size": 1}
    with scripted(lambda *_: Reply(body=pack({"tasks": [task]}, [b"5"]))) as server:
        transport = transport_to(server.url)
        with pytest.raises(errors.ServiceUnavailable, match="about other tasks"):
            Results(transport).value(new_id())
        transport.close()
