"""The results of one batch as they land: one background thread that reads the server's stream."""

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING

from funcledger.errors import ComputeError, ServiceUnavailable
from funcledger.results import Answer, Results, read_results

if TYPE_CHECKING:
    from funcledger.streams import FrameStream
    from funcledger.transport import Transport

#: Pauses between attempts to open the stream again, in seconds.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


def ended(what: str, error: BaseException) -> ComputeError:
    """Why nothing more comes of a thread that this has ended."""
    if isinstance(error, ComputeError):
        return error
    why = ComputeError(f"{what} was ended by {type(error).__name__}: {error}")
    why.__cause__ = error
    return why


class Listener:
    """Delivers every outcome of a batch, in bulk, from the thread it starts.

    A stream that is cut is opened again where it was; for as long as the server is away it keeps trying.
    """

    def __init__(
        self,
        transport: "Transport",
        batch_id: str,
        deliver: Callable[[Sequence[Answer]], None],
        give_up: Callable[[ComputeError], None],
        begun: Callable[[Sequence[str]], None] = lambda _: None,
        after: str | None = None,
    ) -> None:
        """``after`` is the resume token of what has been delivered before."""
        self._transport = transport
        self._batch_id = batch_id
        self._deliver = deliver
        self._give_up = give_up
        self._begun = begun
        self._stopped = Event()
        self._stream: FrameStream | None = None
        #: The resume token of what has been delivered.
        self.after = after
        self._thread = Thread(target=self._run, name=f"funcledger-results-{batch_id}", daemon=True)

    def start(self) -> None:
        """Begin; ``deliver`` gets (status, payload) of finished tasks, ``give_up`` why no more will come.

        ``begun`` gets the ids of tasks that are seen to run.
        """
        self._thread.start()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._stopped.set()
        if self._stream is not None:
            self._stream.interrupt()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                if self._read():
                    pause = _FIRST_PAUSE
            except ServiceUnavailable:
                pause = min(2 * pause, _LONGEST_PAUSE)
            except BaseException as error:  # whatever ends this thread, those who wait must learn of it
                self._give_up(ended("The thread that reads results", error))
                return
            self._stopped.wait(pause)

    def _read(self) -> bool:
        """Deliver what one stream brings; whether it brought anything."""
        # In a header: an address could not hold it where there are a thousand partitions.
        headers = {"Last-Event-ID": self.after} if self.after else {}
        self._stream = self._transport.stream("/v1/results/stream", {"batch_id": self._batch_id}, headers)
        heard = False
        if self._stopped.is_set():
            return heard
        for frame in self._stream:
            self._take(frame)
            heard = True
        return heard

    def _take(self, frame: bytes) -> None:
        head, answers = read_results(frame)
        self._transport.seen.merge(head.get("position"))
        self._begun(head.get("begun", ()))
        left_out = [task["task_id"] for task, payload in answers if payload is None]
        self._deliver([answer for answer in answers if answer[1] is not None])
        if left_out:
            self._deliver(Results(self._transport).fetch(left_out, 0))
        self.after = head["resume"]
