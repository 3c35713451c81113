"""Random edits: an image's lines before and after, and the instruction that asks for it.

An image has up to five texts of one line each. An instruction replaces, removes, adds, enlarges or reduces one of them: Latin letters and digits have two
sizes, narrow and wide cells. New text stands where the old one stood, or in the two rows of tokens below the text that is named; its place in the line is
the seed's. A text of another size keeps its left edge, unless it would reach the right one. All else is the input's. Lines have no colours of their own: the
VAE, which has a palette an image, cannot show them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import edit_paths
import numpy as np
from data import PALETTES
from layout import LINE, PLACES, columns, gap
from prompts import STYLES, Writer


class Kind(IntEnum):
    REPLACE = 0
    REMOVE = 1
    ADD = 2
    RESTYLE = 3


#: {a}: the text in the image, quoted; {b}: the new one, quoted
TEMPLATES: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Kind.REPLACE: (
        ("Replace {a} with {b}.", "Replace {a} by {b}.", "Change {a} to {b}.", "Replace the text {a} with {b}.", "Change the text {a} to {b}."),
        ("把{a}改成{b}。", "将{a}替换为{b}。", "把文字{a}换成{b}。", "将{a}改为{b}。"),
    ),
    Kind.REMOVE: (
        ("Remove {a}.", "Delete {a}.", "Remove the text {a}.", "Delete the text {a}.", "Erase {a}."),
        ("删除{a}。", "去掉文字{a}。", "去掉{a}。", "移除{a}。"),
    ),
    Kind.ADD: (
        ("Add {b} below {a}.", "Write {b} below {a}.", "Add the text {b} below {a}.", "Write {b} under {a}.", "Add {b} under {a}."),
        ("在{a}下面加上{b}。", "在{a}下方添加文字{b}。", "在{a}下面写{b}。"),
    ),
}  # fmt: skip
#: a text made smaller, and larger
RESIZE = (
    (
        ("Make {a} smaller.", "Make the text {a} smaller.", "Write {a} in small letters."),
        ("把{a}缩小。", "将文字{a}缩小。", "把{a}写小一些。"),
    ),
    (
        ("Make {a} larger.", "Make the text {a} larger.", "Write {a} in large letters.", "Enlarge {a}."),
        ("把{a}放大。", "将文字{a}放大。", "把{a}写大一些。"),
    ),
)
TAILS = (
    (" Keep everything else unchanged.", " Keep the rest.", " Do not change anything else."),
    ("其他内容保持不变。", "其余不变。"),
)
QUOTING = (("“", "”"), ("‘", "’"), ('"', '"'))
QUOTES = frozenset('“”‘’"')
#: frequent characters that count as common, and how many times more often than the others each is drawn
COMMON, COMMON_AGAIN = 500, 4
#: most texts of an image
MOST = 5
#: share of Latin texts in wide cells
LARGE = 0.25
#: how often each kind is asked for. The text-to-image model, whose weights the training begins with, knows large Latin hardly at all
KINDS = (0.28, 0.12, 0.22, 0.38)
#: share of texts in wide characters, of images in the text-to-image model's own layout, of English instructions, and of those with a tail
WIDE, AS_DRAWN, ENGLISH, TAIL = 0.5, 0.5, 0.6, 0.3


@dataclass(frozen=True, kw_only=True)
class Line:
    """A text on two rows of tokens: its top row and its first column."""

    text: str
    wide: bool
    row: int
    col: int

    @property
    def width(self) -> int:
        """Columns of tokens."""
        return len(self.text) * (2 if self.wide else 1)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An instruction with the lines before and after it.

    `places`: how many places the new text has (1: it is where `after` says, else it may stand up to `places` - 1 columns to the right).
    `old` and `new` are the quoted texts' spans in the prompt.
    """

    kind: Kind
    style: int
    ground: int
    font: int
    before: tuple[Line, ...]
    after: tuple[Line, ...]
    #: index in `before` of the text that is named, in `after` of the text that is wanted (None where it is removed)
    named: int
    made: int | None
    #: top row of what changes
    row: int
    places: int
    prompt: str
    old: tuple[int, int]
    new: tuple[int, int] | None


def common(writer: Writer) -> np.ndarray:
    """The case files' Chinese characters and the most frequent others."""
    listed = (edit_paths.ROOT / "tools/tiny_model/common_characters.txt").read_text("utf-8").splitlines()
    frequent = "".join(line for line in listed if not line.startswith("#"))[:COMMON]
    return np.array(sorted({*writer.cases, *frequent} & set(writer.cjk)))


def cleaned(text: str) -> str:
    return "".join(c for c in text if c not in QUOTES).strip()


def compose(
    template: str, a: str, b: str, quotes: tuple[str, str]
) -> tuple[str, tuple[int, int], tuple[int, int] | None]:
    """The prompt, and where its quoted texts stand."""
    opening, closing = quotes
    prompt, spans = "", {}
    for part in template.replace("{", "\0{").replace("}", "}\0").split("\0"):
        if part in ("{a}", "{b}"):
            text = a if part == "{a}" else b
            spans[part] = (len(prompt) + 1, len(prompt) + 1 + len(text))
            prompt += opening + text + closing
        else:
            prompt += part
    return prompt, spans["{a}"], spans.get("{b}")


class Tasks:
    """Draws edits for a canvas."""

    def __init__(self, rng: np.random.Generator, fonts: tuple[float, ...]) -> None:
        self.rng, self.fonts, self.writer = rng, fonts, Writer(rng)
        self.chars = self.writer.chars
        # most texts show common characters: what an edit is asked for in, and what a reader is sure of
        self.writer.cjk = np.concatenate([self.writer.cjk, *[common(self.writer)] * COMMON_AGAIN])

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def below(self, count: int) -> int:
        return int(self.rng.integers(count))

    def kind(self) -> Kind:
        return Kind(int(self.rng.choice(len(Kind), p=KINDS)))

    def any_text(self, most: int, *, exactly: int | None = None) -> str:
        """A text of at most `most` columns of tokens, in narrow or wide characters; `exactly` as many characters where that fits."""
        wide = self.chance(WIDE)
        limit = most // 2 if wide else most
        if exactly is not None and 1 <= exactly <= limit:
            made = self.writer.chinese(exactly) if wide else self._latin(exactly)
        else:
            made = self.writer.text(limit, wide=wide)
        made = cleaned(made)[:limit].strip()
        if not made:
            made = str(self.rng.choice(self.writer.cjk))
        # a text that lost its only wide character is narrow now, which takes less room
        return made

    def _latin(self, count: int) -> str:
        return self.writer.english(count) if self.chance(0.6) else self.writer.digits(count)

    def line(self, text: str, row: int, width: int) -> Line:
        """The text somewhere in its line; Latin is large where there is room for it, at times."""
        wide = self.chars.is_wide(text) or (2 * len(text) <= columns(width) and self.chance(LARGE))
        room = min(PLACES, width // 16 - len(text) * (2 if wide else 1))
        return Line(text=text, wide=wide, row=row, col=self.below(max(1, room)))

    def rows(self, total: int) -> list[int]:
        """Top rows of lines in a canvas of `total` rows of tokens; gaps are as random as their number."""
        count = 1 + self.below(min(MOST, total // LINE))
        spare = total - LINE * count
        loose = self.chance(0.7)
        found, row = [], self.below(min(3, spare + 1)) if loose else 0
        spare -= row
        for _ in range(count):
            found.append(row)
            gap_rows = min(spare, self.below(4)) if loose and self.chance(0.6) else 0
            row, spare = row + LINE + gap_rows, spare - gap_rows
        return found

    def scene(self, width: int, height: int) -> tuple[Line, ...]:
        """The texts of an image: in half of the images where the text-to-image model writes them."""
        most, total = columns(width), height // 16
        lines: list[Line] = []
        seen: set[str] = set()
        if self.chance(AS_DRAWN):
            row = 0
            for _ in range(1 + self.below(min(MOST, total // LINE))):
                text = self.any_text(most)
                if text in seen or row + LINE > total:
                    continue
                seen.add(text)
                line = self.line(text, row, width)
                lines.append(line)
                row += LINE + gap(text, wide=line.wide)
        else:
            for row in self.rows(total):
                text = self.any_text(most)
                if text not in seen:
                    seen.add(text)
                    lines.append(self.line(text, row, width))
        return tuple(lines)

    def edit(self, width: int, height: int, *, kind: Kind | None = None, length: int | None = None) -> Edit | None:
        """One edit, or None where the canvas drawn does not allow it. `length`: characters that the prompt should come near."""
        style, ground = self.below(len(STYLES)), self.below(PALETTES)
        font = int(self.rng.choice(len(self.fonts), p=self.fonts))
        kind = self.kind() if kind is None else kind
        lines = self.scene(width, height)
        named = self.nameable(kind, lines, width, height // 16)
        if named is None:
            return None
        return self.ask(kind, lines, named, width, (style, ground, font), length)

    def nameable(self, kind: Kind, lines: tuple[Line, ...], width: int, total: int) -> int | None:
        """A line that can be edited so: any, one with two free rows below it, or one in Latin with room for its other size."""
        taken = {line.row + k for line in lines for k in range(LINE)}

        def fine(line: Line) -> bool:
            if kind is Kind.ADD:
                return line.row + 2 * LINE <= total and not {line.row + LINE, line.row + LINE + 1} & taken
            if kind is Kind.RESTYLE:
                return not self.chars.is_wide(line.text) and (line.wide or 2 * len(line.text) <= columns(width))
            return True

        free = [i for i, line in enumerate(lines) if fine(line)]
        return free[self.below(len(free))] if free else None

    def ask(
        self,
        kind: Kind,
        lines: tuple[Line, ...],
        named: int,
        width: int,
        look: tuple[int, int, int],
        length: int | None = None,
        new: str | None = None,
    ) -> Edit | None:
        """The edit of one of the lines; `look` is style, ground and font, `new` the new text where it is not to be random."""
        style, ground, font = look
        chinese, line = not self.chance(ENGLISH), lines[named]
        templates = (RESIZE[not line.wide] if kind is Kind.RESTYLE else TEMPLATES[kind])[chinese]
        template, quotes = templates[self.below(len(templates))], QUOTING[self.below(3)]
        tail = TAILS[chinese][self.below(len(TAILS[chinese]))] if self.chance(TAIL) else ""
        text = new if new is not None else ""
        if kind in (Kind.REPLACE, Kind.ADD) and new is None:
            left = None if length is None else length - len(compose(template + tail, line.text, "", quotes)[0])
            text = self.any_text(columns(width), exactly=left if self.chance(0.5) else None)
            if text in {other.text for other in lines}:
                return None
        prompt, old, span = compose(template + tail, line.text, text, quotes)
        made, after, places, row = self._after(kind, lines, named, text, width)
        return Edit(
            kind=kind, style=style, ground=ground, font=font, before=lines, after=after, named=named, made=made, row=row, places=places,
            prompt=prompt, old=old, new=span,
        )  # fmt: skip

    def _after(
        self, kind: Kind, lines: tuple[Line, ...], named: int, text: str, width: int
    ) -> tuple[int | None, tuple[Line, ...], int, int]:
        """Index of the wanted line, the lines after the edit, places and row of what changes."""
        line = lines[named]
        if kind is Kind.REMOVE:
            return None, lines[:named] + lines[named + 1 :], 1, line.row
        if kind is Kind.RESTYLE:
            # no chance here: between two places half a large letter apart, a model draws a digit twice or a letter in two halves
            fresh = replace(line, wide=not line.wide)
            fresh = replace(fresh, col=min(line.col, width // 16 - 1 - fresh.width))
            return named, (*lines[:named], fresh, *lines[named + 1 :]), 1, fresh.row
        row = line.row + (LINE if kind is Kind.ADD else 0)
        fresh = Line(text=text, wide=self.chars.is_wide(text), row=row, col=0)
        places = max(1, min(PLACES, width // 16 - fresh.width))
        if kind is Kind.ADD:
            return len(lines), (*lines, fresh), places, fresh.row
        return named, (*lines[:named], fresh, *lines[named + 1 :]), places, fresh.row
