"""How fast random weights are drawn: a row a variant and size, beside what the device can do.

Operations are counted by `qiltest.generation.random.operations`, from the transformer's config: linear layers,
attention's two products, and an unfused LoRA's own. The share is operations over seconds of the
denoise loop, over the matrix rate that was measured when the session began.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.generation.random.operations import picture_operations, random_prompt_tokens
from qiltest.lora.bases import Base
from qiltest.recipe import Recipe
from qiltest.runs.records import Run

NAME = "speeds.json"
_HEAD = "| size | variant | NFE | pictures | seconds | over base | seconds a forward | T operations a forward | share |"
_RULE = "|---|---|---:|---:|---:|---:|---:|---:|---:|"
_TERA = 1e12


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A variant's speed at one size."""

    size: str
    variant: str
    nfe: int
    pictures: int
    #: median seconds of the denoise loop.
    seconds: float
    #: seconds of the variant of most forwards over these; None where that is this one, or was not drawn at this size.
    speed_up: float | None
    #: operations of one forward, mean over the median picture's.
    operations: float
    #: share of the measured matrix rate, 0 to 1.
    share: float

    @property
    def seconds_a_forward(self) -> float:
        """Seconds of the loop over its forwards."""
        return self.seconds / self.nfe


def rates_of(run: Run, base: Base, matrix_rate: float) -> tuple[Rate, ...]:
    """Return a row for each size and variant that was drawn, in the order of drawing within a size."""
    drawn: dict[tuple[str, str], list[tuple[float, Recipe]]] = {}
    for result in run.results:
        if result.recipe is not None and result.timing is not None:
            key = (str(result.recipe.effective), result.point.variant)
            drawn.setdefault(key, []).append((result.timing.denoise_seconds, result.recipe))
    slowest = {size: _most_forwards(size, drawn) for size, _ in drawn}
    rows = []
    for (size, variant), found in sorted(drawn.items(), key=lambda item: item[0][0]):
        seconds, nfe = median(one for one, _ in found), found[0][1].nfe
        operations = median(_operations(base, recipe) for _, recipe in found)
        of_base, nfe_of_base = slowest[size]
        rows.append(
            Rate(
                size=size,
                variant=variant,
                nfe=nfe,
                pictures=len(found),
                seconds=seconds,
                speed_up=of_base / seconds if nfe < nfe_of_base else None,
                operations=operations / nfe,
                share=median(_operations(base, recipe) / one for one, recipe in found) / matrix_rate,
            )
        )
    return tuple(rows)


def rate_lines(rates: Sequence[Rate], matrix_rate: float) -> Iterator[str]:
    """Yield the rows as a Markdown table, and what its last columns mean."""
    yield _HEAD
    yield _RULE
    for row in rates:
        up = "" if row.speed_up is None else f"{row.speed_up:.1f} x"
        yield (
            f"| {row.size} | {row.variant} | {row.nfe} | {row.pictures} | {row.seconds:.2f} | {up} "
            f"| {row.seconds_a_forward:.4f} | {row.operations / _TERA:.1f} | {row.share:.0%} |"
        )
    yield ""
    yield (
        f"Share: of {matrix_rate / _TERA:.0f} T operations a second, measured on products of square matrices. "
        f"Counted are linear layers, attention's products and unfused LoRAs."
    )


def write_rates(rates: Sequence[Rate], matrix_rate: float, folder: Path, page: Path) -> Path:
    """Write the rows to `speeds.json` in a run's folder and add the table to its Markdown report. Raises OSError."""
    path = folder / NAME
    rows = [asdict(row) | {"seconds_a_forward": row.seconds_a_forward} for row in rates]
    text = json.dumps({"matrix_rate": matrix_rate, "rows": rows}, indent=1, allow_nan=False)
    write_atomically(path, text.encode())
    if page.is_file():
        _add(page, rates, matrix_rate)
    return path


def add_stored_rates(folder: Path, page: Path) -> None:
    """Add the table that a run's folder holds to its Markdown report; nothing where there is none.

    Raises OSError, and StoreError where the file is not what `write_rates` writes.
    """
    path = folder / NAME
    if not path.is_file():
        return
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        names = {one.name for one in fields(Rate)}
        rates = [Rate(**{name: value for name, value in row.items() if name in names}) for row in stored["rows"]]
        _add(page, rates, float(stored["matrix_rate"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"the run's speeds cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            remedy="the file was changed or damaged; remove it, and the report is written without them",
        ) from error


def _add(page: Path, rates: Sequence[Rate], matrix_rate: float) -> None:
    table = "\n".join(rate_lines(rates, matrix_rate))
    write_atomically(page, f"{page.read_text(encoding='utf-8').rstrip()}\n\n## Speed\n\n{table}\n".encode())


def _most_forwards(size: str, drawn: dict[tuple[str, str], list[tuple[float, Recipe]]]) -> tuple[float, int]:
    """Return median seconds and NFE of the variant with the most forwards at a size: the base."""
    same = [found for (own, _), found in drawn.items() if own == size]
    most = max(same, key=lambda found: found[0][1].nfe)
    return median(seconds for seconds, _ in most), most[0][1].nfe


def _operations(base: Base, recipe: Recipe) -> int:
    longest = recipe.max_sequence_length
    return picture_operations(
        base,
        recipe,
        text_tokens=random_prompt_tokens(recipe.prompt, longest),
        negative_tokens=random_prompt_tokens(recipe.negative_prompt or "", longest),
    )
