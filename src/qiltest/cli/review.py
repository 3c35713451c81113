"""`qiltest review`: accepts or rejects, one by one, the goldens that a run would change or has changed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from qiltest.cli.common import (
    AddParser,
    case_flag,
    console,
    golden_flag,
    json_flag,
    open_page,
    print_json,
    print_lines,
    runs_flag,
    with_images,
)
from qiltest.engine.review import Agenda, Decision, GoldenChange, Item, Review, differences
from qiltest.errors import GoldenError, StoreError, os_errors_as
from qiltest.gate.golden import Golden, GoldenStore, GoldenText
from qiltest.runs.filter import is_of, only_cases
from qiltest.runs.room import Room
from qiltest.runs.store import LATEST, RunStore
from qiltest.scoring.records import ExtraKind, TextScore
from qiltest.text.format import count

_KEYS = {"a": Decision.ACCEPTED, "r": Decision.REJECTED, "s": Decision.SKIPPED}
_QUIT, _VIEW, _OPEN = "q", "v", "o"
#: the page of one image, in the run's folder.
_PAGE = "review.html"
_MEANS = {
    GoldenChange.NEW: "there is no golden yet",
    GoldenChange.CHANGED: "the golden would be replaced",
    GoldenChange.RECORDED: "--qil-update has written the golden; rejecting restores the one before",
}
_JSON = "print the goldens to decide as JSON; with --accept-all also accept them"


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest review`."""
    parser = add(
        description="Shows each new or changed golden of a stored run: old and new image, what was read in each, and "
        "the distance; `o` opens both images with their differences in a page. An accepted golden is written at once. "
        "Refused in CI. Exit code 0: nothing is left to decide; 1: something was rejected, skipped or cannot be "
        "accepted; 2: wrong usage.",
        parents=[case_flag(), golden_flag(), runs_flag(), json_flag(_JSON)],
    )
    parser.add_argument("run", nargs="?", default=LATEST, metavar="RUN", help="id, start of an id, folder, or latest")
    parser.add_argument(
        "--accept-all", action="store_true", help="accept without asking all that nobody needs to look at"
    )
    parser.add_argument(
        "--accept-latency", action="store_true", help="also write the latency goldens that are missing, from this run"
    )
    parser.add_argument(
        "--in-ci",
        action="store_true",
        help="write goldens in CI too: for a job that a person starts, whose goldens a person looks at before a merge",
    )
    parser.add_argument("--again", action="store_true", help="ask again about rejected ones")
    parser.set_defaults(handler=run_review)


def run_review(args: argparse.Namespace) -> int:
    """Review a run. Returns 0 where nothing is left to decide, else 1; raises StoreError and GoldenError."""
    stored = RunStore(root=args.runs).load(args.run, room=Room(wanted=is_of(args.case)))
    run = only_cases(with_images(stored), args.case)
    _refuse(args)
    review = Review(run=run, goldens=GoldenStore(root=args.golden))
    agenda = review.agenda(again=args.again)
    if args.json:
        decided = _accept_all(review, agenda) if args.accept_all else {}
        print_json(_record(review, agenda, decided))
    else:
        print_lines((f"run {run.path}", *agenda.unfit))
        decided = _accept_all(review, agenda) if args.accept_all else _ask(review, agenda)
        print_lines(_sum(agenda, decided))
    written = review.accept_latencies() if args.accept_latency else []
    console(stderr=args.json).print("\n".join(f"latency golden {path}" for path in written), end="\n" * bool(written))
    accepted = sum(decision is Decision.ACCEPTED for decision in decided.values())
    return 0 if accepted == len(agenda.items) and not agenda.rejected and not agenda.more else 1


def _refuse(args: argparse.Namespace) -> None:
    """Raise GoldenError in CI, and where standard input is not a terminal."""
    from qiltest.engine.options import ci_variable

    if args.json and not args.accept_all and not args.accept_latency:
        return
    if (variable := ci_variable()) and not args.in_ci:
        raise GoldenError(
            f"reviewing is refused because {variable} is set: a person must look at goldens before they change",
            remedy="run it on your machine and commit the files; --json lists the goldens to decide",
        )
    if not args.accept_all and not args.json and not sys.stdin.isatty():
        raise GoldenError(
            "standard input is not a terminal",
            remedy="use --json to list the goldens to decide, or --accept-all to accept them",
        )


def _accept_all(review: Review, agenda: Agenda) -> dict[str, Decision]:
    decided = {}
    for item in agenda.items:
        if not item.blocked and not item.doubt:
            review.accept(item)
            decided[item.id] = Decision.ACCEPTED
    return decided


def _ask(review: Review, agenda: Agenda) -> dict[str, Decision]:
    """Show each item and ask; a decision is stored before the next item is shown."""
    decided: dict[str, Decision] = {}
    for number, item in enumerate(agenda.items, start=1):
        place = f"[{number}/{len(agenda.items)}]"
        print_lines(_shown(review, item, place))
        shows = {_VIEW: partial(_show_all, review, item, place), _OPEN: partial(_open, review, item)}
        decision = _answer(item, shows)
        if decision is None:
            break
        if decision is Decision.ACCEPTED:
            print_lines((f"accepted: {review.accept(item)}",))
        elif decision is Decision.REJECTED:
            review.reject(item)
            print_lines(("rejected",))
        decided[item.id] = decision
    return decided


def _show_all(review: Review, item: Item, place: str) -> None:
    print_lines(_shown(review, item, place, whole=True))


def _open(review: Review, item: Item) -> None:
    """Write and open a page of the image beside that of its golden: both, where they differ, and the texts marked."""
    from qiltest.report import write_html

    result, path = replace(item.result, golden=item.before), review.run.path / _PAGE
    run = replace(review.run, results=(result,), planned=(result.sample,), problems=(), exit_status=None)
    with os_errors_as(StoreError, "the page cannot be written", where=str(path), remedy="make the folder writable"):
        write_html(run, path, golden_folder=review.goldens.root)
    print_lines((f"page: {path.resolve()}",))
    open_page(path)


def _answer(item: Item, shows: Mapping[str, Callable[[], None]]) -> Decision | None:
    """Return the decision that was typed; None for quit, or at the end of input. `shows`: what other keys show."""
    keys = "accept (a), " if not item.blocked else ""
    while True:
        console().print(f"{keys}reject (r), skip (s), all texts (v), open images (o), quit (q)? ", end="")
        line = sys.stdin.readline()
        key = line.strip().lower()[:1]
        if not line or key == _QUIT:
            return None
        if key in shows:
            shows[key]()
        if key in _KEYS and not (item.blocked and key == "a"):
            return _KEYS[key]


def _shown(review: Review, item: Item, place: str, *, whole: bool = False) -> Iterator[str]:
    result, before, now = item.result, item.before, item.candidate
    verdict = result.judgement.verdict if result.judgement else "-"
    yield ""
    yield f"{place} {item.id}   {item.change}: {_MEANS[item.change]}; verdict {verdict}"
    before_distance = "" if before is None else f"{before.distance} -> "
    yield f"  distance   {before_distance}{now.distance} of {now.length} characters"
    yield from _texts(item, whole=whole)
    why = () if result.judgement is None else result.judgement.reasons
    yield from (f"  why        {reason}" for reason in why)
    # a lost scene is a reason already
    yield from (f"  changed    {difference}" for difference in differences(item) if difference not in why)
    if before is not None:
        yield f"  old        {_where(review, before)}"
    yield f"  new        {_where(review, now)}"
    if item.blocked:
        yield f"  blocked    {item.blocked}"
    elif item.doubt:
        said = item.doubt in why or item.doubt in differences(item)
        yield f"  look       {'--accept-all leaves this image to you' if said else item.doubt}"


def _texts(item: Item, *, whole: bool) -> Iterator[str]:
    """Yield what was read before and now, with the differing characters marked; `whole`: also of unchanged texts."""
    from qiltest.report.terminal.failure import marked_line

    score, before = item.result.score, item.before
    assert score is not None
    was = {} if before is None else {text.expected: text for text in before.texts}
    changed = [text for text in score.texts if not _same(text, was.get(text.expected))]
    same = [text for text in score.texts if text not in changed]
    for text in (*changed, *(same if whole else ())):
        old = was.get(text.expected)
        yield f"  expected   {text.expected}"
        if old is not None and text in changed:
            yield f"    before   {old.read or '(nothing)'}   distance {old.distance}"
        yield f"    now      {marked_line(text)}   distance {text.distance}"
    if same and not whole:
        wrong = sum(1 for text in same if text.distance)
        yield f"  unchanged  {count(len(same), 'text')}" + (f", {wrong} of them with accepted errors" if wrong else "")
    asked = {text.expected for text in score.texts}
    yield from (f"  no longer expected: {expected}" for expected in was if expected not in asked)
    for extra in score.extra:
        if extra.kind is not ExtraKind.OTHER:
            yield f"  extra      {extra.text}   {extra.kind} of {extra.of}, distance {extra.distance}"
        elif extra.of:
            yield f"  extra      {extra.text}   shown again elsewhere, not counted: of {extra.of}"


def _same(text: TextScore, old: GoldenText | None) -> bool:
    return old is not None and (old.read, old.distance) == (text.read, text.distance)


def _where(review: Review, golden: Golden) -> str:
    if (path := review.find_image(golden.image)) is not None:
        return str(path)
    if (path := review.small_copy(golden)) is not None:
        return f"{path} (small copy; the image itself is no longer stored)"
    return f"image {golden.image[:12]} is no longer stored"


def _sum(agenda: Agenda, decided: dict[str, Decision]) -> Iterator[str]:
    counts = Counter(decided.values())
    left = [item for item in agenda.items if item.id not in decided]
    for item in left:
        if item.blocked:
            yield f"{item.id}: cannot be accepted: {item.blocked}"
        elif item.doubt:
            yield f"{item.id}: not accepted with the others: {item.doubt}"
    yield ""
    yield ", ".join(f"{counts[decision]} {decision}" for decision in Decision) + f", {len(left)} left"
    if agenda.more:
        yield (
            f"{count(agenda.more, 'more image')} not looked at: the run holds more than one review does; repeat the "
            "command when these are decided, or name cases with --case"
        )
    if agenda.rejected:
        yield f"{len(agenda.rejected)} rejected before (--again asks again): {', '.join(agenda.rejected)}"
    if counts[Decision.ACCEPTED]:
        yield "check the goldens (`git diff`) before you commit them"


def _record(review: Review, agenda: Agenda, decided: dict[str, Decision]) -> dict[str, object]:
    return {
        "run": review.run.id,
        "items": [_item(review, item, decided.get(item.id)) for item in agenda.items],
        "rejected_before": agenda.rejected,
        "unfit": agenda.unfit,
        **({"not_looked_at": agenda.more} if agenda.more else {}),
    }


def _item(review: Review, item: Item, decision: Decision | None) -> dict[str, object]:
    before, now = item.before, item.candidate
    old = None if before is None else review.find_image(before.image) or review.small_copy(before)
    new = review.find_image(now.image)
    was = {} if before is None else {text.expected: text.read for text in before.texts}
    return {
        "sample": item.id,
        "change": item.change,
        "verdict": None if item.result.judgement is None else item.result.judgement.verdict,
        "distance": {"before": None if before is None else before.distance, "after": now.distance},
        "texts": [{"expected": t.expected, "before": was.get(t.expected), "after": t.read} for t in now.texts],
        "differences": list(differences(item)),
        "image": {"before": None if old is None else str(old), "after": None if new is None else str(new)},
        "blocked": item.blocked,
        "doubt": item.doubt,
        "decision": decision,
    }
