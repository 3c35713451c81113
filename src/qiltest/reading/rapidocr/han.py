"""Choose between a Chinese character and the recogniser's other guesses by the strokes in the image.

In brush faces a recogniser reads 车 as 車 and is nearly sure of it: it has learnt which script is written that way. Its
other guesses are kept with their probabilities, and the glyph network says of each how likely the strokes in the image
are its strokes. Both are evidence of different kinds, so their logarithms are added. Where the recogniser guesses
nothing else, nothing is asked. The expected text plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qiltest.reading.glyphs.crop import Crop, crops
from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.end_marks import Written
from qiltest.reading.rapidocr.views import NOISE
from qiltest.reading.stroke_check import GlyphNetwork
from qiltest.reading.strokes import fills_square


def by_strokes(bgr: Pixels, written: Written, network: GlyphNetwork) -> Written:
    """Return a line with each Chinese character or kana as its strokes and the recogniser together make likeliest."""
    characters = written.characters
    doubted = [i for i, character in enumerate(characters) if len(_guesses(character)) > 1]
    if not doubted or sum(character.confidence for character in characters) < NOISE * len(characters):
        return written
    a, b, c, d = ((float(x), float(y)) for x, y in written.quad)
    text = "".join(character.text for character in characters)
    found = crops(bgr, (a, b, c, d), text, written.places, bgr=True)
    chosen = {i: _chosen(characters[i], crop, network) for i in doubted if (crop := found[i]) is not None}
    return written.reading(tuple(chosen.get(i, character) for i, character in enumerate(characters)))


def _guesses(character: Character) -> Sequence[tuple[str, float]]:
    """Return what a Chinese character may be, as read first; nothing for other characters."""
    if not fills_square(character.text):
        return ()
    others = ((text, probability) for text, probability in character.alternatives if fills_square(text))
    return ((character.text, character.confidence), *others)


def _chosen(character: Character, crop: Crop, network: GlyphNetwork) -> Character:
    guesses = [guess for guess in _guesses(character) if network.judges(guess[0], crop.height)]
    if len(guesses) < 2 or guesses[0][0] != character.text:
        return character
    broken = network.log_odds(np.stack([crop.ink] * len(guesses)), [text for text, _ in guesses])
    evidence = [math.log(probability) - float(odds) for (_, probability), odds in zip(guesses, broken, strict=True)]
    best = max(range(len(guesses)), key=lambda i: (evidence[i], -i))
    if not best:
        return character
    # as sure as both kinds of evidence make it, among what it may be
    confidence = 1 / sum(math.exp(min(other - evidence[best], 0.0)) for other in evidence)
    return replace(character, text=guesses[best][0], confidence=confidence)
