"""`qiltest notify`: one issue per failing case, comments while it stays, closed when it passes; a webhook."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import qiltest.notify.webhook
from qiltest.cli.main import main
from qiltest.notify.findings import MOST_CHARACTERS, SESSION, findings
from qiltest.notify.github import MOST_NEW, Do, Issue, plan
from qiltest.notify.webhook import post, record_of, refused
from qiltest.runs import Run
from qiltest.runs.history import record
from qiltest.runs.records import Purpose

Night = Callable[..., Path]
GOOD = {"wall": "text", "sign": "open"}


@pytest.fixture
def night(fake: Callable[..., Any], case: Callable[..., Any], store: Callable[..., str], tmp_path: Path) -> Night:
    """Stores a night of two cases; a keyword is what was read instead. Returns the run's folder."""
    root = tmp_path / "stored"

    def made(*, purpose: Purpose = Purpose.SUITE, **read: str) -> Path:
        run = fake(case("wall", "text"), case("sign", "open"), name="built")
        for name, text in GOOD.items():
            run.add(name, "4step", read.get(name, text), golden=(text,))
        built = run.build(purpose=purpose)
        folder = root / store(root, built)
        record(replace(built, id=folder.name, path=folder))
        return folder

    return made


def tell(folder: Path, *words: str) -> int:
    return main(["notify", str(folder), "--runs", str(folder.parent), *words])


def test_a_case_that_fails_has_one_issue_with_the_reports_excerpt(gh: Any, night: Night, capsys: Any) -> None:
    night()
    folder = night(wall="texd")
    assert tell(folder, "--github") == 0
    (issue,) = gh.issues
    assert issue["title"] == "qiltest: wall does not pass (tiny)"
    assert issue["labels"] == ["qiltest"]
    for part in (
        "<!-- qiltest: tiny wall -->",
        f"<!-- qiltest run: {folder.name} -->",
        "**FAIL** wall@256x256-4step-s42: “texd” for “text”",
        f"    qiltest review {folder.name} --runs={folder.parent} --case=wall@256x256",
        "new: did not fail before; last good ",
    ):
        assert part in issue["body"].replace("\\", "")
    assert "open a new issue: qiltest: wall does not pass (tiny)" in capsys.readouterr().out


def test_while_it_stays_it_gets_a_comment_and_when_it_passes_it_is_closed(gh: Any, night: Night) -> None:
    tell(night(wall="texd"), "--github")
    second = night(wall="texd")
    assert tell(second, "--github") == 0
    assert tell(second, "--github") == 0, "a job that is run again tells nothing twice"
    (issue,) = gh.issues
    (comment,) = issue["comments"]
    assert "2 runs in a row" in comment["body"]
    assert issue["open"]
    gh.calls()
    assert tell(night(), "--github") == 0
    (issue,) = gh.issues
    assert (issue["open"], len(issue["comments"])) == (False, 2)
    assert issue["comments"][-1]["body"].startswith("It passes again.")
    assert gh.calls() == ["issue list", "issue comment", "issue close"]
    assert tell(night(), "--github") == 0
    assert gh.calls() == ["issue list"]
    tell(night(wall="texd"), "--github")
    assert [issue["number"] for issue in gh.issues if issue["open"]] == [2], "a new regression is a new issue"


def test_each_case_has_its_own_issue(gh: Any, night: Night) -> None:
    tell(night(wall="texd", sign="opem"), "--github")
    tell(night(sign="opem"), "--github")
    assert [(issue["title"], issue["open"]) for issue in gh.issues] == [
        ("qiltest: wall does not pass (tiny)", False),
        ("qiltest: sign does not pass (tiny)", True),
    ]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(gh: Any, night: Night, hook: Any, capsys: Any) -> None:
    folder = night(wall="texd")
    assert tell(folder, "--github", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "dry run: nothing was done; this would be:\n  open a new issue: qiltest: wall does not pass (tiny)" in out
    assert gh.calls() == ["issue list"]
    assert gh.issues == []
    assert tell(folder, "--github", "--dry-run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [(action["do"], action["case"]) for action in said["actions"]] == [("open", "wall")]
    assert said["webhook"]["failing"] == ["wall@256x256-4step-s42"]
    assert said["webhook_state"] is None


def test_a_session_that_generated_nothing_has_an_issue_too(typical: Run) -> None:
    refused = replace(typical, results=(), exit_status=4, problems=("no weights here\n  -> download them",))
    session, *cases = findings(refused)
    assert (session.case, session.passes) == (SESSION, False)
    assert "no weights here" in session.body
    assert session.title == "qiltest: the night itself does not pass (tiny)"
    assert {case.passes for case in cases} == {None}, "what was not judged neither passes nor fails"
    fine, *_ = findings(replace(typical, exit_status=1))
    assert fine.passes is True, "its images say what is wrong"


def test_what_a_run_did_not_judge_leaves_its_issue_open(typical: Run) -> None:
    some = replace(typical, results=tuple(r for r in typical.results if r.sample.case == "whiteboard"))
    found = {finding.case: finding for finding in findings(some)}
    issue = Issue(number=7, texts=(found["coffee-shop"].marker,))
    assert found["coffee-shop"].passes is None
    assert [action for action in plan(found.values(), [issue]) if action.issue == 7] == []


def test_only_a_line_of_the_issues_own_text_finds_it(typical: Run) -> None:
    found = {finding.case: finding for finding in findings(typical)}
    coffee = found["coffee-shop"]
    elsewhere = Issue(number=1, texts=("", coffee.marker))
    within = Issue(number=2, texts=(f"see {coffee.marker}",))
    own = Issue(number=3, texts=(f"{coffee.marker}\n", coffee.told))
    assert [(a.do, a.issue) for a in plan([coffee], [elsewhere, within])] == [(Do.OPEN, None)]
    assert plan([coffee], [elsewhere, own]) == ()
    other = replace(own, texts=own.texts[:1])
    assert [(a.do, a.issue) for a in plan([coffee], [other])] == [(Do.COMMENT, 3)]


def test_hostile_texts_make_no_marker_no_mention_and_no_markup(hostile: Run) -> None:
    for finding in findings(hostile):
        assert "\0" not in finding.body
        assert "\u202e" not in finding.body
        assert sum(line.startswith("<!-- qiltest") for line in finding.body.splitlines()) == 2
        assert "<script" not in finding.body.replace("\\", "").lower() or "    " in finding.body
        outside = [line for line in finding.body.splitlines() if not line.startswith("    ")]
        assert not any("@someone" in line for line in outside)
        assert "\n" not in finding.title


def test_a_body_is_as_long_as_github_takes(typical: Run) -> None:
    long = replace(typical, problems=("x" * 300 + "\n" + "y" * 300,) * 1000, exit_status=1, results=())
    session = findings(long)[0]
    assert len(session.body) <= MOST_CHARACTERS + 100
    assert "The rest did not fit; see the report." in session.body


def test_gh_that_refuses_is_said_once_with_its_remedy_and_ends_with_1(gh: Any, night: Night, capsys: Any) -> None:
    gh.write(fails="issue create")
    assert tell(night(wall="texd"), "--github") == 1
    out, err = capsys.readouterr()
    assert err.count("HTTP 403: Resource not accessible by integration") == 1
    assert "permission issues: write" in err
    assert "\x1b" not in err + out


def test_where_there_is_no_gh_that_is_said(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folder = night(wall="texd")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tell(folder, "--github") == 1
    assert "there is no program gh" in capsys.readouterr().err
    assert tell(folder, "--github", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "which issues are open is not known: there is no program gh" in err
    assert "open a new issue: qiltest: wall does not pass (tiny)" in out


@pytest.mark.parametrize("answer", ["", "[{}]", "{", '[{"number": "x"}]', "7"])
def test_an_answer_that_is_no_list_of_issues_is_one_error(
    gh: Any, night: Night, monkeypatch: pytest.MonkeyPatch, capsys: Any, answer: str
) -> None:
    monkeypatch.setattr("qiltest.notify.github._gh", lambda *_, **__: answer)
    assert tell(night(wall="texd"), "--github") == 1
    assert "gh did not answer with a list of issues" in capsys.readouterr().err


def test_a_night_in_which_everything_fails_opens_a_bounded_number_of_issues(
    fake: Callable[..., Any], case: Callable[..., Any], gh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qiltest.errors import NotifyError
    from qiltest.notify.github import carry_out

    run = fake(*(case(f"case-{number}", "text") for number in range(MOST_NEW + 2)))
    for number in range(MOST_NEW + 2):
        run.add(f"case-{number}", "4step", "texd", golden=("text",))
    actions = plan(findings(run.build()), ())
    assert len(actions) == MOST_NEW + 2
    assert [action.finding.case for action in carry_out(actions[:2])] == ["case-0", "case-1"]
    monkeypatch.setattr("qiltest.notify.github._gh", lambda *_, **__: "")
    with pytest.raises(NotifyError, match="2 more cases fail: at most 40 issues are opened at once"):
        list(carry_out(actions))


def test_nobody_to_tell_and_a_check_are_wrong_usage(night: Night, capsys: Any) -> None:
    folder = night()
    assert tell(folder) == 2
    assert "nobody to tell" in capsys.readouterr().err
    assert tell(night(purpose=Purpose.CHECK), "--github") == 2
    assert "the run is no run of the suite" in capsys.readouterr().err


def test_the_webhook_gets_a_small_json(night: Night, hook: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    night()
    folder = night(wall="texd")
    monkeypatch.setenv("QILTEST_WEBHOOK", hook.url)
    assert tell(folder, "--webhook") == 0
    (body,) = hook.bodies
    assert body["text"] == "qiltest FAIL: 1 of 2 images is worse than its golden (tiny)"
    assert body["since_when"] == {"new": ["wall@256x256-4step-s42"]}
    assert (body["verdict"], body["counts"]) == ("FAIL", {"FAIL": 1, "PASS": 1})
    out, err = capsys.readouterr()
    assert "secret-token" not in out + err
    monkeypatch.setenv("OTHER", hook.url)
    assert tell(folder, "--webhook", "OTHER") == 0
    assert len(hook.bodies) == 2
    monkeypatch.delenv("QILTEST_WEBHOOK")
    assert tell(folder, "--webhook") == 0
    assert len(hook.bodies) == 2
    assert tell(folder, "--webhook", "OTHER", "--dry-run") == 0
    assert len(hook.bodies) == 2


@pytest.mark.parametrize(
    ("url", "words", "state", "line"),
    [
        ("", [], "not_set", "  HOOK is not set: nothing is posted"),
        (" ", ["--dry-run"], "not_set", "  HOOK is not set: nothing is posted"),
        ("https://hooks.example.org/secret-token", ["--dry-run"], "would_post", "  would post to the address in HOOK"),
        ("here", [], "posted", "  posted to the address in HOOK"),
        ("ftp://localhost/x", ["--dry-run"], "failed", ""),
    ],
)
def test_what_became_of_the_webhook_is_said(
    night: Night,
    hook: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    url: str,
    words: list[str],
    state: str,
    line: str,
) -> None:
    folder = night()
    monkeypatch.setenv("HOOK", hook.url if url == "here" else url)
    assert tell(folder, "--webhook", "HOOK", *words) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == (line or "dry run: nothing was done; this would be:")
    assert "secret-token" not in out + err
    assert tell(folder, "--webhook", "HOOK", *words, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["webhook_state"] == state
    assert bool(said["webhook_failed"]) == (state == "failed")
    assert len(hook.bodies) == (2 if state == "posted" else 0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {}), "the webhook answered 500"),
        ((302, {"Location": "http://example.invalid/"}), "the webhook answered 302"),
    ],
)
def test_a_webhook_that_fails_is_said_once_and_fails_nothing(
    night: Night, hook: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, answer: Any, said: str
) -> None:
    monkeypatch.setenv("QILTEST_WEBHOOK", hook.url)
    hook.answers.append(answer)
    assert tell(night(), "--webhook") == 0
    err = capsys.readouterr().err
    assert err == f"qiltest: {said}; nothing depends on it\n"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://hooks.example.org/x", ""),
        ("http://localhost:8080/x", ""),
        ("http://127.0.0.1/x", ""),
        ("http://[::1]:9/x", ""),
        ("http://hooks.example.org/x", "neither https nor this machine"),
        ("http://127.0.0.1.example.org/", "neither https nor this machine"),
        ("file:///etc/passwd", "names no host"),
        ("ftp://localhost/x", "neither https nor this machine"),
        ("https://", "names no host"),
        ("https://[::1", "cannot be read"),
        ("https://host:port/", "cannot be read"),
        ("nonsense", "names no host"),
    ],
)
def test_only_https_and_this_machine_are_posted_to(url: str, why: str) -> None:
    found = refused(url)
    assert (found == "") if not why else (why in found)
    assert "example" not in found
    if why:
        assert post(url, {}) == found


def test_a_server_that_does_not_answer_costs_a_bounded_time(
    hook: Any, monkeypatch: pytest.MonkeyPatch, typical: Run
) -> None:
    monkeypatch.setattr(qiltest.notify.webhook, "_ALL", 0.05)
    monkeypatch.setattr(qiltest.notify.webhook, "_post", lambda *_: __import__("time").sleep(1) or "")
    assert post(hook.url, record_of(typical)) == "the webhook did not answer within 0.05 s"


def test_nobody_at_the_address_is_one_line(hook: Any) -> None:
    assert post("http://127.0.0.1:1/", {}).startswith("the webhook cannot be reached: ")


def test_the_json_is_small_and_finite_whatever_the_run_says(hostile: Run) -> None:
    text = json.dumps(record_of(hostile), allow_nan=False)
    assert len(text) < 20_000
    assert "\\u202e" not in text
    assert "\\u001b" not in text
