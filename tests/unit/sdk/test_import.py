"""What a scientist imports is light."""

import subprocess
import sys

from tests.support.deadlines import scaled

HEAVY = (
    "fastavro", "pydantic", "msgspec", "fastapi", "starlette", "uvicorn", "psutil",
    "httpx2", "tenacity", "dill", "cloudpickle", "platformdirs", "asyncio",
)  # fmt: skip


def test_import_funcledger_loads_nothing_heavy_and_none_of_the_server() -> None:
    """Some come with the first client, and cloudpickle with the first function; the rest never."""
    code = "import sys, funcledger; print(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(30)
    )
    loaded = ran.stdout.split()
    assert [name for name in HEAVY if name in loaded] == []
    ours = {name.partition(".")[0] for name in loaded if name.startswith("funcledger")}
    assert ours == {"funcledger", "funcledger_payloads", "funcledger_schemas"}
    assert [name for name in loaded if name.startswith("funcledger_schemas.events")] == []


def test_a_client_brings_nothing_of_the_server_either() -> None:
    code = "import sys, funcledger; funcledger.Client('http://127.0.0.1:1', 'flu_x'); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(30)
    )
    loaded = ran.stdout.split()
    assert [name for name in HEAVY[:7] if name in loaded] == []
