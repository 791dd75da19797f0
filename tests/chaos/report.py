"""What a run was and what was found, for people."""

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.chaos.auditor.case import Case
from tests.chaos.auditor.checks import findings, unannounced

#: Findings of one law that are shown.
_SHOWN = 10


def report(case: Case, title: str) -> str:
    """The whole report, in Markdown."""
    wrong = findings(case)
    lines = [f"# {title}", "", *(f"- {name}: {text}" for name, text in figures(case).items()), ""]
    lines.append("Nothing found." if not wrong else "## Found")
    for law, texts in wrong.items():
        lines += ["", f"{law}: {len(texts)}", *(f"- {text}" for text in texts[:_SHOWN])]
    return "\n".join(lines)


def figures(case: Case) -> dict[str, str]:
    """What there was, in numbers."""
    return dict(_figures(case))


def _figures(case: Case) -> Iterator[tuple[str, str]]:
    tasks, evidence, client = case.story.tasks.values(), case.evidence, case.evidence.client
    on_log = set(case.tokens.values())
    struck = Counter(f"{strike.signal} of {strike.role}" for strike in evidence.strikes)
    yield "strikes", _counted(struck)
    yield (
        "calls",
        f"{len(client.calls):,}, of which {_counted(Counter(c.kind for c in client.calls.values()))}",
    )
    yield "acknowledged", f"{len(client.acknowledged):,}, and {len(client.named):,} through executors"
    unknown = client.unknown.keys()
    yield "of unknown outcome", f"{len(unknown)}, of which {len(unknown & on_log)} had arrived"
    yield "records on the log", f"{len(case.facts):,}"
    yield "outcomes", _counted(Counter(f"{t.status}{f' ({t.kind})' if t.kind else ''}" for t in tasks))
    yield "attempts begun", _counted(Counter(f"{task.attempts}" for task in tasks))
    starts = sum(len(each) for each in case.story.epochs.values())
    yield "agents that took the endpoint over", f"{starts}, refused {case.story.refused_starts}"
    yield "void records of agents before", str(sum(len(task.void) for task in tasks))
    yield "records after the outcome", str(sum(len(task.late) for task in tasks))
    yield "copies", f"{case.story.copies}, submissions {sum(len(task.submissions) - 1 for task in tasks)}"
    yield (
        "executions",
        f"{len(evidence.executions):,} of {len({e.token for e in evidence.executions}):,} calls",
    )
    yield "executions whose TaskStarted died with their agent", _lost_starts(case)


def _lost_starts(case: Case) -> str:
    lines = [line for _, line in unannounced(case)]
    waits = [(case.killed[line.agent] - line.at) / 1e9 for line in lines if line.agent in case.killed]
    return f"{len(lines)}" + (f", at most {max(waits):.2f} s before it was killed" if waits else "")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "none"
