"""The record of a reader's noise floor on one case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from qiltest.strict_json import STORED

Count = Annotated[int, Field(ge=0)]
Edits = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many typos were detected: the distance rose above that of the same image without the typo."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    found: Count
    of: Count


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A reader's error on one case. Distances are strict edits, summed over an image."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    case: str
    reader: str
    fingerprint: str
    images: Annotated[int, Field(ge=1)]
    #: the median distance of an image without a fault: no limit may be below it.
    floor: Edits
    mean: Edits
    deviation: Edits
    percentile_95: Edits
    largest: Count
    #: texts read without a fault, of all texts shown.
    exact_texts: Rate
    #: detection by kind of typo; "known" has those of the case file.
    typos: Mapping[str, Rate]
    #: the same over all kinds, counting only images whose clean version reads at its floor.
    clean_typos: Rate = Rate(found=0, of=0)
    #: typos not detected, as "style kind, untouched distance: text with the typo, read as ...".
    missed: tuple[str, ...] = ()
    #: characters of images without a fault that the glyph network took for broken, of those that it judged.
    strokes: Rate = Rate(found=0, of=0)
    #: the network's fingerprint; "" where none judged.
    glyphs: str = ""
