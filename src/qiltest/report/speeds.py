"""How fast random weights generate: a row per size and variant, beside what the device can do.

Operations are counted by `qiltest.generation.random.operations`, from the transformer's config: linear layers,
attention's two products, and an unfused LoRA's own. The share is operations over seconds of the
denoise loop, over the matrix rate that was measured when the session began.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter, ValidationError

from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.lora.bases import Base
from qiltest.recipe import Recipe
from qiltest.runs.aggregate import median_speed_up, speed_ups
from qiltest.runs.records import CaseResult, Run

NAME = "speeds.json"
_HEAD = "| size | variant | NFE | images | seconds | over base | seconds a forward | T operations a forward | share |"
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
    #: median of the images' speed-ups over the base variant; None for the base, and where no pair was generated.
    speed_up: float | None
    #: operations of one forward, mean over the median image's.
    operations: float
    #: share of the measured matrix rate, 0 to 1.
    share: float

    @property
    def seconds_a_forward(self) -> float:
        """Seconds of the loop over its forwards."""
        return self.seconds / self.nfe


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """The speeds of a run. `matrix_rate`: operations per second, measured on products of square matrices."""

    matrix_rate: float
    rows: tuple[Speed, ...]


def speeds_of(run: Run, base: Base, matrix_rate: float) -> Speeds:
    """Return a row for each size and variant that was generated, in the order of generating within a size."""
    timed: dict[tuple[str, str], list[CaseResult]] = {}
    for result in run.results:
        if result.recipe is not None and result.timing is not None:
            timed.setdefault((str(result.recipe.effective), result.sample.variant), []).append(result)
    ratios = speed_ups(run)
    ordered = sorted(timed.items(), key=lambda item: item[0][0])
    rows = (_row(key, found, base, ratios, matrix_rate) for key, found in ordered)
    return Speeds(matrix_rate=matrix_rate, rows=tuple(rows))


def speed_lines(speeds: Speeds) -> Iterator[str]:
    """Yield the rows as a Markdown table, and what its last columns mean."""
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
        f"Share: of {speeds.matrix_rate / _TERA:.0f} T operations a second, measured on products of square matrices. "
        f"Counted are linear layers, attention's products and unfused LoRAs."
    )


def write_speeds(speeds: Speeds, folder: Path) -> Path:
    """Write the rows to `speeds.json` in a run's folder, from where its Markdown report takes them. Raises OSError."""
    path = folder / NAME
    rows = [asdict(row) | {"seconds_a_forward": row.seconds_a_forward} for row in speeds.rows]
    text = json.dumps({"matrix_rate": speeds.matrix_rate, "rows": rows}, indent=1, allow_nan=False)
    write_atomically(path, text.encode())
    return path


def read_speeds(folder: Path) -> Speeds | None:
    """Return what `write_speeds` wrote to a run's folder; None where it has none.

    Raises OSError, and StoreError where the file is not what `write_speeds` writes.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return _SPEEDS.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise StoreError(
            f"the run's speeds cannot be read ({'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']})",
            where=str(path),
            remedy="the file was changed or damaged; remove it, and the report is written without them",
        ) from error


_SPEEDS = TypeAdapter(Speeds)


def _row(
    key: tuple[str, str], found: Sequence[CaseResult], base: Base, ratios: Mapping[str, float], matrix_rate: float
) -> Speed:
    timed = [(r.timing.denoise_seconds, r.recipe) for r in found if r.timing is not None and r.recipe is not None]
    nfe = timed[0][1].nfe
    counted = [(_operations(base, recipe), seconds) for seconds, recipe in timed]
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


def _operations(base: Base, recipe: Recipe) -> int:
    # what counts them is not loaded to show a stored run
    from qiltest.generation.random.operations import image_operations, random_prompt_tokens

    longest = recipe.max_sequence_length
    return image_operations(
        base,
        recipe,
        text_tokens=random_prompt_tokens(recipe.prompt, longest),
        negative_tokens=random_prompt_tokens(recipe.negative_prompt or "", longest),
    )
