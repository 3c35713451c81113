"""The schema of case files, and how their tables become a `Case`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator

from qiltest.recipe import Size
from qiltest.suite.cases import (
    Case,
    EditRules,
    ExpectedText,
    InputFile,
    InputSample,
    InputSource,
    KnownTypo,
    Limits,
    LineBreaks,
    NamedError,
    Region,
    ReportVerdict,
    Resolution,
    TaskKind,
)
from qiltest.suite.problems import FileModel, Mistake

ID_PATTERN = "[a-z0-9][a-z0-9-]{0,63}"
#: torch.Generator.manual_seed takes 64 bits; the sign bit is left out.
_SEED_LIMIT = 2**63

#: rounds of a repeated edit, against typing errors.
MOST_ROUNDS = 10
#: keys of a case file that become `Case.edit`.
_OF_EDITS = frozenset({"task", "inputs", "removed", "rest", "rounds"})
#: the absolute limit of a case whose limits are the published report's pass marks.
REPORT = "report"

#: A required, non-empty string.
Words = Annotated[str, Field(min_length=1, description="a string that is not empty")]
Flag = Annotated[bool, Field(description="true or false")]
# strict=False: TOML has no enums and no tuples, so a string and a list must be allowed to become one.
Strings = Annotated[tuple[str, ...], Field(strict=False, description='a list of strings, such as ["😊"]')]
LineBreaksName = Annotated[LineBreaks, Field(strict=False, description=", ".join(LineBreaks))]


class TextTable(FileModel):
    """`[[texts]]`."""

    former: ClassVar = {"layout": "`vertical = true` for a text from top to bottom, nothing for any other"}

    text: Words
    vertical: Flag = False
    optional_marks: Strings = ()
    required: Flag = True
    in_prompt: Flag = True
    kept: Flag = False


class ErrorTable(FileModel):
    """An item of `errors` in `[[resolutions.report]]`."""

    expected: Annotated[str, Field(min_length=1, description="part of one of the texts")]
    read: Annotated[str | None, Field(description="what is shown in its place; left out for any error there")] = None


class VerdictTable(FileModel):
    """`[[resolutions.report]]`."""

    variant: Annotated[str, Field(description="a name of variants.toml")]
    passes: Annotated[bool | None, Field(description="true or false; left out where the report gives no mark")] = None
    finding: Annotated[str, Field(description="a string")] = ""
    errors: Annotated[
        list[ErrorTable], Field(description='a list such as [{ expected = "foundational", read = "fundational" }]')
    ] = Field(default_factory=list)


class ResolutionTable(FileModel):
    """`[[resolutions]]`."""

    size: Annotated[str, Field(description='WIDTHxHEIGHT in pixels, such as "1328x1328"')]
    tiny: Annotated[str, Field(description="the embedded model's WIDTHxHEIGHT in pixels, multiples of 16")]
    report: Annotated[list[VerdictTable], Field(description="a list of tables")] = Field(default_factory=list)


def absolute_limit(value: object) -> int | str:
    """Return an absolute limit as it is written. Raises ValueError for anything but a count and `REPORT`."""
    if value == REPORT or (type(value) is int and value >= 0):
        return value
    raise ValueError("not a limit")


class LimitsTable(FileModel):
    """`[limits]`."""

    former: ClassVar = {"health": '`quality = "gate"` or `quality = "report"`'}

    tolerance: Annotated[int, Field(ge=0, description="a whole number of edits, 0 or more")] = 0
    text_tolerance: Annotated[int | None, Field(ge=0, description="a whole number of edits, 0 or more")] = None
    absolute: Annotated[
        int | str | None,
        PlainValidator(absolute_limit),
        Field(description='a whole number of edits, 0 or more, or "report"'),
    ] = None
    noise_floor: Annotated[
        dict[str, Annotated[float, Field(ge=0)]],
        Field(description="edits by reader, 0 or more, such as { rapidocr = 0.5 }"),
    ] = Field(default_factory=dict)
    quality: Annotated[Literal["gate", "report"], Field(description='"gate" or "report"')] = "gate"


class TypoTable(FileModel):
    """`[[known_typos]]`."""

    asked: Annotated[str, Field(min_length=1, description="part of one of the texts")]
    shown: Annotated[str, Field(description="what is shown in its place")]


class InputTable(FileModel):
    """`[[inputs]]`: a file, or the image of a sample."""

    file: Annotated[str | None, Field(min_length=1, description="a path below the folder of the case's file")] = None
    sha256: Annotated[
        str | None, Field(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case")
    ] = None
    get: Annotated[str | None, Field(pattern="^https?://", description="an address that begins with https://")] = None
    case: Annotated[str | None, Field(pattern=f"^{ID_PATTERN}$", description="the id of a text-to-image case")] = None
    size: Annotated[str | None, Field(description="one of that case's sizes; left out for its first")] = None
    variant: Annotated[str | None, Field(min_length=1, description="a name of variants.toml")] = None
    seed: Annotated[int | None, Field(ge=0, lt=_SEED_LIMIT, description="a whole number, 0 or more")] = None


Share = Annotated[float, Field(ge=0, le=1)]


class RestTable(FileModel):
    """`[rest]`: what an edit may not change."""

    may_change: Annotated[
        list[Annotated[list[Share], Field(min_length=4, max_length=4)]],
        Field(description="a list of [left, top, right, bottom] in shares of the sides, 0 to 1"),
    ] = Field(default_factory=list)
    change: Annotated[Literal["gate", "report"], Field(description='"gate" or "report"')] = "gate"


class CaseTable(FileModel):
    """A case file."""

    id: Annotated[str, Field(pattern=f"^{ID_PATTERN}$", description=f"{ID_PATTERN}, equal to the file's name")]
    title: Words
    prompt: Words
    language: Annotated[str, Field(pattern="^[a-z]{2}$", description='two lower-case letters, such as "en" or "zh"')]
    report_table: Annotated[int | None, Field(ge=1, le=6, description="a table of the published report, 1 to 6")] = None
    texts: Annotated[list[TextTable], Field(min_length=1, description="at least one [[texts]]")]
    resolutions: Annotated[list[ResolutionTable], Field(min_length=1, description="at least one [[resolutions]]")]
    limits: Annotated[LimitsTable, Field(description="a table")] = LimitsTable()
    line_breaks: LineBreaksName = LineBreaks.LAYOUT
    forgiven: Annotated[list[str], Field(description="a list of look-alike classes")] = Field(default_factory=list)
    alone: Flag = False
    seeds: Annotated[
        list[Annotated[int, Field(ge=0, lt=_SEED_LIMIT)]],
        Field(min_length=1, description=f"whole numbers from 0 to {_SEED_LIMIT - 1}, at least one"),
    ] = Field(default_factory=lambda: [42])
    reader: Annotated[str | None, Field(min_length=1, description="the name of a reader")] = None
    known_typos: Annotated[list[TypoTable], Field(description="a list of tables")] = Field(default_factory=list)
    task: Annotated[TaskKind, Field(strict=False, description=", ".join(TaskKind))] = TaskKind.TEXT_TO_IMAGE
    inputs: Annotated[list[InputTable], Field(description="a list of tables")] = Field(default_factory=list)
    removed: Annotated[list[Words], Field(description="a list of texts that must be gone")] = Field(
        default_factory=list
    )
    rest: Annotated[RestTable, Field(description="a table")] = RestTable()
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS, description=f"a whole number from 1 to {MOST_ROUNDS}")] = 1


def case_from(table: CaseTable, path: Path, doubts: Iterable[Mistake] = ()) -> Case:
    """Make the record of a table that has no mistakes but `doubts`."""
    converted: dict[str, Any] = {
        "texts": tuple(ExpectedText(**text.model_dump(exclude={"in_prompt"})) for text in table.texts),
        "resolutions": tuple(map(_resolution, table.resolutions)),
        "limits": Limits(
            tolerance=table.limits.tolerance,
            text_tolerance=table.limits.text_tolerance,
            absolute=table.limits.absolute if isinstance(table.limits.absolute, int) else None,
            from_report=table.limits.absolute == REPORT,
            noise_floor=tuple(sorted(table.limits.noise_floor.items())),
            health_gates=table.limits.quality == "gate",
        ),
        "forgiven": tuple(table.forgiven),
        "seeds": tuple(table.seeds),
        "known_typos": tuple(KnownTypo(**vars(typo)) for typo in table.known_typos),
        "edit": _edit(table) if table.task is TaskKind.EDIT else None,
    }
    own = {name: value for name, value in vars(table).items() if name not in _OF_EDITS}
    return Case(**{**own, **converted}, path=str(path), doubts=tuple(map(str, doubts)))


def _edit(table: CaseTable) -> EditRules:
    return EditRules(
        inputs=tuple(map(_input, table.inputs)),
        gone=tuple(table.removed),
        may_change=tuple(Region(left=a, top=b, right=c, bottom=d) for a, b, c, d in table.rest.may_change),
        change_gates=table.rest.change == "gate",
        rounds=table.rounds,
    )


def _input(table: InputTable) -> InputSource:
    if table.file is not None:
        return InputSource(file=InputFile(path=table.file, sha256=table.sha256, get=table.get or ""))
    assert table.case is not None
    assert table.variant is not None
    size = None if table.size is None else Size.parse(table.size)
    sample = InputSample(case=table.case, size=size, variant=table.variant, seed=table.seed or 0)
    return InputSource(sample=sample)


def _resolution(table: ResolutionTable) -> Resolution:
    return Resolution(
        size=Size.parse(table.size), tiny=Size.parse(table.tiny), report=tuple(map(_verdict, table.report))
    )


def _verdict(table: VerdictTable) -> ReportVerdict:
    return ReportVerdict(**{**vars(table), "errors": tuple(NamedError(**vars(error)) for error in table.errors)})
