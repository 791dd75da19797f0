"""The limits of law 12, in bytes, known to every part that checks one."""

#: Most serialised arguments, result, or function a task may carry.
PAYLOAD_LIMIT = 5 * 1024 * 1024
#: Most a remote traceback may take in an event; the rest is cut.
TRACEBACK_LIMIT = 64 * 1024
#: Most a request's body may take; the SDK splits batches below it.
BODY_LIMIT = 32 * 1024 * 1024
#: Most one record of the log may take: a payload, a traceback and what describes them.
RECORD_LIMIT = 6 * 1024 * 1024
