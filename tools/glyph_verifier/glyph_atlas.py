"""Write the packaged drawings of each character: `references.xz` of src/qiltest/reading/glyphs.

    python tools/glyph_verifier/glyph_atlas.py [--fonts /usr/share/fonts]

Three styles, each with the forms of one region: sans as on the mainland and song as in Japan from fonts-noto-cjk
(OFL-1.1), kai as in Taiwan from fonts-cns11643-kai (OGDL-TW-1.0); letters and digits of the middle style from
fonts-comic-neue (OFL-1.1), because kai fonts have no a and g of one storey.
"""

from __future__ import annotations

import argparse
import json
import lzma
from pathlib import Path

import numpy as np
from glyph_render import all_characters, face, window

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.reading.glyphs.references import FILE
from qiltest.reading.strokes import fills_square

ROOT = Path(__file__).resolve().parents[2]
SIZE = 48
#: (font of Chinese, its index, font of letters, its index), below the fonts' folder; the same three packages everywhere.
STYLES = (
    ("opentype/noto/NotoSansCJK-Regular.ttc", 2, "opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("truetype/cns11643/TW-Kai-98_1.ttf", 0, "opentype/comic-neue/ComicNeue-Regular.otf", 0),
    ("opentype/noto/NotoSerifCJK-SemiBold.ttc", 0, "opentype/noto/NotoSerifCJK-SemiBold.ttc", 0),
)
#: What covers this much of a pixel is ink.
COVERED = 110
FILTERS = [
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0, "dict_size": 8 << 20}
]


def main() -> int:
    """Draw all characters and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=existing_folder, default="/usr/share/fonts")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    chars = all_characters(ROOT / "cases")
    styles = []
    for chinese, index, latin, latin_index in STYLES:
        squares, letters = face(args.fonts / chinese, index), face(args.fonts / latin, latin_index)
        drawn = ((char, window(squares if fills_square(char) else letters, char, SIZE, margin=1.0)) for char in chars)
        styles.append({char: np.packbits(grey > COVERED, axis=-1) for char, grey in drawn if grey is not None})
    kept = "".join(char for char in chars if all(char in style for style in styles))
    bits = b"".join(style[char].tobytes() for style in styles for char in kept)
    head = json.dumps({"size": SIZE, "styles": len(styles), "characters": kept}, ensure_ascii=False).encode()
    write_atomically(args.out, lzma.compress(head + b"\n" + bits, lzma.FORMAT_XZ, filters=FILTERS))
    print(
        f"{len(kept)} of {len(chars)} characters, {args.out.stat().st_size:,} bytes; not drawn: {sorted(set(chars) - set(kept))}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
