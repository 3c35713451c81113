"""The records of a score: texts, edits, extra text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qiltest.reading.records import Point, ReaderInfo

#: the marks of `TextScore.strokes`: whole, in doubt, broken, not judged.
WHOLE_MARK, DOUBTED_MARK, BROKEN_MARK, SILENT_MARK = ".", "?", "x", "-"


class EditKind(StrEnum):
    """One step that turns the expected text into the text as read."""

    SUBSTITUTE = "substitute"
    INSERT = "insert"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edit. `position` counts characters of the normalised expected text from 0."""

    kind: EditKind
    position: int
    expected: str
    read: str
    #: look-alike class ("I/l/1", "O/0", "simplified/traditional", ...), or "" for none.
    look_alike: str = ""
    #: False where the case forgives this look-alike class: reported, not counted.
    counted: bool = True


@dataclass(frozen=True, kw_only=True)
class BrokenCharacter:
    """A character that was read as expected, and whose strokes are broken. It is no edit."""

    char: str
    #: in the normalised expected text without optional marks, from 0.
    position: int
    #: index into `Reading.lines`, and of the character in the line's text.
    line: int
    index: int
    #: of the glyph network, that the strokes are broken.
    log_odds: float
    #: approximate place in the image, in pixels.
    place: Point


@dataclass(frozen=True, kw_only=True)
class TextScore:
    """One expected text compared with what was read for it."""

    expected: str
    #: the text's own part of what was read (lines joined by "\n"); "" where nothing was matched.
    read: str
    #: counted edits between the normalised texts (strict: case and punctuation kept).
    distance: int
    #: the same on letters and digits only.
    distance_alnum: int
    #: characters in the normalised expected text: the denominator of the character error rate.
    length: int
    edits: tuple[Edit, ...]
    #: indices into `Reading.lines`, in the order joined.
    lines: tuple[int, ...]
    required: bool = True
    #: layout that was reported but not counted, such as a hyphen at a line break.
    layout: tuple[str, ...] = ()
    #: other text in the same line, before and after, which is no part of `read`: reported, not counted.
    beside: tuple[str, ...] = ()
    #: True for a text of an edit's input that must stay.
    kept: bool = False
    #: a mark per character (`length`) of what the glyph network says of its strokes: `.` whole, `?` in doubt, `x`
    #: broken, `-` not judged, such as one that was misread or is too small; "" where it judged none.
    strokes: str = ""
    #: the broken ones.
    broken: tuple[BrokenCharacter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GoneScore:
    """One text that an edit had to remove."""

    expected: str
    #: what is still read of it (`qiltest.scoring.gone`); "" where it is gone.
    read: str
    #: letters and digits of it that are still read; 0 where it is gone.
    distance: int
    #: letters and digits of the text.
    length: int
    #: indices into `Reading.lines`.
    lines: tuple[int, ...]


class ExtraKind(StrEnum):
    """Kinds of unexpected text in the image."""

    #: repeats an expected text or a phrase of it: gates.
    DOUBLED = "doubled"
    #: part of an expected text elsewhere, or text that extends it: gates.
    LEAKED = "leaked"
    #: anything else: reported only.
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Extra:
    """Text that matches no expected text."""

    text: str
    kind: ExtraKind
    line: int
    #: characters that count against the image; 0 for OTHER.
    distance: int
    #: the expected text that it repeats or extends, of OTHER where that is part of the scene, else "".
    of: str = ""


@dataclass(frozen=True, kw_only=True)
class Score:
    """An image's score. `distance` = sum over texts, gating extras and what is left of texts that must be gone.

    It is the number that a limit is set on.
    """

    reader: ReaderInfo
    texts: tuple[TextScore, ...]
    extra: tuple[Extra, ...]
    distance: int
    distance_alnum: int
    #: sum of `length` over required texts.
    length: int
    #: texts that an edit had to remove, in the case's order.
    gone: tuple[GoneScore, ...] = ()
    #: the marks of all texts' `strokes`, in their order; "" where none was judged.
    strokes: str = ""
    #: fingerprint of the glyph network that judged them; "" where none did.
    glyphs: str = ""

    @property
    def judged(self) -> int:
        """Number of characters whose strokes were judged."""
        return len(self.strokes) - self.strokes.count(SILENT_MARK)

    @property
    def broken(self) -> int:
        """Number of characters with broken strokes."""
        return self.strokes.count(BROKEN_MARK)

    @property
    def cer(self) -> float:
        """Character error rate: distance / length (Levenshtein edits per expected character)."""
        return self.distance / self.length
