"""Schemathesis against every app: nothing is answered that its OpenAPI description does not say.

Each operation gets requests that fit the description and such that break it in every way there is. What is
found here is mended in the product.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.three_apps import APPS, one_app

#: All three take a quarter of a minute; on a machine that is busy they may take long.
pytestmark = [pytest.mark.attack(15), pytest.mark.timeout(120)]

#: What must hold of each answer. Left out is that whatever fits the description is taken: it cannot say that
#: columns must be of one length, or which text is a cursor of ours.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
ROOT = Path(__file__).parents[2]
#: Requests per operation beyond those that follow from its description.
EXAMPLES = 20
#: An address too long for HTTP is refused before anything else is looked at.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 431]
"""


@pytest.mark.parametrize("app", APPS)
def test_what_is_answered_is_what_is_described(app: str, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with one_app(app, tmp_path) as running:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{running.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {running.token}", "--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1"),
            *("--generation-deterministic", "--request-timeout", "10", "--continue-on-failure", "--no-color"),
        ]
        hooks = {"SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
        found = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | hooks,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "generated" in found.stdout
