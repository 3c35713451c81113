"""Rates for `gate_power.py`: what both gates say of a candidate's images, and of typos planted into readings.

Groups of seeds share no image, so that trials are independent given the good release; intervals are
Clopper-Pearson's.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy.stats import binomtest

from qiltest.calibration.typos import Typo, plant
from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Obstacle, Pair, Pairing
from qiltest.gate.golden import SCHEMA, Golden, GoldenExtra, GoldenText
from qiltest.gate.judge import judge
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.reading import Line, Reading
from qiltest.recipe import Size
from qiltest.scoring import Score, score_case
from qiltest.suite.cases import Case
from qiltest.text.normalise import normalise

GROUPS = (1, 2, 4, 8)
LEAK = "leak"
#: kinds of planted typos; a leak is made of two texts.
KINDS = (Typo.SUBSTITUTE, Typo.DELETE, Typo.INSERT, Typo.DOUBLED, LEAK)
#: one seed in so many has the typo, for the comparison: a release seldom errs in every image.
SHARES = (1, 4)
GOOD, AGAIN, GOOD8, AGAIN8 = "good", "good again", "good 8step", "good 8step again"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One image: its score, or why it has none."""

    score: Score | None
    effective: Size
    sha256: str = ""
    reading: Reading | None = None
    error: str = ""


#: images of one way of drawing, by (case, seed).
Table = dict[tuple[str, int], Seen]


def golden_of(case: Case, seed: int, seen: Seen) -> Golden:
    """Return what `--qil-update=missing` would accept."""
    score = seen.score
    assert score is not None
    return Golden(
        schema=SCHEMA, case=case.id, size=str(case.resolutions[0].size), variant="4step", seed=seed, model="tiny",
        effective=str(seen.effective), reader=score.reader.fingerprint, distance=score.distance,
        distance_alnum=score.distance_alnum, length=score.length, noise_floor=None,
        texts=tuple(GoldenText(expected=t.expected, read=t.read, distance=t.distance) for t in score.texts),
        extra=tuple(GoldenExtra(text=e.text, kind=str(e.kind), distance=e.distance) for e in score.extra),
        recipe_key="", recipe={}, image=seen.sha256,
    )  # fmt: skip


def judgement(case: Case, seed: int, before: Seen, after: Seen, *, by_text: bool = True) -> Judgement | None:
    """Return the golden gate's judgement on one image; `by_text` is False for the sum of all edits alone."""
    if after.score is None:
        return None
    golden = golden_of(case, seed, before) if before.score is not None else None
    limits = case.limits if by_text else replace(case.limits, text_tolerance=sys.maxsize)
    return judge(after.score, golden, limits, case=case, effective=after.effective)


def verdict(case: Case, seed: int, before: Seen, after: Seen, *, by_text: bool = True) -> Verdict:
    """Return the golden gate's verdict on one image; see `judgement`."""
    found = judgement(case, seed, before, after, by_text=by_text)
    return Verdict.ERROR if found is None else found.verdict


def caught(case: Case, seed: int, before: Table, after: Table, *, by_text: bool = True) -> bool:
    """Return whether the golden gate stops one image."""
    found = verdict(case, seed, before[case.id, seed], after[case.id, seed], by_text=by_text)
    return found in (Verdict.FAIL, Verdict.ERROR)


def release(cases: Sequence[Case], seeds: Sequence[int], before: Table, after: Table, *, other: int = 0) -> str:
    """Return the comparison's verdict on a group of seeds; `other` pairs each seed with the one so much later."""
    pairs, obstacles = [], []
    for case in cases:
        for seed in seeds:
            old, new = before[case.id, seed], after[case.id, seed + other]
            name = f"{case.id}-s{seed}"
            if old.score is None or new.score is None:
                obstacles.append(Obstacle(id=name, verdict=Verdict.ERROR, why=old.error or new.error))
                continue
            pairs.append(
                Pair(case=case.id, size=str(case.resolutions[0].size), seed=seed, before=old.score.distance,
                     after=new.score.distance, length=old.score.length, same_image=old.sha256 == new.sha256)
            )  # fmt: skip
    pairing = Pairing(before=GOOD, after="candidate", pairs=tuple(pairs), obstacles=tuple(obstacles))
    return str(compare([pairing]).verdict)


def rate(hits: int, of: int) -> dict[str, Any]:
    """Return a share with its exact 95 % interval."""
    if of == 0:
        return {"hits": 0, "of": 0}
    interval = binomtest(hits, of).proportion_ci(method="exact")
    return {
        "hits": hits,
        "of": of,
        "share": round(hits / of, 4),
        "low": round(float(interval.low), 4),
        "high": round(float(interval.high), 4),
    }


def groups(seeds: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield groups of so many seeds, none in two of them."""
    yield from (seeds[start : start + size] for start in range(0, len(seeds) - size + 1, size))


def rates(cases: Sequence[Case], seeds: Sequence[int], before: Table, after: Table) -> dict[str, Any]:
    """Try both gates on one candidate, by number of seeds; the golden gate text by text, and by the sum alone."""
    record: dict[str, Any] = {
        "images": len(cases) * len(seeds),
        "errors": edits(cases, seeds, after),
        "verdicts": dict(
            Counter(str(verdict(c, s, before[c.id, s], after[c.id, s])) for c in cases for s in seeds),
        ),
        "paired": {},
    }
    for name, by_text in (("", True), (" by the sum", False)):
        hits = {s: [caught(c, s, before, after, by_text=by_text) for c in cases] for s in seeds}
        record[f"image{name}"] = rate(sum(map(sum, hits.values())), record["images"])
        record[f"golden{name}"] = {
            size: rate(sum(any(any(hits[s]) for s in group) for group in groups(seeds, size)), len(seeds) // size)
            for size in GROUPS
            if len(seeds) >= size
        }
    for size in GROUPS:
        each = list(groups(seeds, size))
        if each:
            record["paired"][size] = _paired([release(cases, group, before, after) for group in each])
    record["alarms"] = list(alarms(cases, seeds, before, after))
    return record


def alarms(cases: Sequence[Case], seeds: Sequence[int], before: Table, after: Table) -> Iterator[dict[str, Any]]:
    """Yield each image that only the rule text by text stops, with its reasons."""
    for case in cases:
        for seed in seeds:
            if caught(case, seed, before, after) and not caught(case, seed, before, after, by_text=False):
                found = judgement(case, seed, before[case.id, seed], after[case.id, seed])
                yield {"image": f"{case.id}-s{seed}", "reasons": [] if found is None else found.reasons}


def _paired(found: Sequence[str]) -> dict[str, Any]:
    return {**rate(sum(v in ("DO NOT SHIP", "ERROR") for v in found), len(found)), "verdicts": dict(Counter(found))}


def edits(cases: Sequence[Case], seeds: Sequence[int], table: Table) -> dict[str, int]:
    """Return edits, characters asked for, exact images and images without a score."""
    scores = [table[case.id, seed].score for case in cases for seed in seeds]
    known = [score for score in scores if score is not None]
    return {
        "edits": sum(score.distance for score in known),
        "characters": sum(score.length for score in known),
        "exact": sum(score.distance == 0 for score in known),
        "unscored": len(scores) - len(known),
    }


def other_noise(cases: Sequence[Case], seeds: Sequence[int], table: Table) -> dict[int, Any]:
    """Compare the good release with itself at other seeds: false alarms where the images do differ."""
    half = len(seeds) // 2
    return {
        size: _paired([release(cases, group, table, table, other=half) for group in groups(seeds[:half], size)])
        for size in GROUPS
        if half >= size
    }


def planted(case: Case, seen: Seen, kind: str, rng: random.Random) -> Seen | None:
    """Return the image with a typo in its reading, scored again; None where the reading has no place for it."""
    if seen.reading is None or seen.score is None:
        return seen
    used = [(text.expected, line) for text in seen.score.texts for line in text.lines]
    rng.shuffle(used)
    for expected, index in used:
        lines = list(seen.reading.lines)
        wrong = _leaked(case, lines[index], expected) if kind == LEAK else plant(lines[index].text, Typo(kind), rng)
        if wrong is not None:
            lines[index] = replace(lines[index], text=wrong, characters=())
            reading = replace(seen.reading, lines=tuple(lines))
            return replace(seen, reading=reading, score=score_case(case, reading))
    return None


def _leaked(case: Case, line: Line, expected: str) -> str | None:
    """Return the line followed by four characters of another text, or of its own where there is no other."""
    others = [text.text for text in case.texts if text.text != expected and len(normalise(text.text)) >= 4]
    source = normalise((others or [expected])[0])
    return line.text + source[:4] if len(source) >= 4 else None


def in_readings(cases: Sequence[Case], seeds: Sequence[int], good: Table) -> dict[str, Any]:
    """Plant typos by kind: the golden gate image by image, the comparison where all or a fourth of seeds err."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        rng = random.Random(str(kind))
        wrong = {
            key: planted(case, good[key], kind, rng) for case in cases for seed in seeds if (key := (case.id, seed))
        }
        tried = [
            (case, seed, good[case.id, seed], after)
            for case in cases
            for seed in seeds
            if good[case.id, seed].score is not None and (after := wrong[case.id, seed]) is not None
        ]
        record: dict[str, Any] = {"paired": {}}
        for name, by_text in (("image", True), ("image by the sum", False)):
            hits = [verdict(*each, by_text=by_text) is Verdict.FAIL for each in tried]
            record[name] = rate(sum(hits), len(hits))
        record["missed"] = [_missed(*each) for each in tried if verdict(*each) is not Verdict.FAIL]
        for share in SHARES:
            mixed = {key: (wrong[key] or good[key]) if key[1] % share == 0 else good[key] for key in good}
            record["paired"][f"1 in {share}"] = {
                size: _paired([release(cases, group, good, mixed) for group in groups(seeds, size)]) for size in GROUPS
            }
        found[str(kind)] = record
    return found


def _missed(case: Case, seed: int, before: Seen, after: Seen) -> dict[str, Any]:
    """Return the lines that a typo changed in the reading of an image that passes, and the edits before and after."""
    lines = [[line.text for line in seen.reading.lines] if seen.reading else [] for seen in (before, after)]
    changed = [list(pair) for pair in zip(*lines, strict=True) if pair[0] != pair[1]]
    edits = [None if seen.score is None else seen.score.distance for seen in (before, after)]
    return {"image": f"{case.id}-s{seed}", "lines": changed, "edits": edits}


def markdown(result: dict[str, Any]) -> str:
    """Return the tables, for people."""
    lines = [
        f"{len(result['cases'])} cases ({', '.join(result['cases'])}); {result['seeds']['good']} seeds of the good "
        f"LoRAs, {result['seeds']['bad']} of each bad release. A cell: share caught (95 % interval), hits/trials. A "
        "release that writes as well as the good one on these cases cannot be told by its text, and is not. The golden "
        "gate judges text by text; beside it stands what the sum of all edits alone would catch.",
        "",
        "| release | refused or named before drawing | edits in 100 characters | one image, by the sum | one image | "
        + " | ".join(f"golden, {size} seeds, by the sum | golden, {size} seeds" for size in GROUPS)
        + " | "
        + " | ".join(f"paired, {size} seeds" for size in GROUPS)
        + " |",
        "|" + "---|" * (5 + 3 * len(GROUPS)),
    ]
    for name, record in (
        (AGAIN, result["good"][AGAIN]),
        (AGAIN8, result["good"][AGAIN8]),
        *result["releases"].items(),
    ):
        lines.append(_row(name, _named(result["bad"].get(name)), record))
    for name, record in result["bad"].items():
        if name not in result["releases"]:
            lines.append(f"| {name} | {record['refused']} |" + " not generated |" + " |" * (2 + 3 * len(GROUPS)))
    same = "; ".join(
        f"{name}: {result['good'][name]['same bytes']} of {result['good'][name]['images']}" for name in (AGAIN, AGAIN8)
    )
    lines += ["", f"Images of a re-run that are the same byte by byte as the first: {same}."]
    lines += ["", "The good release against itself at other seeds, paired (false alarms):", ""]
    for name, sizes in result["good"]["other seeds"].items():
        lines.append(
            f"- {name}: " + "; ".join(f"{s} seeds {_cell(c)} {c['verdicts']}" for s, c in sizes.items() if c["of"])
        )
    lines += ["", "| planted typo | in the reading, by the sum | in the reading | generated, by the sum | generated |"]
    lines.append("|" + "---|" * 5)
    for kind, record in result["typos in readings"].items():
        cells = [_cell(record[name]) for name in ("image by the sum", "image")]
        generated = result["typos generated"].get(kind, {})
        cells += [_cell(generated.get(name, {"of": 0})) for name in ("by the sum", "text by text")]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines += ["", "| planted typo | paired, typo in | " + " | ".join(f"{size} seeds" for size in GROUPS) + " |"]
    lines.append("|" + "---|" * (2 + len(GROUPS)))
    for kind, record in result["typos in readings"].items():
        for share, sizes in record["paired"].items():
            cells = [_cell(sizes.get(size, {"of": 0})) for size in GROUPS]
            lines.append(f"| {kind} | {share} | {' | '.join(cells)} |")
    lines += ["", "Generated typos that were not found:", ""]
    for kind, record in result["typos generated"].items():
        for miss in record["missed"]:
            lines.append(f"- {kind}, {miss['image']}: asked for `{miss['asked']}`, read `{miss['read']}`")
    return "\n".join(lines) + "\n"


def _named(record: dict[str, Any] | None) -> str:
    if record is None:
        return "-"
    return "; ".join(record["messages"]).split(" that of ")[0] or "-"


def _row(name: str, named: str, record: dict[str, Any]) -> str:
    errors = record["errors"]
    share = f"{100 * errors['edits'] / errors['characters']:.1f}" if errors["characters"] else "-"
    cells = [_cell(record["image by the sum"]), _cell(record["image"])]
    for size in GROUPS:
        cells += [_cell(record[gate].get(size, {"of": 0})) for gate in ("golden by the sum", "golden")]
    cells += [_cell(record["paired"].get(size, {"of": 0})) for size in GROUPS]
    return f"| {name} | {named} | {share} | " + " | ".join(cells) + " |"


def _cell(found: dict[str, Any]) -> str:
    if not found["of"]:
        return "-"
    return f"{found['share']:.0%} ({found['low']:.0%} to {found['high']:.0%}), {found['hits']}/{found['of']}"
