"""The compose file as Docker runs it: the image is built, everything is healthy, a function comes back."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import parts
from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import funcledger

from funcledger import Client
from funcledger_compose.native.process import free_port
from funcledger_compose.native.stack import COMPOSE_FILE
from funcledger_web.tokens import USER_PREFIX, digest, new_token

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

PROJECT, IMAGE = "funcledger-test", "funcledger:test"
TOKEN, PORT = new_token(USER_PREFIX), free_port()
#: Megabytes; most of it is Python and its standard library.
LARGEST = 350


def docker(*words: str) -> str:
    told = os.environ | {
        "FUNCLEDGER_IMAGE": IMAGE,
        "FUNCLEDGER_TOKENS": f"ada={digest(TOKEN)}",
        "FUNCLEDGER_PARTITIONS": "4",
        "FUNCLEDGER_DOOR": f"127.0.0.1:{PORT}",
    }
    done = subprocess.run(["docker", *words], env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def compose(*words: str) -> str:
    return docker("compose", "--file", str(COMPOSE_FILE), "--project-name", PROJECT, *words)


@pytest.fixture(scope="module", autouse=True)
def composed() -> Iterator[None]:
    if not parts.containers():
        pytest.skip("no container engine answers here")
    try:
        compose("up", "--detach", "--build", "--wait")
        yield
    finally:
        compose("down", "--volumes", "--timeout", "60")


def test_a_function_runs_on_an_endpoint_outside_and_comes_back(tmp_path: Path) -> None:
    url = f"http://localhost:{PORT}"
    there = {"FUNCLEDGER_DATA_DIR": str(tmp_path), "FUNCLEDGER_URL": url, "FUNCLEDGER_TOKEN": TOKEN}
    for words in (("configure", "lab", "--workers", "1"), ("start", "lab")):
        subprocess.run(funcledger("endpoint", *words), env=os.environ | there, check=True)
    try:
        with Client(url, TOKEN) as client:
            task = client.run(-7, endpoint_id="lab", function_id=client.register_function(abs))
            assert client.get_result(task, timeout=scaled(60)) == 7
            until_sync(lambda: client.get_task(task)["status"] == "success", 30)
    finally:
        subprocess.run(funcledger("endpoint", "stop", "lab"), env=os.environ | there, check=True)


def test_the_image_is_small_and_its_user_is_nobody_special() -> None:
    (image,) = json.loads(docker("image", "inspect", IMAGE))
    assert image["Config"]["User"] == "10001"
    assert image["Size"] < LARGEST * 1_000_000
