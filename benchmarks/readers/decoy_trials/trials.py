"""One trial: a text or a part of it is taken away, decoys are added, and both readings are scored."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from decoy_trials.layout import Item, score_of, shortened, true_lines, width_of
from decoy_trials.lines import KINDS, decoys
from qiltest.reading import Line
from qiltest.scoring import Score
from qiltest.suite.cases import Case
from qiltest.text.normalise import normalise

#: What is taken away.
TAKEN = ("whole text", "a line", "last characters")


def decoy_trials(cases: Mapping[str, Case], name: str, trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what each trial gave."""
    case = cases[name]
    for kind in KINDS:
        for taken in TAKEN:
            for trial in range(trials):
                rng = random.Random(f"{seed} {name} {kind} {taken} {trial}")
                yield _trial(cases, case, kind, taken, rng)


def _trial(cases: Mapping[str, Case], case: Case, kind: str, taken: str, rng: random.Random) -> dict[str, Any]:
    items = true_lines(case, rng)
    left, gone, index = _take(items, taken, rng)
    others = list(decoys(cases, case, kind, left, gone, rng))
    before = {i: text.distance for i, text in enumerate(score_of(case, left).texts)}
    mixed = [*left, *others]
    rng.shuffle(mixed)
    found = score_of(case, mixed)
    lines = {i for i, item in enumerate(mixed) if item.text < 0}
    # a line beside another is reported in its own field where the scorer has one; only joined lines count here
    joined = [i for i, text in enumerate(found.texts) if lines & set(text.lines) and text.distance < before[i]]
    completed = [i for i in joined if found.texts[i].distance == 0]
    raised = [i for i, text in enumerate(found.texts) if text.distance > before[i]]
    extra = [item.text for item in found.extra if item.distance and item.line in lines]
    record: dict[str, Any] = {"kind": kind, "taken": taken, "length": len(normalise(case.texts[index].text))}
    record |= {"joined": bool(joined), "completed": bool(completed), "raised": bool(raised), "extra": bool(extra)}
    if joined or raised or extra:
        record["shown"] = [_told(found, i, before[i]) for i in [*joined, *raised]] + [{"extra": text} for text in extra]
    return record


def _told(found: Score, index: int, before: int) -> dict[str, Any]:
    text = found.texts[index]
    return {"expected": text.expected, "read": text.read, "before": before, "distance": text.distance}


def _take(items: Sequence[Item], taken: str, rng: random.Random) -> tuple[list[Item], Line, int]:
    """Take a text away, or a part of it; returns what is left, the line concerned, and the text's index."""
    index = rng.choice(sorted({item.text for item in items}))
    own = [item for item in items if item.text == index]
    gone = rng.choice(own)
    if taken == "whole text":
        return [item for item in items if item.text != index], gone.line, index
    if taken == "a line" and len(own) > 1:
        return [item for item in items if item is not gone], gone.line, index
    last = own[-1]
    count = rng.randint(1, max(1, min(6, len(last.line.text) // 2)))
    kept_text = last.line.text[:-count].rstrip()
    if not kept_text:
        return [item for item in items if item is not last], last.line, index
    share = width_of(kept_text, 1) / width_of(last.line.text, 1)
    shorter = Item(line=shortened(last.line, kept_text, share), text=index)
    return [shorter if item is last else item for item in items], last.line, index
