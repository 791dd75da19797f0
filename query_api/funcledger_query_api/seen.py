"""What a stream's client has been sent, so that its next stream goes on without a gap or a double."""

from funcledger_event_log.records import Token, TopicPartition


def _of_results(partition: int) -> TopicPartition:
    return TopicPartition("results", partition)


class Seen:
    """All outcomes before ``base``, and those in some spans beyond it, per partition of ``results``.

    A stream sends outcomes live from its start on, while those before it are still being read: until
    all of these are sent, what was sent live is a span apart. Text: the base's token, then
    ``;partition:from-to`` for each span.
    """

    def __init__(
        self, base: Token | None = None, spans: dict[int, list[tuple[int, int]]] | None = None
    ) -> None:
        #: Whoever goes on from this alone misses nothing, and may be sent a span again.
        self.base = base or Token()
        self._spans = spans or {}

    @property
    def position(self) -> Token:
        """What somebody has seen who was sent all this (law 9); not where to go on from: see the text."""
        token = Token(dict(self.base.ends))
        for partition, spans in self._spans.items():
            token.advance(_of_results(partition), max(end for _, end in spans))
        return token

    def covers(self, partition: int, offset: int) -> bool:
        """Whether the outcome at this offset was sent."""
        if offset < self.base.ends.get(_of_results(partition), 0):
            return True
        return any(start <= offset < end for start, end in self._spans.get(partition, ()))

    def add_before(self, partition: int, end: int) -> None:
        """All before ``end`` of this partition were sent."""
        self.base.advance(_of_results(partition), end)
        self._join(partition)

    def add_span(self, partition: int, start: int, end: int) -> None:
        """All in [start, end) were sent; a span with the same start grows."""
        spans = self._spans.setdefault(partition, [])
        if spans and spans[-1][0] == start:
            spans[-1] = (start, max(end, spans[-1][1]))
        else:
            spans.append((start, end))
        self._join(partition)

    def add_all_before(self, token: Token) -> None:
        """All before this token were sent."""
        for where, end in token.ends.items():
            self.add_before(where.partition, end)

    def _join(self, partition: int) -> None:
        """Spans that the base has reached become part of it."""
        where = _of_results(partition)
        for start, end in sorted(self._spans.get(partition, ())):
            if start <= self.base.ends.get(where, 0):
                self.base.advance(where, end)
        end = self.base.ends.get(where, 0)
        beyond = [span for span in self._spans.pop(partition, []) if span[0] > end]
        if beyond:
            self._spans[partition] = beyond

    def __str__(self) -> str:
        spans = [
            f"{partition}:{start}-{end}"
            for partition, spans in sorted(self._spans.items())
            for start, end in spans
        ]
        return ";".join([str(self.base), *spans])

    @classmethod
    def parse(cls, text: str) -> "Seen":
        """What a text of ours says.

        Raises:
            ValueError: it is not one.
        """
        base, *rest = text.split(";")
        ends = {where: end for where, end in Token.parse(base).ends.items() if where.topic == "results"}
        seen = cls(Token(ends))
        for part in rest:
            partition, _, span = part.partition(":")
            start, _, end = span.partition("-")
            seen._spans.setdefault(int(partition), []).append((int(start), int(end)))
        for number in list(seen._spans):
            seen._join(number)
        return seen
