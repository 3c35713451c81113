"""The recorded runs for other programs: one JSON object per image and run, and github-action-benchmark's form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from qiltest.report.trends.series import rates, variants_of
from qiltest.runs.history import HistoryEntry


def json_lines(entries: Iterable[HistoryEntry]) -> Iterator[str]:
    """Yield one line of ASCII JSON per image and run, oldest run first, with all that is known of how it was made."""
    for entry in entries:
        run = {name: getattr(entry, name) for name in ("run", "started", "purpose", "model")}
        for name, sample in entry.samples.items():
            yield json.dumps({**run, "sample": name, **asdict(sample), "facts": entry.facts_of(name)}, allow_nan=False)


def benchmark_json(entries: Sequence[HistoryEntry]) -> str:
    """Return the newest run for github-action-benchmark's tool `customSmallerIsBetter`.

    A list of `{name, unit, value, extra}`: the edits and seconds of each image, and the error rate of each variant.
    """
    newest = entries[-1]
    extra = "\n".join(f"{name}: {value}" for name, value in newest.facts.items() if value not in {"", None})
    found = [
        {"name": f"{variant}: error rate", "unit": "edits per 100 characters", "value": round(100 * value, 4)}
        for variant, (value,) in rates([newest]).items()
        if value is not None
    ]
    for variant in variants_of([newest]):
        for name, sample in newest.samples.items():
            if sample.variant != variant:
                continue
            if sample.distance is not None:
                found.append({"name": f"{name}: text", "unit": "edits", "value": sample.distance})
            if sample.seconds is not None:
                found.append({"name": f"{name}: denoise", "unit": "s", "value": round(sample.seconds, 6)})
    return json.dumps([{**one, "extra": f"run {newest.run}\n{extra}"} for one in found], allow_nan=False, indent=1)
