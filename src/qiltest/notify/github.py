"""GitHub issues by its command line, `gh`: one per failing case, a comment while it stays, closed when it passes.

Issues are found by a label, which only people who may write to the repository can set, and a line in their text.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qiltest.errors import NotifyError
from qiltest.notify.findings import Finding
from qiltest.text.escape import one_line

LABEL = "qiltest"
#: issues that are looked at; one night opens at most `MOST_NEW` more.
_MOST_ISSUES, MOST_NEW = 500, 40
#: seconds that one call may take.
_PATIENCE = 60


class Do(StrEnum):
    """What is done for a case."""

    OPEN = "open"
    COMMENT = "comment"
    CLOSE = "close"


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An open issue."""

    number: int
    #: its own text and that of its comments.
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Action:
    """One call."""

    do: Do
    finding: Finding
    #: None for one to be opened.
    issue: int | None = None

    def words(self) -> str:
        """Return it in words."""
        where = "a new issue" if self.issue is None else f"issue #{self.issue}"
        return f"{self.do} {where}: {one_line(self.finding.title, 120)}"


def open_issues() -> tuple[Issue, ...]:
    """Return the open issues that qiltest has opened. Raises NotifyError."""
    fields = ("--json", "number,body,comments")
    text = _gh("issue", "list", "--label", LABEL, "--state", "open", "--limit", str(_MOST_ISSUES), *fields)
    try:
        return tuple(_issue(one) for one in json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotifyError("gh did not answer with a list of issues", where="gh issue list") from error


def _issue(found: dict[str, Any]) -> Issue:
    comments = [str(comment.get("body", "")) for comment in found.get("comments") or []]
    return Issue(number=int(found["number"]), texts=(str(found.get("body") or ""), *comments))


def plan(findings: Iterable[Finding], issues: Sequence[Issue]) -> tuple[Action, ...]:
    """Decide what to do: open, comment or close; nothing for a run that was told before, or did not judge the case."""
    found: list[Action] = []
    for finding in findings:
        issue = next((issue for issue in issues if _has(issue.texts[:1], finding.marker)), None)
        if finding.passes is False and issue is None:
            found.append(Action(do=Do.OPEN, finding=finding))
        elif finding.passes is False and issue is not None and not _has(issue.texts, finding.told):
            found.append(Action(do=Do.COMMENT, finding=finding, issue=issue.number))
        elif finding.passes and issue is not None:
            found.append(Action(do=Do.CLOSE, finding=finding, issue=issue.number))
    return tuple(found)


def _has(texts: Iterable[str], line: str) -> bool:
    return any(line in text.splitlines() for text in texts)


def carry_out(actions: Sequence[Action]) -> Iterator[Action]:
    """Do what was planned and yield each action that is done. Raises NotifyError at the first that fails."""
    new = [action for action in actions if action.do is Do.OPEN]
    if new:  # an issue cannot be opened with a label that is not there
        _gh("label", "create", LABEL, "--force", "--color", "B60205", "--description", "opened and closed by qiltest")
    left_out = {id(action) for action in new[MOST_NEW:]}
    for action in actions:
        if id(action) not in left_out:
            _carry_out(action)
            yield action
    if left_out:
        raise NotifyError(f"{len(left_out)} more cases fail: at most {MOST_NEW} issues are opened at once", where="gh")


def _carry_out(action: Action) -> None:
    finding = action.finding
    if action.do is Do.OPEN:
        _gh("issue", "create", "--title", finding.title, "--label", LABEL, "--body-file", "-", text=finding.body)
    elif action.do is Do.COMMENT:
        _gh("issue", "comment", str(action.issue), "--body-file", "-", text=finding.body)
    else:
        _gh("issue", "comment", str(action.issue), "--body-file", "-", text=f"It passes again.\n\n{finding.body}")
        _gh("issue", "close", str(action.issue), "--reason", "completed")


def _gh(*words: str, text: str = "") -> str:
    """Call `gh` with these words, never through a shell, and return its output. Raises NotifyError."""
    where = f"gh {words[0]} {words[1]}"
    try:
        done = subprocess.run(
            ("gh", *words), input=text, capture_output=True, check=True, timeout=_PATIENCE, text=True, encoding="utf-8"
        )
    except FileNotFoundError:
        remedy = "install GitHub's command line (https://cli.github.com) on the runner"
        raise NotifyError("there is no program gh", where=where, remedy=remedy) from None
    except subprocess.TimeoutExpired:
        raise NotifyError(f"no answer within {_PATIENCE} s", where=where) from None
    except subprocess.CalledProcessError as error:
        said = one_line(str(error.stderr).strip(), 300)
        remedy = "give the step GH_TOKEN, and the job the permission issues: write"
        raise NotifyError(f"it ended with {error.returncode}: {said}", where=where, remedy=remedy) from None
    except (OSError, UnicodeError) as error:
        raise NotifyError(f"it cannot be run: {error}", where=where) from None
    return done.stdout
