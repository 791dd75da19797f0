"""The limits of law 12, in bytes, and the usual ones on load, known to every part that checks one."""

#: Most serialised arguments, result, or function a task may carry.
PAYLOAD_LIMIT = 5 * 1024 * 1024
#: Most a remote traceback may take in an event; the rest is cut.
TRACEBACK_LIMIT = 64 * 1024
#: Most a message or a reason may take in an event; and any other text, such as the name of a worker or host.
MESSAGE_LIMIT, NAME_LIMIT = 8 * 1024, 1024
#: Most items in a field of an event that holds several, such as labels or dependencies.
PARTS_LIMIT = 1000
#: Most a description may take; and metadata, a resource specification, endpoint settings, each as JSON.
DESCRIPTION_LIMIT, SETTINGS_LIMIT = 64 * 1024, 16 * 1024
#: Of one call: the longest walltime, the most attempts, and the seconds until it is given up at the latest.
WALLTIME_LIMIT, ATTEMPTS_LIMIT, EXPIRY_LIMIT = 1e9, 1000, 315_360_000
#: Most a request's body may take; the SDK splits batches below it.
BODY_LIMIT = 32 * 1024 * 1024
#: Most values in a JSON body or in the head of a frame: the most tasks of one request, each with all fields.
JSON_VALUES_LIMIT = 500_000
#: Most one record of the log may take: a payload, a traceback and what describes them.
RECORD_LIMIT = 6 * 1024 * 1024
#: Requests per second that a user may send for ever, and how many at once after a pause.
REQUEST_RATE, REQUEST_BURST = 500.0, 5000
#: Streams and long polls that one principal may have open.
OPEN_WAITS = 200
#: Unfinished tasks, and bytes of them, from which on an endpoint is given no more. An agent holds some 500
#: bytes for each task that waits, and the log all of them: so half a GB there, and 20 GiB of disk here.
BACKLOG_TASKS, BACKLOG_BYTES = 1_000_000, 20 * 1024**3
#: Users and groups together that a function or an endpoint is shared with.
SHARES_LIMIT = 1000
#: Events of one kind that a task's history lists; what comes after them is counted, and stands on the log. A
#: task may have more attempts than that, and its owner may ask for it to be cancelled any number of times.
HISTORY_LISTED = 200
#: Bytes of request bodies that a server holds for one principal, and for all, until they are answered.
BODIES_PER_PRINCIPAL, BODIES = 64 * 1024**2, 512 * 1024**2
#: Connections that a server has open, in all and from one address.
CONNECTIONS, CONNECTIONS_PER_ADDRESS = 4096, 1024
