"""Scores to and from JSON, for the run store and goldens: strict both ways."""

from __future__ import annotations

from typing import Any

from qiltest.errors import StoreError
from qiltest.reading.serial import boolean, info_from_json, info_to_json, integer, mapping, sequence, string
from qiltest.scoring.records import Edit, EditKind, Extra, ExtraKind, Score, TextScore


def score_to_json(score: Score) -> dict[str, Any]:
    """Plain data for `json.dumps(..., allow_nan=False)`; `score_from_json` gives back an equal score."""
    return {
        "reader": info_to_json(score.reader),
        "texts": [text_to_json(text) for text in score.texts],
        "extra": [extra_to_json(extra) for extra in score.extra],
        "distance": score.distance,
        "distance_alnum": score.distance_alnum,
        "length": score.length,
    }


def text_to_json(text: TextScore) -> dict[str, Any]:
    """Plain data for one text."""
    return {
        "expected": text.expected,
        "read": text.read,
        "distance": text.distance,
        "distance_alnum": text.distance_alnum,
        "length": text.length,
        "edits": [edit_to_json(edit) for edit in text.edits],
        "lines": list(text.lines),
        "required": text.required,
        "layout": list(text.layout),
    }


def edit_to_json(edit: Edit) -> dict[str, Any]:
    """Plain data for one edit."""
    return {
        "kind": edit.kind.value,
        "position": edit.position,
        "expected": edit.expected,
        "read": edit.read,
        "look_alike": edit.look_alike,
        "counted": edit.counted,
    }


def extra_to_json(extra: Extra) -> dict[str, Any]:
    """Plain data for one extra text."""
    return {
        "text": extra.text,
        "kind": extra.kind.value,
        "line": extra.line,
        "distance": extra.distance,
        "of": extra.of,
    }


def score_from_json(data: object) -> Score:
    """Rebuild a score. Raises StoreError naming the key that is wrong, or the sum."""
    fields = mapping(data, "score", {"reader", "texts", "extra", "distance", "distance_alnum", "length"})
    texts = tuple(_text(item, f"score.texts[{i}]") for i, item in enumerate(sequence(fields["texts"], "score.texts")))
    extra = tuple(_extra(item, f"score.extra[{i}]") for i, item in enumerate(sequence(fields["extra"], "score.extra")))
    distance = integer(fields["distance"], "score.distance")
    total = sum(text.distance for text in texts) + sum(item.distance for item in extra)
    if distance != total:
        raise StoreError(
            f"distance {distance} is not the sum of its parts, {total}",
            where="score",
            remedy="the record is damaged: score the picture again (qiltest rescore)",
        )
    return Score(
        reader=info_from_json(fields["reader"]),
        texts=texts,
        extra=extra,
        distance=distance,
        distance_alnum=integer(fields["distance_alnum"], "score.distance_alnum"),
        length=integer(fields["length"], "score.length"),
    )


def _text(data: object, where: str) -> TextScore:
    keys = {"expected", "read", "distance", "distance_alnum", "length", "edits", "lines", "required", "layout"}
    fields = mapping(data, where, keys)
    return TextScore(
        expected=string(fields["expected"], f"{where}.expected"),
        read=string(fields["read"], f"{where}.read"),
        distance=integer(fields["distance"], f"{where}.distance"),
        distance_alnum=integer(fields["distance_alnum"], f"{where}.distance_alnum"),
        length=integer(fields["length"], f"{where}.length"),
        edits=tuple(_edit(item, f"{where}.edits") for item in sequence(fields["edits"], f"{where}.edits")),
        lines=tuple(integer(item, f"{where}.lines") for item in sequence(fields["lines"], f"{where}.lines")),
        required=boolean(fields["required"], f"{where}.required"),
        layout=tuple(string(item, f"{where}.layout") for item in sequence(fields["layout"], f"{where}.layout")),
    )


def _edit(data: object, where: str) -> Edit:
    fields = mapping(data, where, {"kind", "position", "expected", "read", "look_alike", "counted"})
    kind = string(fields["kind"], f"{where}.kind")
    if kind not in set(EditKind):
        raise StoreError(f"unknown kind of edit {kind!r}", where=where, remedy="score the picture again")
    return Edit(
        kind=EditKind(kind),
        position=integer(fields["position"], f"{where}.position"),
        expected=string(fields["expected"], f"{where}.expected"),
        read=string(fields["read"], f"{where}.read"),
        look_alike=string(fields["look_alike"], f"{where}.look_alike"),
        counted=boolean(fields["counted"], f"{where}.counted"),
    )


def _extra(data: object, where: str) -> Extra:
    fields = mapping(data, where, {"text", "kind", "line", "distance", "of"})
    kind = string(fields["kind"], f"{where}.kind")
    if kind not in set(ExtraKind):
        raise StoreError(f"unknown kind of extra text {kind!r}", where=where, remedy="score the picture again")
    return Extra(
        text=string(fields["text"], f"{where}.text"),
        kind=ExtraKind(kind),
        line=integer(fields["line"], f"{where}.line"),
        distance=integer(fields["distance"], f"{where}.distance"),
        of=string(fields["of"], f"{where}.of"),
    )
