"""Which characters the embedded model writes, and in which cell: narrow (16 x 32 px) or wide (32 x 32 px).

A text is drawn in narrow cells when every character of it has a narrow glyph, and in wide cells throughout otherwise.
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASCII = tuple(chr(i) for i in range(32, 127))
#: beyond ASCII, drawn in narrow and in wide cells.
BOTH = tuple("π≈·😊")
PUNCTUATION = tuple("，。、：；！？（）《》“”‘’—…￥")
FURTHER = 1560
#: of the style words and the vendor's prompt suffix
NEEDED = "霓虹玻璃板白黑纸超清电影级构图左右书横批"


def _level(encoding: str, first: int, last: int) -> set[str]:
    """CJK characters of the rows `first` to `last` (lead bytes) of a double-byte encoding."""
    found = set()
    for lead in range(first, last + 1):
        for trail in range(0x40, 0xFF):
            char = bytes([lead, trail]).decode(encoding, "ignore")
            if len(char) == 1 and "\u4e00" <= char <= "\u9fff":
                found.add(char)
    return found


def case_prompts(folder: Path = ROOT / "cases") -> dict[str, str]:
    """Prompts of all case files, by id."""
    files = sorted(p for p in folder.glob("*.toml") if p.stem != "variants")
    return {p.stem: tomllib.loads(p.read_text("utf-8"))["prompt"] for p in files}


def case_sizes(folder: Path = ROOT / "cases") -> dict[str, list[tuple[int, int]]]:
    """Sizes (width, height) at which the embedded model draws each case."""
    files = sorted(p for p in folder.glob("*.toml") if p.stem != "variants")
    found = {p.stem: tomllib.loads(p.read_text("utf-8"))["resolutions"] for p in files}
    return {
        case: [(int(width), int(height)) for r in sizes for width, height in [r["tiny"].split("x")]]
        for case, sizes in found.items()
    }


def case_characters() -> list[str]:
    text = "".join(case_prompts().values())
    return sorted({c for c in text if "\u4e00" <= c <= "\u9fff"})


def common_characters(cases: list[str]) -> list[str]:
    """At least `FURTHER` characters besides those of the cases.

    A list of frequent characters, filled up from those which GB 2312 level 1, Big5 level 1, JIS X 0208 level 1 and
    KS X 1001 all hold.
    """
    listed = Path(__file__).with_name("common_characters.txt").read_text("utf-8").splitlines()
    chars = {c for line in listed if not line.startswith("#") for c in line.strip()} | set(NEEDED)
    chars -= set(cases)
    shared = _level("gb2312", 0xB0, 0xD7) & _level("big5", 0xA4, 0xC6) & _level("euc_kr", 0xCA, 0xFD)
    shared &= _level("euc_jp", 0xB0, 0xCF)
    rest = sorted(shared - chars - set(cases))
    random.Random(0).shuffle(rest)
    return sorted(chars) + sorted(rest[: max(0, FURTHER - len(chars))])


@dataclass(frozen=True)
class Charset:
    narrow: tuple[str, ...]
    wide: tuple[str, ...]
    #: how many of the wide characters, counted from the first, stand in case files
    from_cases: int

    @property
    def only_wide(self) -> tuple[str, ...]:
        return tuple(c for c in self.wide if c not in set(self.narrow))

    def is_wide(self, text: str) -> bool:
        narrow = set(self.narrow)
        return any(c not in narrow for c in text)


def charset() -> Charset:
    cases = case_characters()
    narrow = ASCII + BOTH
    wide = (*cases, *common_characters(cases), *PUNCTUATION, *narrow)
    return Charset(narrow=narrow, wide=wide, from_cases=len(cases))
