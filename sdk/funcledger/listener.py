"""The results of a client's batches as they land: one background thread that reads one stream."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import count
from queue import Empty, SimpleQueue
from threading import RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from funcledger.errors import ClientClosed, ComputeError, RequestError, ServiceUnavailable
from funcledger.forks import renewed_in_children
from funcledger.results import Answer, Results, read_results
from funcledger.waiting_notice import WaitingNotice

if TYPE_CHECKING:
    from funcledger.streams import FrameStream
    from funcledger.transport import Transport

#: Pauses between attempts to open the stream again, in seconds.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
#: Seconds between questions to the followers whether they miss something.
_LOOK = 4.5
_STREAM = "/v1/results/stream"
#: What an older server says, which knows streams of batches that their address names, and no others.
_NO_SUCH_METHOD = "method-not-allowed"


def ended(what: str, error: BaseException) -> ComputeError:
    """Why nothing more comes of a thread that this has ended."""
    if isinstance(error, ComputeError):
        return error
    why = ComputeError(f"{what} was ended by {type(error).__name__}: {error}")
    why.__cause__ = error
    return why


def _nothing(_: object = None) -> None:
    """What a follower does that does not want to know."""


class Follower(NamedTuple):
    """Who wants the outcomes of a batch, from the listener's thread.

    ``deliver`` gets (status, payload) of finished tasks, some perhaps twice; ``give_up`` why no more will
    come; ``begun`` the ids of tasks that are seen to run, its own or others'; ``look`` is called now and
    again.
    """

    batch_id: str
    deliver: Callable[[Sequence[Answer]], None]
    give_up: Callable[[ComputeError], None]
    begun: Callable[[Sequence[str]], None] = _nothing
    look: Callable[[], None] = _nothing


class Listener:
    """Delivers every outcome of the batches that are followed, in bulk.

    Its thread and its stream are there while anything is followed. A stream that is cut is opened again where
    it was; for as long as the server is away it keeps trying. Batches join a stream that is open; where an
    older server cannot do that, a new stream is opened with all of them.
    """

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport
        self._numbers = count(1)
        self._closed = False
        self.renew()
        renewed_in_children(self)

    def renew(self) -> None:
        """In a forked child: no thread, and nobody follows anything; what the parent follows is its own."""
        self._lock = RLock()
        self._followers: dict[int, Follower] = {}
        self._thread: Thread | None = None
        #: Not an event, whose lock must not be taken again while garbage is collected.
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._notice = WaitingNotice()
        self._forget()

    def _forget(self) -> None:
        """Nothing has been sent, and no stream is open."""
        self._stream: FrameStream | None = None
        self._stream_id: str | None = None
        self._after = ""
        #: The batches that the open stream is of; those that are to be added; how often each was begun anew
        #: and has not settled.
        self._told: set[str] = set()
        self._to_add: deque[str] = deque()
        self._unsettled: Counter[str] = Counter()
        self._teller: Thread | None = None
        #: Whether the server is an older one, and the batches that the last stream from it was of.
        self._is_older = False
        self._read_before: frozenset[str] = frozenset()

    def follow(self, follower: Follower) -> int:
        """From now on, and with what landed before; the number to leave by.

        Raises:
            ClientClosed: the client is.
        """
        with self._lock:
            if self._closed:
                raise ClientClosed
            if fresh := self._thread is None:
                self._forget()
            number = next(self._numbers)
            self._followers[number] = follower
            self._unsettled[follower.batch_id] += 1
            if fresh:
                self._thread = Thread(target=self._run, name="funcledger-results", daemon=True)
                self._thread.start()
            else:
                self._to_add.append(follower.batch_id)
                self._tell()
        return number

    def leave(self, number: int) -> None:
        """Deliver nothing more. Waits for nobody: it may be called while garbage is collected."""
        self._followers.pop(number, None)
        if not self._followers:
            self._interrupt()

    def close(self) -> None:
        """End all there is; what has not come comes no more."""
        with self._lock:
            self._closed = True
            left = list(self._followers.values())
            self._followers.clear()
        self._interrupt()
        for follower in left:
            follower.give_up(ClientClosed())

    def _interrupt(self) -> None:
        """End the stream that is open now."""
        self._wakes.put(None)
        if (stream := self._stream) is not None:
            stream.interrupt()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while self._is_wanted():
            try:
                if self._read():
                    pause = _FIRST_PAUSE
            except ServiceUnavailable as error:
                self._is_older = False  # who comes back may have been upgraded
                self._notice.failed(error)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except BaseException as error:  # whatever ends this thread, those who wait must learn of it
                self._end(error)
                return
            self._rest(pause)

    def _rest(self, seconds: float) -> None:
        """A pause, cut short by what has happened since the last."""
        try:
            self._wakes.get(timeout=seconds)
            while True:
                self._wakes.get_nowait()
        except Empty:
            return

    def _is_wanted(self) -> bool:
        with self._lock:
            if not self._followers:
                self._thread = None
            return self._thread is not None

    def _end(self, error: BaseException) -> None:
        with self._lock:
            left = list(self._followers.values())
            self._followers.clear()
            self._thread = None
        for follower in left:
            follower.give_up(ended("The thread that reads results", error))

    def _read(self) -> bool:
        """Deliver what one stream brings; whether it brought anything."""
        try:
            return self._read_from(self._open())
        except RequestError as error:
            if self._is_older or error.slug != _NO_SUCH_METHOD:
                raise
            self._is_older = True
            return self._read_from(self._open())

    def _open(self) -> "FrameStream":
        asked = self._wanted()
        if not self._is_older:
            return self._transport.stream("POST", _STREAM, asked)
        wanted = frozenset(self._told)
        if not wanted <= self._read_before:  # what was sent before is not about all of these
            self._after = ""
        self._read_before = wanted
        address = f"{_STREAM}?{urlencode([('batch_id', each) for each in sorted(wanted)])}"
        # In a header: an address could not hold it where there are a thousand partitions.
        headers = {"Last-Event-ID": self._after} if self._after else None
        return self._transport.stream("GET", address, headers=headers)

    def _read_from(self, stream: "FrameStream") -> bool:
        self._stream = stream
        heard, looked = False, monotonic()
        # The last may have left, or a batch may have joined, before there was a stream to interrupt.
        if not self._followers or (self._is_older and self._to_add):
            return heard
        for frame in stream:
            if frame:
                self._take(frame)
                heard = True
                self._notice.succeeded()
            if monotonic() - looked >= _LOOK:
                looked = monotonic()
                self._look()
        return heard

    def _look(self) -> None:
        for follower in list(self._followers.values()):
            follower.look()

    def _wanted(self) -> dict[str, object]:
        """What to ask a new stream for: it is of all there is now."""
        with self._lock:
            self._stream_id = None
            self._told = {follower.batch_id for follower in list(self._followers.values())}
            self._to_add.clear()
            joining = {batch_id for batch_id in self._told if self._unsettled[batch_id] > 0}
            self._unsettled = Counter(joining)
            known = sorted(self._told - joining)
            return {"batch_ids": known, "joining": sorted(joining), "after": self._after}

    def _take(self, frame: bytes) -> None:
        head, answers = read_results(frame)
        self._transport.seen.merge(head.get("position"))
        if begun := head.get("begun"):
            for follower in list(self._followers.values()):
                follower.begun(begun)
        left_out = [task["task_id"] for task, payload in answers if payload is None]
        self._deliver([answer for answer in answers if answer[1] is not None])
        if left_out:
            self._deliver(Results(self._transport).fetch(left_out, 0))
        with self._lock:
            self._after = head["resume"]
            self._unsettled -= Counter(head.get("settled", ()))
            if "stream" in head:
                self._stream_id = head["stream"]
                self._tell()

    def _deliver(self, answers: Sequence[Answer]) -> None:
        if not answers:
            return
        by_batch: dict[str, list[Answer]] = {}
        for answer in answers:
            by_batch.setdefault(answer[0]["batch_id"], []).append(answer)
        for follower in list(self._followers.values()):
            if (landed := by_batch.get(follower.batch_id)) is not None:
                follower.deliver(landed)

    def _tell(self) -> None:
        """Have the open stream changed, by a thread that ends when all is told; called with the lock."""
        if self._is_older:
            self._interrupt()
        elif self._to_add and self._stream_id is not None and self._teller is None:
            self._teller = Thread(target=self._tell_all, name="funcledger-results-change", daemon=True)
            self._teller.start()

    def _tell_all(self) -> None:
        while (change := self._next_change()) is not None:
            stream_id, body = change
            try:
                self._transport.request("POST", f"{_STREAM}/{stream_id}", json=body)
            except Exception:  # the next stream is opened with all there is, and says what is wrong if it is
                if stream_id == self._stream_id:
                    self._interrupt()

    def _next_change(self) -> tuple[str, dict[str, list[str]]] | None:
        with self._lock:
            if not self._to_add or self._stream_id is None:
                self._teller = None
                return None
            wanted = {follower.batch_id for follower in list(self._followers.values())}
            gone = self._told - wanted
            add = list(dict.fromkeys(self._to_add))
            for batch_id in gone:
                del self._unsettled[batch_id]
            self._to_add.clear()
            self._told = wanted
            return self._stream_id, {"add": add, "remove": sorted(gone)}
