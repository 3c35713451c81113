"""Recognise the text of line images with a CTC network on ONNX Runtime.

The engine's own wrapper returns the text alone; here each character also has its confidence, place and alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from qiltest.reading.images import Pixels

#: The recogniser's input height and its least width, in pixels.
HEIGHT, LEAST_WIDTH = 48, 320
#: Alternatives kept for a character, and the probability below which they are not.
KEPT, LEAST_PROBABILITY = 3, 1e-3
#: probability from which on a character that lost against the blank is kept.
LEAST_LOST = 0.05
#: steps at which the blank is likelier than this have no character that was nearly read.
BLANK = 0.99


@dataclass(frozen=True, kw_only=True)
class Character:
    """One recognised character."""

    text: str
    confidence: float
    #: place of its centre along the line, 0 (left or top) to 1.
    place: float
    #: what else it might be, most probable first: (character, probability).
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """The result of recognising a line in one view."""

    characters: tuple[Character, ...]
    #: probability, 0 to 1, of the likeliest character that lost against the blank.
    missed: float = 0.0
    #: apostrophes that lost against the blank, by their places.
    apostrophes: tuple[Character, ...] = ()

    @property
    def text(self) -> str:
        """The characters joined."""
        return "".join(character.text for character in self.characters)

    @property
    def spelling(self) -> str:
        """The text without white space, by which views are compared."""
        return "".join(character.text for character in self.characters if not character.text.isspace())

    @property
    def confidence(self) -> float:
        """Mean confidence of the characters, 0 where there are none."""
        return sum(c.confidence for c in self.characters) / len(self.characters) if self.characters else 0.0


def run_at(characters: Sequence[Character], place: int, inside: Callable[[str], bool]) -> Sequence[Character]:
    """Return the characters around `place` up to the nearest ones that are not `inside`."""
    start, end = place, place + 1
    while start > 0 and inside(characters[start - 1].text):
        start -= 1
    while end < len(characters) and inside(characters[end].text):
        end += 1
    return characters[start:end]


def session(weights: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """Open an ONNX model on the CPU with `threads` threads (0: as many as there are cores)."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    # Without the arena every run asks the system for its memory again: a third more processor time.
    options.enable_cpu_mem_arena = True
    return onnxruntime.InferenceSession(str(weights), sess_options=options, providers=["CPUExecutionProvider"])


class Recogniser:
    """Recognises line images one by one, so that a line's reading never depends on its neighbours in a batch."""

    def __init__(self, weights: Path, *, threads: int = 0) -> None:
        self._session = session(weights, threads=threads)
        self._input = self._session.get_inputs()[0].name
        alphabet = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._alphabet = ["", *alphabet, " "]

    @property
    def alphabet(self) -> frozenset[str]:
        """The characters that the network can return."""
        return frozenset("".join(self._alphabet))

    def look(self, line: Pixels) -> Recognition:
        """Recognise one line image (BGR, upright)."""
        steps, used = self.probabilities(line)
        return Recognition(
            characters=decode(steps, self._alphabet, used=used),
            missed=missed(steps),
            apostrophes=lost(steps, "'", self._alphabet, used=used),
        )

    def read(self, line: Pixels) -> tuple[Character, ...]:
        """Return the characters of one look."""
        return self.look(line).characters

    def probabilities(self, line: Pixels) -> tuple[NDArray[np.float32], float]:
        """Return the probabilities for one line image, shape (time steps, alphabet with the CTC blank first).

        Also the share of the time steps that lie in the line, not in the padding right of it.
        """
        batch, used = prepare(line)
        return np.asarray(self._session.run(None, {self._input: batch})[0][0], dtype=np.float32), used


def prepare(line: Pixels) -> tuple[NDArray[np.float32], float]:
    """Scale a line to the network's height, pad it on the right; also return the share of the width in use."""
    height, width = line.shape[:2]
    scaled = max(1, math.ceil(HEIGHT * width / height))
    total = max(LEAST_WIDTH, scaled)
    # Averaging over areas: plain interpolation skips thin strokes of large writing when it is made this small.
    method = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_LINEAR
    resized = cv2.resize(line, (scaled, HEIGHT), interpolation=method).astype(np.float32).transpose(2, 0, 1)
    padded = np.zeros((1, 3, HEIGHT, total), dtype=np.float32)
    padded[0, :, :, :scaled] = (resized / 255.0 - 0.5) / 0.5
    return padded, scaled / total


def decode(steps: NDArray[np.float32], alphabet: Sequence[str], *, used: float = 1.0) -> tuple[Character, ...]:
    """Decode greedily (CTC, Graves et al. 2006): collapse runs, drop blanks.

    `steps`: probabilities (time, alphabet); `used`: share of the steps that lie in the line.
    """
    best = steps.argmax(axis=1)
    found: list[Character] = []
    start = 0
    for end in range(1, len(best) + 1):
        if end < len(best) and best[end] == best[start]:
            continue
        if best[start] != 0:
            found.append(_character(steps, start, end, int(best[start]), alphabet, used))
        start = end
    return tuple(found)


def missed(steps: NDArray[np.float32]) -> float:
    """Return the probability of the likeliest character that lost against the blank, except its neighbours."""
    best = steps.argmax(axis=1)
    read = np.flatnonzero(best)
    found = 0.0
    for step in np.flatnonzero((best == 0) & (steps[:, 0] <= BLANK)):
        place = int(np.searchsorted(read, step))
        own = {0, *(int(best[i]) for i in read[max(0, place - 1) : place + 1])}
        others = (float(steps[step, i]) for i in likeliest(steps[step], len(own) + 1) if i not in own)
        found = max(found, *others, 0.0)
    return found


def lost(steps: NDArray[np.float32], text: str, alphabet: Sequence[str], *, used: float = 1.0) -> tuple[Character, ...]:
    """Return the places where a character lost against the blank, each with its probability at least `LEAST_LOST`."""
    if text not in alphabet:
        return ()
    probabilities = steps[:, alphabet.index(text)]
    near = np.flatnonzero((steps.argmax(axis=1) == 0) & (probabilities >= LEAST_LOST))
    runs = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if near.size else []
    peaks = [int(run[probabilities[run].argmax()]) for run in runs]
    return tuple(
        Character(text=text, confidence=float(probabilities[at]), place=min(1.0, (at + 0.5) / len(steps) / used))
        for at in peaks
    )


def likeliest(step: NDArray[np.float32], count: int) -> list[int]:
    """Return the `count` likeliest indices into the alphabet at one step, without sorting all of its thousands."""
    kept = min(count, len(step))
    best = np.argpartition(-step, kept - 1)[:kept]
    return sorted((int(i) for i in best), key=lambda i: (-float(step[i]), i))


def _character(
    steps: NDArray[np.float32], start: int, end: int, index: int, alphabet: Sequence[str], used: float
) -> Character:
    peak = start + int(steps[start:end, index].argmax())
    ranked = likeliest(steps[peak], KEPT + 2)
    alternatives = tuple(
        (alphabet[i], float(steps[peak, i]))
        for i in ranked
        if i not in (0, index) and steps[peak, i] >= LEAST_PROBABILITY
    )
    return Character(
        text=alphabet[index],
        confidence=float(min(1.0, steps[peak, index])),
        place=min(1.0, (start + end) / 2 / len(steps) / used),
        alternatives=alternatives[:KEPT],
    )
