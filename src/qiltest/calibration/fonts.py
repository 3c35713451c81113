"""Find installed fonts that can draw a text."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from PIL import ImageFont

from qiltest.errors import QiltestError

#: Font files of Debian packages, as (path, index in the collection). Latin text is drawn with all of them that have it.
FILES: tuple[tuple[str, int], ...] = (
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc", 2),
    ("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc", 2),
    ("/usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc", 2),
    ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", 0),
    ("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 0),
    ("/usr/share/fonts/truetype/arphic/ukai.ttc", 0),
    ("/usr/share/fonts/truetype/arphic/uming.ttc", 0),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 0),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf", 0),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf", 0),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf", 0),
    ("/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf", 0),
    ("/usr/share/fonts/truetype/liberation/LiberationSerif-Italic.ttf", 0),
)
REMEDY = "apt-get install fonts-noto-cjk fonts-wqy-zenhei fonts-arphic-ukai fonts-dejavu-core"
#: in no font: drawing it shows a font's glyph for missing characters.
_LACKING = "\U0010fffe"


class FontsMissingError(QiltestError):
    """No installed font has the characters of a text."""


def fonts_for(text: str, files: Sequence[tuple[str, int]] = FILES) -> tuple[tuple[str, int], ...]:
    """Return the installed fonts that have every character of a text. Raises FontsMissingError where none has."""
    wanted = frozenset(char for char in text if not char.isspace())
    found = tuple(font for font in files if Path(font[0]).is_file() and all(_holds(font, char) for char in wanted))
    if not found:
        shown = "".join(sorted(wanted))[:40]
        raise FontsMissingError(f"no installed font has all of {shown!r}", where="calibration", remedy=REMEDY)
    return found


@functools.lru_cache(maxsize=512)
def load(font: tuple[str, int], size: int) -> ImageFont.FreeTypeFont:
    """Open a font at a size in pixels."""
    # Raqm, which Pillow takes where the machine has its libraries, sets letters otherwise and fails on some texts
    return ImageFont.truetype(font[0], size=size, index=font[1], layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=65536)
def _holds(font: tuple[str, int], char: str) -> bool:
    opened = load(font, 32)
    return bytes(opened.getmask(char)) != bytes(opened.getmask(_LACKING))
