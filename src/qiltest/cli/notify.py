"""`qiltest notify`: tells a person what a run says, by GitHub issues and a webhook."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from qiltest.cli.common import AddParser, console, json_flag, print_json, print_lines, runs_flag
from qiltest.errors import NotifyError, StoreError
from qiltest.runs.records import Purpose, Run
from qiltest.runs.room import Room
from qiltest.runs.store import LATEST, RunStore
from qiltest.text.escape import printable

if TYPE_CHECKING:
    from qiltest.notify.github import Action, Issue

_VARIABLE = "QILTEST_WEBHOOK"


class _State(StrEnum):
    """What became of the webhook."""

    NOT_SET = "not_set"
    WOULD_POST = "would_post"
    POSTED = "posted"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class _Posting:
    """What became of the webhook, in words; the address is in none of them."""

    state: _State
    line: str = ""
    #: why it failed, "" where it did not.
    why: str = ""


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest notify`."""
    parser = add(
        description="Opens one GitHub issue per case that does not pass, comments while it stays so, closes it when "
        "the case passes; posts a small JSON to a webhook. It never changes a verdict. Exit code 0: done, or the "
        "webhook did not answer, which is said; 1: GitHub could not be told; 2: wrong usage.",
        parents=[runs_flag(), json_flag()],
    )
    parser.add_argument("run", nargs="?", default=LATEST, metavar="RUN", help="id, start of an id, folder, or latest")
    parser.add_argument("--github", action="store_true", help="issues, by GitHub's command line (gh)")
    parser.add_argument(
        "--webhook",
        nargs="?",
        const=_VARIABLE,
        metavar="VARIABLE",
        help=f"post to the https address in this environment variable (default: {_VARIABLE}); none is set: not posted",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.set_defaults(handler=run_notify)


def run_notify(args: argparse.Namespace) -> int:
    """Tell what a run says. Returns 0, or 1 where GitHub could not be told; raises StoreError and NotifyError."""
    if not args.github and args.webhook is None:
        raise NotifyError("nobody to tell", remedy="--github, --webhook, or both")
    run = RunStore(root=args.runs).load(args.run, room=Room())
    if run.purpose is not Purpose.SUITE:
        what = "the run is no run of the suite: a check or a try has no case that fails"
        raise StoreError(what, where=str(run.path), remedy="name a run of the suite: `qiltest runs` lists them")
    posting = None if args.webhook is None else _posted(run, args.webhook, dry=args.dry_run)
    actions: list[Action] = []
    failed = ""
    if args.github:
        actions, failed = _on_github(run, dry=args.dry_run)
    if args.json:
        print_json(_record(run, actions, failed, posting, dry=args.dry_run))
    else:
        print_lines(_lines(run, actions, posting, dry=args.dry_run, github=args.github))
    _warn(filter(None, (failed, posting.why if posting is not None else "")))
    return 1 if failed else 0


def _on_github(run: Run, *, dry: bool) -> tuple[list[Action], str]:
    """Return what was done, or would be, and why it ended early, or ""."""
    from qiltest.notify.findings import findings
    from qiltest.notify.github import carry_out, open_issues, plan

    done: list[Action] = []
    try:
        if dry:
            return list(plan(findings(run), _known())), ""
        planned = plan(findings(run), open_issues())
        for action in carry_out(planned):
            done.append(action)
    except NotifyError as error:
        return done, str(error)
    return done, ""


def _known() -> tuple[Issue, ...]:
    """Return the open issues for a dry run; where they cannot be asked for, that is said."""
    from qiltest.notify.github import open_issues

    try:
        return open_issues()
    except NotifyError as error:
        _warn([f"which issues are open is not known: {error.what}"])
        return ()


def _posted(run: Run, variable: str, *, dry: bool) -> _Posting:
    """Post to the address in a variable, if it is set; a dry run only looks at the address."""
    from qiltest.notify.webhook import post, record_of, refused

    url = os.environ.get(variable, "").strip()
    if not url:
        return _Posting(state=_State.NOT_SET, line=f"{variable} is not set: nothing is posted")
    why = refused(url) if dry else post(url, record_of(run))
    if why:
        return _Posting(state=_State.FAILED, why=f"{why}; nothing depends on it")
    if dry:
        return _Posting(state=_State.WOULD_POST, line=f"would post to the address in {variable}")
    return _Posting(state=_State.POSTED, line=f"posted to the address in {variable}")


def _lines(run: Run, actions: Sequence[Action], posting: _Posting | None, *, dry: bool, github: bool) -> Iterator[str]:
    yield f"run {run.path}"
    if dry:
        yield "dry run: nothing was done; this would be:"
    yield from (f"  {action.words()}" for action in actions)
    if github and not actions:
        yield "  no issue to open, comment or close"
    if posting is not None and posting.line:
        yield f"  {posting.line}"


def _warn(lines: Iterable[str]) -> None:
    """Say each once, on standard error."""
    for line in lines:
        console(stderr=True).out(printable(f"qiltest: {line}"), highlight=False)


def _record(
    run: Run, actions: Sequence[Action], failed: str, posting: _Posting | None, *, dry: bool
) -> dict[str, object]:
    from qiltest.notify.webhook import record_of

    return {
        "run": run.id,
        "dry_run": dry,
        "actions": [
            {"do": action.do, "issue": action.issue, "case": action.finding.case, "title": action.finding.title}
            for action in actions
        ],
        "github_failed": failed,
        "webhook_state": None if posting is None else posting.state.value,
        "webhook_failed": None if posting is None else posting.why,
        "webhook": record_of(run),
    }
