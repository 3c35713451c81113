"""From a picture that was scored to the golden that it would be: one way for `--qil-update` and `qiltest review`."""

from __future__ import annotations

from qiltest.gate.golden import SCHEMA, Golden, GoldenExtra, GoldenText
from qiltest.recipe import Recipe
from qiltest.runs.records import Point
from qiltest.scoring.records import Score


def golden_from(
    point: Point, *, model: str, recipe: Recipe, score: Score, noise_floor: float | None, picture: str
) -> Golden:
    """Return the golden of a scored picture; `picture` is its SHA-256."""
    return Golden(
        schema=SCHEMA,
        case=point.case,
        size=str(point.size),
        variant=point.variant,
        seed=point.seed,
        model=model,
        effective=str(recipe.effective),
        reader=score.reader.fingerprint,
        distance=score.distance,
        distance_alnum=score.distance_alnum,
        length=score.length,
        noise_floor=noise_floor,
        texts=tuple(GoldenText(expected=t.expected, read=t.read, distance=t.distance) for t in score.texts),
        extra=tuple(GoldenExtra(text=e.text, kind=str(e.kind), distance=e.distance) for e in score.extra),
        recipe_key=recipe.key(),
        recipe=recipe.facts(),
        picture=picture,
    )
