"""What tasks print, on its way to the endpoint's log: line by line, each told apart by its task's id."""

import os
import re
import selectors
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

#: What a worker writes before the first words of a call: the call's number.
MARK = b"\x1e%d\n"
_MARK = re.compile(rb"\x1e([0-9]{1,19})\n")
_READ = 64 * 1024
#: The longest piece of a line that is waited for.
_LONGEST = 256 * 1024
#: Calls of a worker whose tasks are remembered: more than it is ever given ahead.
_REMEMBERED = 4096


class CallNames:
    """Which task each of a worker's latest calls is of."""

    def __init__(self) -> None:
        self._names = [(0, "")] * _REMEMBERED

    def note(self, number: int, task_id: str) -> None:
        """The call of this number is of this task."""
        self._names[number % _REMEMBERED] = number, task_id

    def of(self, number: int) -> str:
        """The task; empty when it is not remembered."""
        known, task_id = self._names[number % _REMEMBERED]
        return task_id if known == number else ""


class Lines:
    """The output of one worker as lines for the log."""

    def __init__(self, names: CallNames) -> None:
        self._names = names
        self._rest = b""
        self._prefix = b"[worker] "

    def feed(self, data: bytes) -> bytes:
        """The lines that are whole with this, or have become too long to wait for their end."""
        data = self._rest + data
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) >= _LONGEST:
            whole = len(data)
        self._rest = data[whole:]
        return self._told(data[:whole]) if whole else b""

    def end(self) -> bytes:
        """What was left without an end."""
        rest, self._rest = self._rest, b""
        return self._told(rest) if rest else b""

    def _told(self, data: bytes) -> bytes:
        told = []
        for at, part in enumerate(_MARK.split(data)):
            if at % 2:
                task_id = self._names.of(int(part))
                self._prefix = f"[{task_id or 'a task'}] ".encode()
            elif part:
                lines = part.removesuffix(b"\n").replace(b"\n", b"\n" + self._prefix)
                told.append(self._prefix + lines + b"\n")
        return b"".join(told)


class TaskOutput:
    """Pipes that workers print into, read by a thread of its own, which ``write`` is called from.

    A pipe that is full has its task wait, so that nothing takes more memory the more is printed.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopped = False
        self._thread = Thread(target=self._run, name="task-output", daemon=True)
        self._thread.start()

    def open(self, names: CallNames) -> int:
        """The end of a new pipe for a worker to inherit; to be closed here then."""
        end, theirs = os.pipe()
        os.set_blocking(end, False)
        self._selector.register(end, selectors.EVENT_READ, Lines(names))
        os.write(self._wake, b".")  # to be looked at from now on
        return theirs

    def stop(self) -> None:
        """Take what has been printed by now, and no more; once is enough."""
        if self._stopped:
            return
        self._stopped = True
        os.write(self._wake, b".")
        self._thread.join()
        os.close(self._wake)

    def _run(self) -> None:
        while not self._stopped:
            self._take([key for key, _ in self._selector.select()])
        with suppress(RuntimeError):
            self._take(list(self._selector.get_map().values()))
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Lines):
                self._tell(key.data.end())
            os.close(key.fd)
        self._selector.close()

    def _tell(self, data: bytes) -> None:
        """Write; where there is no room on the disk the words are lost, and no task waits for them."""
        with suppress(OSError):
            self._write(data)

    def _take(self, keys: list[selectors.SelectorKey]) -> None:
        for key in keys:
            try:
                data = os.read(key.fd, _READ)
            except BlockingIOError:
                continue
            if not isinstance(key.data, Lines):
                continue
            if data:
                self._tell(key.data.feed(data))
            else:
                self._tell(key.data.end())
                self._selector.unregister(key.fd)
                os.close(key.fd)
