"""The speed of a model with random weights: a row per size and variant, and its share of the device's matrix rate.

`qiltest.generation.random.operations` counts operations from the transformer's config: linear layers, attention's two
products, and the own ones of a LoRA that is not merged. The share is operations per second of the denoise loop over
the matrix rate that was measured when the session began.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from qiltest.files import write_atomically
from qiltest.recipe import Recipe
from qiltest.runs.aggregate import median_speed_up, speed_ups
from qiltest.runs.records import CaseResult, Run
from qiltest.strict_json import decode_stored

if TYPE_CHECKING:
    from qiltest.generation.families import Family

NAME = "speeds.json"
_HEAD = "| size | variant | NFE | images | seconds | base speed | seconds / forward | T operations / forward | share |"
_RULE = "|---|---|---:|---:|---:|---:|---:|---:|---:|"
_TERA = 1e12


@dataclass(frozen=True, kw_only=True)
class Speed:
    """A variant's speed at one size."""

    size: str
    variant: str
    nfe: int
    images: int
    #: median seconds of the denoise loop.
    seconds: float
    #: median of the images' speed-ups over the base variant; None for the base, and where no pair was timed.
    speed_up: float | None
    #: operations per forward, of the median image.
    operations: float
    #: share of the measured matrix rate, 0 to 1.
    share: float

    @property
    def seconds_a_forward(self) -> float:
        """Seconds per forward of the transformer."""
        return self.seconds / self.nfe


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """The speeds of a run. `matrix_rate` is in operations per second, measured on products of square matrices."""

    matrix_rate: float
    rows: tuple[Speed, ...]


def speeds_of(run: Run, family: Family, matrix_rate: float) -> Speeds:
    """Return a row per size and variant, in the order of generating within a size."""
    timed: dict[tuple[str, str], list[CaseResult]] = {}
    for result in run.results:
        if result.recipe is not None and result.timing is not None:
            timed.setdefault((str(result.recipe.effective), result.sample.variant), []).append(result)
    ratios = speed_ups(run)
    ordered = sorted(timed.items(), key=lambda item: item[0][0])
    return Speeds(
        matrix_rate=matrix_rate, rows=tuple(_row(key, found, family, ratios, matrix_rate) for key, found in ordered)
    )


def speed_lines(speeds: Speeds) -> Iterator[str]:
    """Yield the rows as a Markdown table, and what the share is of."""
    yield _HEAD
    yield _RULE
    for row in speeds.rows:
        up = "" if row.speed_up is None else f"{row.speed_up:.1f} x"
        yield (
            f"| {row.size} | {row.variant} | {row.nfe} | {row.images} | {row.seconds:.2f} | {up} "
            f"| {row.seconds_a_forward:.4f} | {row.operations / _TERA:.1f} | {row.share:.0%} |"
        )
    yield ""
    yield (
        f"Share of {speeds.matrix_rate / _TERA:.0f} T operations per second, measured on products of square matrices. "
        f"Linear layers, attention's products and LoRAs that are not merged are counted."
    )


def write_speeds(speeds: Speeds, folder: Path) -> Path:
    """Write the rows to `speeds.json` in a run's folder, for its Markdown report. Raises OSError."""
    path = folder / NAME
    rows = [asdict(row) | {"seconds_a_forward": row.seconds_a_forward} for row in speeds.rows]
    text = json.dumps({"matrix_rate": speeds.matrix_rate, "rows": rows}, indent=1, allow_nan=False)
    write_atomically(path, text.encode())
    return path


def read_speeds(folder: Path) -> Speeds | None:
    """Return the speeds of a run's folder; None where it has none. Raises OSError; StoreError for a damaged file."""
    remedy = "remove the damaged file; the report is then written without speeds"
    return decode_stored(Speeds, folder / NAME, what="the run's speeds", remedy=remedy)


def _row(
    key: tuple[str, str], found: Sequence[CaseResult], family: Family, ratios: Mapping[str, float], matrix_rate: float
) -> Speed:
    timed = [(r.timing.denoise_seconds, r.recipe) for r in found if r.timing is not None and r.recipe is not None]
    nfe = timed[0][1].nfe
    counted = [(_operations(family, recipe), seconds) for seconds, recipe in timed]
    return Speed(
        size=key[0],
        variant=key[1],
        nfe=nfe,
        images=len(timed),
        seconds=median(seconds for seconds, _ in timed),
        speed_up=median_speed_up(found, ratios),
        operations=median(operations for operations, _ in counted) / nfe,
        share=median(operations / seconds for operations, seconds in counted) / matrix_rate,
    )


def _operations(family: Family, recipe: Recipe) -> int:
    # imported here, so that showing a stored run does not load it
    from qiltest.generation.random.operations import random_prompt_tokens

    longest = recipe.max_sequence_length
    read = family.read_tokens(recipe.prompts[0])
    return family.image_operations(
        family.base(),
        recipe,
        text_tokens=random_prompt_tokens(recipe.prompt, longest) + read,
        negative_tokens=random_prompt_tokens(recipe.negative_prompt or "", longest) + read,
    )
