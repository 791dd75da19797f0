"""Law 9: a position token is taken back only as it was given out."""

import pytest

from funcledger_event_log.records import Token, TopicPartition


def test_a_token_is_read_as_it_was_written() -> None:
    token = Token({TopicPartition("tasks", 3): 17, TopicPartition("results", 0): 2**62})
    assert Token.parse(str(token)).ends == token.ends
    assert Token.parse("").ends == {}


@pytest.mark.parametrize(
    "text",
    ["tasks:-1:5", "tasks:1:-5", "tasks:+1:5", "tasks: 1:5", "tasks:1_0:5", "tasks:\u0661:5", "tasks::5",
     "tasks:1", "tasks:1:2:3", "nothing:1:5", "tasks:1:" + "9" * 20, "tasks:" + "9" * 10 + ":1"],
)  # fmt: skip
def test_what_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"position token|values to unpack"):
        Token.parse(text)
