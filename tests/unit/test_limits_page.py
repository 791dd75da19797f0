"""docs/limits.md says what is so: every number on it is compared with the code."""

from pathlib import Path

import pytest

from funcledger.submission import MOST_TASKS
from funcledger.waiting_notice import FIRST_WORD
from funcledger_command_api.models import TASKS_LIMIT
from funcledger_compose.connections import ConnectionLimits
from funcledger_compose.settings import Settings
from funcledger_endpoint.bounded_log import FULL, KEPT
from funcledger_endpoint.local.limits import PROCESSES
from funcledger_endpoint.settings import AgentSettings
from funcledger_event_log.endpoint_wire import APPEND_HEAD, EVENTS_LIMIT, FETCH_LIMIT
from funcledger_event_log.sqlite.room import RESERVE
from funcledger_query_api.parameters import OFFSET_LIMIT, PAGE_LIMIT, WAIT_LIMIT
from funcledger_query_api.results import IDS_LIMIT, NAMED_LIMIT
from funcledger_query_api.stream import BATCHES_LIMIT
from funcledger_query_api.subscription import MAX_BYTES, MAX_ITEMS, TOTAL_BYTES
from funcledger_schemas.limits import (
    BODY_LIMIT,
    DESCRIPTION_LIMIT,
    HISTORY_LISTED,
    JSON_VALUES_LIMIT,
    MESSAGE_LIMIT,
    NAME_LIMIT,
    PARTS_LIMIT,
    PAYLOAD_LIMIT,
    SETTINGS_LIMIT,
    SHARES_LIMIT,
    TRACEBACK_LIMIT,
)
from funcledger_schemas.texts import DEPTH_LIMIT
from funcledger_web.limits import GRACE, MIN_RATE

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
MIB, GIB = 1024**2, 1024**3
SERVER, AGENT, CONNECTION = Settings(data_dir=Path()), AgentSettings(), ConnectionLimits()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("serialised", f"{PAYLOAD_LIMIT // MIB} MiB ({PAYLOAD_LIMIT:,} bytes)"),
        ("a traceback", f"{TRACEBACK_LIMIT // 1024} KiB"),
        ("a message or a reason", f"{MESSAGE_LIMIT // 1024} KiB"),
        ("any other text of an event", f"{NAME_LIMIT // 1024} KiB"),
        ("labels, dependencies", f"{PARTS_LIMIT:,} items"),
        ("a name of a function", f"{NAME_LIMIT // 1024} KiB ({NAME_LIMIT:,} bytes)"),
        ("a description", f"{DESCRIPTION_LIMIT // 1024} KiB"),
        ("metadata", f"{SETTINGS_LIMIT // 1024} KiB of JSON"),
        ("arrays and objects in one another", f"{DEPTH_LIMIT} deep"),
        ("values in a JSON body", f"{JSON_VALUES_LIMIT:,} "),
        ("agent's events", f"{APPEND_HEAD // 1024} KiB, and {EVENTS_LIMIT:,} events"),
        ("cancels in a request", f"{TASKS_LIMIT:,}, "),
        ("is shared with", f"{SHARES_LIMIT:,} "),
        ("whole records", f"{FETCH_LIMIT:,} "),
        ("items of a page", f"{PAGE_LIMIT:,} (of a batch, {10 * PAGE_LIMIT:,})"),
        ("items passed over", f"{OFFSET_LIMIT:,} "),
        ("history lists", f"{HISTORY_LISTED} "),
        ("room that the log's disk", f"{RESERVE // MIB} MiB"),
        ("a request's body", f"{BODY_LIMIT // MIB} MiB"),
        ("time for a body", f"{GRACE:g} s, and 1 s for each {MIN_RATE // 1024} KiB"),
        ("tasks in a request", f"{TASKS_LIMIT:,} | | 422; the SDK sends {MOST_TASKS:,} at a time"),
        ("resource specification", f"{SETTINGS_LIMIT // 1024} KiB of JSON"),
        ("tasks in a request for results", f"{IDS_LIMIT:,} "),
        ("batches in one stream", f"{BATCHES_LIMIT:,} ({NAMED_LIMIT:,} "),
        ("a long poll", f"{WAIT_LIMIT:g} s"),
        ("connections in all", f"{SERVER.connections:,}, and fewer"),
        ("connections from one address", f"{SERVER.connections_per_address:,} | `connections_per_address`"),
        ("a request's head", f"{CONNECTION.head // 1024} KiB"),
        ("header fields", f"{CONNECTION.fields} "),
        ("a request's address", f"{CONNECTION.target:,} bytes"),
        ("heads that are not complete", f"{CONNECTION.heads // MIB} MiB"),
        ("time for a head", f"{CONNECTION.head_time:g} s"),
        ("time without a request", f"{CONNECTION.idle_time} s"),
        ("time for the rest of a request", f"{CONNECTION.rest_time:g} s"),
        ("requests of one connection", f"{CONNECTION.pipelined} "),
        ("bodies of one user's", f"{SERVER.bodies_per_user // MIB} MiB | `bodies_per_user`"),
        ("bodies of all requests", f"{SERVER.bodies // MIB} MiB | `bodies`"),
        ("unfinished tasks", f"{SERVER.backlog_tasks:,} | `backlog_tasks`"),
        ("bytes of them", f"{SERVER.backlog_bytes // GIB} GiB | `backlog_bytes`"),
        ("requests of one user", f"{SERVER.request_rate:g} a second, {SERVER.request_burst:,} at once"),
        ("streams and long polls", f"{SERVER.open_waits} | `open_waits`"),
        ("without a word", f"{FIRST_WORD:g} s"),
        ("an endpoint's log", f"{FULL // MIB} MiB, and {KEPT} older files"),
        ("one slow reader", f"{MAX_ITEMS:,}, and {MAX_BYTES // MIB} MiB"),
        ("all slow readers", f"{TOTAL_BYTES // MIB} MiB"),
        ("an agent holds", f"{AGENT.read_ahead:,}, and {AGENT.read_ahead_bytes // MIB} MiB"),
        ("processes and threads of a worker", f"{PROCESSES:,} | `processes`"),
    ],
)
def test_the_page_of_limits_says_what_the_code_keeps(what: str, says: str) -> None:
    assert any(what in line and says in line for line in PAGE.splitlines() if line.startswith("| ")), says
