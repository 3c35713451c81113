"""Cases: a prompt with the texts that its image must show, at one or more resolutions; one TOML file per case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from qiltest.input_images import InputImage
from qiltest.recipe import Size


class TaskKind(StrEnum):
    """What a case asks of a model."""

    TEXT_TO_IMAGE = "text-to-image"
    #: an image is given, and an instruction says what to change.
    EDIT = "edit"


class LineBreaks(StrEnum):
    """Whether a hyphen or white space at a line break is layout, which is not counted, or text."""

    LAYOUT = "layout"
    STRICT = "strict"


@dataclass(frozen=True, kw_only=True)
class ExpectedText:
    """One text that the image must show."""

    text: str
    #: True for a text from top to bottom: `qiltest calibrate` draws it so. Reading does not depend on it.
    vertical: bool = False
    #: marks in `text` that no reader can return, such as an emoji: present or absent, they do not count.
    optional_marks: tuple[str, ...] = ()
    #: False for a text that may be missing (a logo); if it is shown, it is scored.
    required: bool = True
    #: True for a text of an edit's input that must stay.
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class KnownTypo:
    """A typo that models make in a case's texts; `qiltest calibrate` measures whether the reader sees it."""

    #: part of one of the texts.
    asked: str
    #: what is shown in its place.
    shown: str


@dataclass(frozen=True, kw_only=True)
class NamedError:
    """An error that the published report names in one image."""

    #: part of one of the case's texts.
    expected: str
    #: what the image shows in its place; None: the report does not say what.
    read: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReportVerdict:
    """The published report's verdict on one variant's image."""

    variant: str
    #: True: the report marks it right; False: wrong; None: it gives no mark.
    passes: bool | None
    finding: str = ""
    #: the errors that it names, of an image that it marks wrong.
    errors: tuple[NamedError, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """One resolution of a case: asked size, the embedded model's stand-in, and the report's verdicts there."""

    size: Size
    tiny: Size
    report: tuple[ReportVerdict, ...] = ()

    def for_model(self, *, tiny: bool) -> Size:
        """Return the size to ask of the embedded model or of a real one."""
        return self.tiny if tiny else self.size

    def verdict(self, variant: str) -> ReportVerdict | None:
        """Return the published report's verdict on this variant here; None: nothing."""
        return next((verdict for verdict in self.report if verdict.variant == variant), None)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on the strict edit distance, summed over a case's texts; see docs/reference/gate.md."""

    #: A distance above the golden's by more than this is a regression.
    tolerance: int
    #: New errors of one text above this are a regression, however few the image has in all; None: as `tolerance`.
    text_tolerance: int | None = None
    #: A distance above this fails whatever the golden says; None: no absolute limit.
    absolute: int | None = None
    #: True (`absolute = "report"`): 0 for a real model's images that the published report marks right, else none.
    from_report: bool = False
    #: (reader, edits that it adds on images of known text), sorted; no limit may be below it. Empty: not measured.
    noise_floor: tuple[tuple[str, float], ...] = ()
    #: False where noise or a grid is reported but does not fail the image (`quality = "report"`), as grain asked for.
    health_gates: bool = True

    @property
    def each_text(self) -> int:
        """How many new errors each text may have."""
        return self.tolerance if self.text_tolerance is None else self.text_tolerance


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """An input image that is a file."""

    #: relative to the folder of the case's file.
    path: str
    #: of the file's bytes; None: recorded and not checked.
    sha256: str | None = None
    #: address where it is to be got from, of a file that is not in the repository; "" for none.
    get: str = ""


@dataclass(frozen=True, kw_only=True)
class InputSample:
    """An input image that a text-to-image model of the same kind generates: the image of a sample."""

    case: str
    #: None: the case's first resolution.
    size: Size | None = None
    variant: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class InputSource:
    """Where an input image comes from: one of both."""

    file: InputFile | None = None
    sample: InputSample | None = None

    def __str__(self) -> str:
        if self.file is not None:
            return self.file.path
        assert self.sample is not None
        size = "" if self.sample.size is None else f"@{self.sample.size}"
        return f"{self.sample.case}{size}-{self.sample.variant}-s{self.sample.seed}"


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of an image, in shares of its width and height from the top left corner."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, kw_only=True)
class EditRules:
    """What a case of the task "edit" asks for besides its texts."""

    inputs: tuple[InputSource, ...]
    #: texts of the input that must be gone.
    gone: tuple[str, ...] = ()
    #: where the image may change; (): where the texts that are wanted or must be gone stand.
    may_change: tuple[Region, ...] = ()
    #: False where a change of the rest is reported and does not fail the image (`change = "report"`).
    change_gates: bool = True
    #: how often the instruction is given: each round's output is the next one's input.
    rounds: int = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """A prompt and the texts that its image must show."""

    id: str
    title: str
    #: of an edit the instruction.
    prompt: str
    language: str
    #: the case's table in the published report (`qiltest.published`); None for any other case.
    report_table: int | None
    texts: tuple[ExpectedText, ...]
    resolutions: tuple[Resolution, ...]
    limits: Limits
    line_breaks: LineBreaks = LineBreaks.LAYOUT
    #: kinds of look-alike edits that do not count, for example ("I/l",); empty: all edits count.
    forgiven: tuple[str, ...] = ()
    #: True: other text beside a text, in its line, counts as part of it.
    alone: bool = False
    seeds: tuple[int, ...] = (42,)
    #: None: the reader of the command line; a name: this case needs it.
    reader: str | None = None
    path: str = ""
    known_typos: tuple[KnownTypo, ...] = ()
    #: None for text-to-image.
    edit: EditRules | None = None
    #: images to edit, in the order in which the model is given them; () of a case of text alone, and of an edit case
    #: until they are found for a sample (`qiltest.engine.inputs`).
    inputs: tuple[InputImage, ...] = ()
    #: mistakes that concern this case alone, kept by `load_suite(keep_doubtful=True)`, as messages.
    doubts: tuple[str, ...] = ()

    @property
    def task(self) -> TaskKind:
        """What it asks of a model."""
        return TaskKind.TEXT_TO_IMAGE if self.edit is None else TaskKind.EDIT

    @property
    def has_its_inputs(self) -> bool:
        """False where an input image is not part of the suite and has to be got from elsewhere first."""
        inputs = () if self.edit is None else self.edit.inputs
        return not any(source.file is not None and source.file.get for source in inputs)

    @property
    def gone(self) -> tuple[str, ...]:
        """Texts that must be gone; () for text-to-image."""
        return () if self.edit is None else self.edit.gone

    @property
    def rounds(self) -> int:
        """How often the instruction is given; 1 for text-to-image."""
        return 1 if self.edit is None else self.edit.rounds

    def limits_of(self, size: Size, variant: str, *, tiny: bool) -> Limits:
        """Return the limits on one image, of a resolution and variant; `tiny` is True for the embedded model.

        The published report judged images of the real model, so its marks limit no other one's.
        """
        if not self.limits.from_report or tiny:
            return self.limits
        here = next((resolution for resolution in self.resolutions if resolution.size == size), None)
        verdict = None if here is None else here.verdict(variant)
        return replace(self.limits, absolute=0) if verdict is not None and verdict.passes else self.limits
