"""ATTACKS 7, at the command side: a malicious pickle is stored byte for byte and never loaded (law 10)."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

from tests.support.commands import FRAME, command_side, group, task_frame

from funcledger_schemas.events import FunctionRegistered, TaskSubmitted


class _Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self._path),))


async def test_a_malicious_function_and_arguments_are_stored_and_never_loaded(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    bomb = pickle.dumps(_Canary(canary))
    async with command_side() as side:
        function, endpoint = await side.register(bomb), await side.endpoint()
        body = task_frame([group(endpoint, function, [bomb])], [bomb])
        assert (await side.client.post("/v1/tasks", content=body, headers=FRAME)).status_code == 202
        [registered] = [record.event() for record in await side.records("functions")]
        [submitted] = [record.event() for record in await side.records("tasks")]
    assert isinstance(registered, FunctionRegistered)
    assert isinstance(submitted, TaskSubmitted)
    assert (registered.payload, submitted.payload) == (bomb, bomb)
    assert not canary.exists()
    pickle.loads(bomb)
    assert canary.exists(), "the canary does not sing: the test above proves nothing"


def test_the_command_side_does_not_so_much_as_import_an_unpickler() -> None:
    """Beyond the import contract: what really is loaded when the app is."""
    code = (
        "import sys, funcledger_command_api.api; print('dill' in sys.modules, 'cloudpickle' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
