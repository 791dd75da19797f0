"""What is said when something is wrong tells what it was and what to do: docs/messages.md, each raised."""

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.support.apps import app_of, client_of
from tests.support.certificates import Authority
from tests.support.deadlines import scaled
from tests.support.scripted import Reply, scripted

import funcledger
from funcledger import Client, errors
from funcledger.problems import error_of
from funcledger.submission import serialise
from funcledger.tasks import error_of as error_of_task
from funcledger_endpoint.facts import Facts
from funcledger_endpoint.report import Report
from funcledger_endpoint.task import Task
from funcledger_payloads import dump_exception
from funcledger_schemas.failures import opened


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name.startswith(("FUNCLEDGER_", "SSL_CERT")):
            monkeypatch.delenv(name)


def test_a_wrong_token_is_said_to_be_wrong_and_where_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(lambda *_: Reply(401, b'{"detail": "Send a token that is valid here."}')) as server:
        with Client(server.url, "flu_x") as client, pytest.raises(errors.Unauthenticated) as given:
            client.get_tasks()
        monkeypatch.setenv("FUNCLEDGER_TOKEN", "flu_y")
        with Client(server.url) as client, pytest.raises(errors.Unauthenticated) as found:
            client.get_tasks()
    assert str(given.value).endswith("valid here. The one that was sent is from Client(token=...).")
    assert str(found.value).endswith("The one that was sent is from FUNCLEDGER_TOKEN.")


@pytest.mark.parametrize("address", ["lab.example:8642", "127.0.0.1:8642", "ftp://lab.example"])
def test_an_address_without_a_scheme_is_told_before_anything_is_sent(address: str) -> None:
    rest = address.removeprefix("ftp://")
    with pytest.raises(errors.InvalidRequest, match=f"url is no address.*Write http://{rest} or https://"):
        Client(address, "flu_x")


def test_a_proxy_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    with (
        Client("http://lab.example:8642", "flu_x", patience=0.0) as client,
        pytest.raises(
            errors.ServiceUnavailable, match=r"by the proxy proxy\.invalid, as the environment says"
        ),
    ):
        client.get_tasks()


def test_what_a_proxy_answers_is_not_said_to_be_the_servers() -> None:
    assert "is no funcledger server's" in str(error_of(404, b"<html>nothing here</html>"))
    assert "client_max_body_size 32m" in str(error_of(413, b"<html>413 Request Entity Too Large</html>"))
    own = error_of(413, b'{"type": "urn:funcledger:problem:body-too-large", "detail": "The body is over."}')
    assert str(own) == "The body is over."


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate an authority of one's own has signed, named by SSL_CERT_FILE alone."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "15")
            self.end_headers()
            self.wfile.write(b'{"version": ""}')

        def log_message(self, *_: object) -> None:
            """Nothing."""

    authority = Authority(tmp_path / "authority.pem")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server(tmp_path / "server.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_authority_of_ones_own_is_asked_for_and_then_believed(
    tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Client(tls, "flu_x", patience=0.0) as client,
        pytest.raises(errors.ServiceUnavailable, match="name that one's file in SSL_CERT_FILE"),
    ):
        client.version_check()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with Client(tls, "flu_x", patience=0.0) as client:
        assert client.version_check()["server"] == ""


def test_plain_http_where_tls_was_asked_for_is_told() -> None:
    with (
        scripted(lambda *_: Reply()) as server,
        Client(server.url.replace("http:", "https:"), "flu_x", patience=0.0) as client,
        pytest.raises(errors.ServiceUnavailable, match="is it http:// instead of https://"),
    ):
        client.get_tasks()


@pytest.mark.parametrize(
    ("kind", "error_type"), [("Exception", "ModuleNotFoundError"), ("FunctionNotLoaded", "")]
)
def test_a_module_that_is_missing_is_missing_on_a_named_endpoint(kind: str, error_type: str) -> None:
    raised = ModuleNotFoundError("No module named 'lab_tools'", name="lab_tools")
    sent = dump_exception(raised)
    message = sent.message if error_type else f"ModuleNotFoundError: {raised}"
    report = Report(kind, sent.format or "", sent.payload, error_type=error_type, message=message)
    event = Facts("e", 0, "lab").ended(Task(0, "owner", "task", "batch", 0, 0, 3, None), report)
    failure = opened(event)  # type: ignore[arg-type]
    told = {"status": "failed", "task_id": "t", "kind": kind, "error_type": failure.error_type,
            "message": failure.message, "payload_format": failure.payload_format}  # fmt: skip
    error = error_of_task(told, failure.payload)
    assert isinstance(error, ModuleNotFoundError if error_type else errors.DeserializationError)
    assert "No module named 'lab_tools' (on the endpoint lab: install it there" in str(error)


def test_a_future_as_an_argument_is_told_to_be_one() -> None:
    with pytest.raises(errors.SerializationError, match=r"argument 1 .*a future.*use its result\(\)"):
        serialise((Future[int](),), {})


async def test_a_host_name_that_the_server_does_not_know_is_told_where_to_add_it() -> None:
    async with client_of(app_of(allowed_hosts=["lab.example"])) as client:
        answer = await client.get("/healthz", headers={"Host": "proxy.example"})
    assert answer.status_code == 421
    assert "have it added to FUNCLEDGER_ALLOWED_HOSTS" in answer.json()["detail"]


def test_the_version_is_where_people_look_for_it() -> None:
    code = "import funcledger; print(funcledger.__version__)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(30)
    )
    assert ran.stdout.strip() == funcledger.__version__
    with pytest.raises(AttributeError):
        funcledger.__nothing__  # noqa: B018
