"""Run folders made to hurt: each kind fills a folder with a whole chain of events, up to a size."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from qiltest.quality.records import Health
from qiltest.reading.records import Reading
from qiltest.runs.events import Ended, Event, Failed, Generated, Judged, Started, encode, now
from qiltest.runs.lines import EVENTS
from qiltest.runs.load import read_events
from qiltest.runs.readings import reading_digest
from qiltest.runs.records import RunState
from qiltest.scoring.records import Edit, EditKind, Extra, ExtraKind, Score, TextScore
from qiltest.suite.selection import Sample

#: planned images: about as many as a line can hold.
MOST = 15_000
_NO_IMAGE = "a" * 64
#: a PNG's last chunk.
_END = b"\0\0\0\0IEND\xaeB`\x82"
Fill = Callable[["Chain", "Source", int], None]


class Chain:
    """Writes lines, each with its number and the hash of the one before."""

    def __init__(self, folder: Path) -> None:
        (folder / "images").mkdir(parents=True)
        self._file = (folder / EVENTS).open("wb")
        self.folder, self.number, self.last, self.size = folder, 0, "", 0

    def event(self, event: Event) -> None:
        """Write an event with its place in the chain."""
        self._write(encode(event, line=self.number + 1, before=self.last))

    def raw(self, fields: bytes) -> None:
        """Write an event with these fields, whatever they are."""
        head = f'{{"event":"judged","line":{self.number + 1},"before":"{self.last}",'.encode()
        self._write(head + fields + b"}\n")

    def junk(self, data: bytes) -> None:
        """Write what is no line of the chain."""
        self._file.write(data)

    def image(self, data: bytes) -> str:
        """Store an image and return its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        (self.folder / "images" / f"{sha256}.png").write_bytes(data)
        self.size += len(data)
        return sha256

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self.number, self.last, self.size = (
            self.number + 1,
            hashlib.sha256(line[:-1]).hexdigest(),
            self.size + len(line),
        )


class Source:
    """The events of one image of a stored run, for as many seeds as are wanted."""

    def __init__(self, run: Path) -> None:
        events, _ = read_events(run)
        self.started = next(event for event in events if isinstance(event, Started))
        self.generated = next(event for event in events if isinstance(event, Generated))
        judged = next(event for event in events if isinstance(event, Judged) and event.reading is not None)
        assert judged.score is not None
        assert judged.reading is not None
        self.judged, self.score, self.reading = judged, judged.score, judged.reading
        self.generated = replace(self.generated, sample=judged.sample)

    def samples(self, images: int) -> Iterator[Sample]:
        """Yield the sample of each seed."""
        for seed in range(images):
            yield replace(self.judged.sample, seed=seed)

    def begin(self, chain: Chain, images: int) -> None:
        """Write a start that plans so many images."""
        chain.event(replace(self.started, planned=tuple(self.samples(images))))

    def image(self, sample: Sample, sha256: str) -> Generated:
        """Return the event of a sample's image."""
        assert self.generated.recipe is not None
        recipe = replace(self.generated.recipe, seed=sample.seed, variant=sample.variant)
        cohort = replace(self.generated.cohort, variant=sample.variant)
        return replace(self.generated, sample=sample, recipe=recipe, key=recipe.key(), sha256=sha256, cohort=cohort)

    def verdict(self, sample: Sample, sha256: str, *, reading: Reading | None = None, **fields: object) -> Judged:
        """Return its verdict, with these fields."""
        read = reading or self.reading
        health: Health | None = self.judged.health
        digest = reading_digest(read, health, image=sha256)
        known = {"sample": sample, "reading": read, "digest": digest} | fields
        return replace(self.judged, **known)  # type: ignore[arg-type]

    def scored(self, *texts: TextScore, extra: tuple[Extra, ...] = ()) -> Score:
        """Return a score of these texts."""
        distance = sum(text.distance for text in texts) + sum(one.distance for one in extra)
        return replace(self.score, texts=texts, extra=extra, distance=distance)


def judged(times: int) -> Fill:
    """Images with a whole verdict, whose readings are the stored one, repeated."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        longer = replace(source.reading, lines=(source.reading.lines * times)[:1_000])
        _images(chain, source, size, lambda sample: source.verdict(sample, _NO_IMAGE, reading=longer))

    return fill


def scored(make: Callable[[Source], Score], **fields: object) -> Fill:
    """Images whose score is the same."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        score = make(source)
        judgement = None if source.judged.judgement is None else replace(source.judged.judgement, distance=9, limit=0)
        known = {"score": score, "judgement": judgement} | fields
        _images(chain, source, size, lambda sample: source.verdict(sample, _NO_IMAGE, **known))  # type: ignore[arg-type]

    return fill


def _images(chain: Chain, source: Source, size: int, verdict: Callable[[Sample], Event]) -> None:
    source.begin(chain, MOST)
    for sample in source.samples(MOST):
        if chain.size >= size:
            return
        chain.event(source.image(sample, _NO_IMAGE))
        chain.event(verdict(sample))


def _text(expected: str, read: str, **fields: object) -> TextScore:
    known = {"distance": 5, "distance_alnum": 5, "length": len(expected), "edits": (), "lines": ()} | fields
    return TextScore(expected=expected, read=read, **known)  # type: ignore[arg-type]


def long_texts(source: Source) -> Score:
    """Return a score of a text of a million characters, read with as many errors as fit."""
    return source.scored(_text("ab" * 500_000, "ab\n" * 400_000, distance=1_000))


def edited(source: Source) -> Score:
    """Return a score with 40,000 edits of one text."""
    edit = Edit(kind=EditKind.DELETE, position=0, expected="a", read="")
    edits = tuple(replace(edit, position=at) for at in range(40_000))
    return source.scored(_text("a" * 40_000, "b", edits=edits, distance=40_000))


def many_edits(source: Source) -> Score:
    """Return a score of 100 texts, each of as many edits and characters as are still shown with marks."""
    texts = []
    for number in range(20):
        edits = tuple(Edit(kind=EditKind.SUBSTITUTE, position=2 * at, expected="a", read="b") for at in range(900))
        texts.append(_text("ax" * 900 + str(number), "bx" * 900 + str(number), edits=edits, distance=900, lines=(0, 1)))
    return source.scored(*texts)


def many_texts(source: Source) -> Score:
    """Return a score of 10,000 texts."""
    return source.scored(
        *(_text(f"expected {number}", f"read {number}", lines=(number % 7,)) for number in range(10_000))
    )


def joined_lines(source: Source) -> Score:
    """Return a score of a text that is joined of 100,000 lines."""
    return source.scored(_text("a" * 60_000, "b\n" * 60_000, lines=tuple(range(7)) * 15_000))


def joined_texts(source: Source) -> Score:
    """Return a score of 100 texts, each joined of 60 lines."""
    read = "\n".join("abcdefg" for _ in range(60))
    edit = tuple(Edit(kind=EditKind.INSERT, position=at, expected="", read="b") for at in range(60))
    return source.scored(*(_text("x" * 70, read, edits=edit, lines=tuple(range(60)), distance=60) for _ in range(100)))


def many_extras(source: Source) -> Score:
    """Return a score with 20,000 extra texts."""
    extra = tuple(Extra(text="a", kind=ExtraKind.DOUBLED, line=0, distance=1, of="b") for _ in range(20_000))
    return source.scored(*source.score.texts, extra=extra)


def reasons(chain: Chain, source: Source, size: int) -> None:
    """Verdicts with 300,000 reasons and notes."""
    assert source.judged.judgement is not None
    judgement = replace(source.judged.judgement, reasons=("why",) * 300_000)
    notes = ("note",) * 100_000
    _images(chain, source, size, lambda sample: source.verdict(sample, _NO_IMAGE, judgement=judgement, notes=notes))


def problems(chain: Chain, source: Source, size: int) -> None:
    """One end after another, each with 600,000 problems."""
    source.begin(chain, MOST)
    ended = Ended(at=now(), state=RunState.FINISHED, exit_status=0, problems=("why",) * 600_000)
    while chain.size < size:
        chain.event(ended)


def variants(chain: Chain, source: Source, size: int) -> None:
    """As many variants and cases as a line can hold, and images of each."""
    variant, case = source.started.variants[0], source.started.cases[0]
    names = tuple(replace(variant, name=f"v{number}", group=f"g{number}") for number in range(3_000))
    cases = tuple(replace(case, id=f"c{number}", texts=case.texts[:1]) for number in range(1_500))
    samples = tuple(
        replace(source.judged.sample, case=cases[number % 1_500].id, variant=names[number % 3_000].name, seed=number)
        for number in range(MOST // 2)
    )
    chain.event(replace(source.started, variants=names, cases=cases, planned=samples))
    for sample in samples:
        if chain.size < size:
            chain.event(source.image(sample, _NO_IMAGE))
            chain.event(source.verdict(sample, _NO_IMAGE))


def failures(chain: Chain, source: Source, size: int) -> None:
    """As many small events as there may be."""
    most = 40_000
    source.begin(chain, most)
    for _ in range(4):
        for sample in source.samples(most):
            if chain.size < size:
                chain.event(Failed(at=now(), sample=sample, error="x" * 300))


def facts(chain: Chain, source: Source, size: int) -> None:
    """Goldens of 60,000 facts."""
    assert source.judged.golden is not None
    golden = replace(source.judged.golden, recipe={f"k{number}": number for number in range(60_000)})
    _images(chain, source, size, lambda sample: source.verdict(sample, _NO_IMAGE, golden=golden))


def schedulers(chain: Chain, source: Source, size: int) -> None:
    """Recipes of 200,000 settings, and as many seconds of steps."""
    assert source.generated.recipe is not None
    assert source.generated.timing is not None
    recipe = replace(source.generated.recipe, scheduler=tuple((f"k{number}", number) for number in range(150_000)))
    timing = replace(source.generated.timing, step_seconds=(0.5,) * 150_000)
    source.begin(chain, MOST)
    for sample in source.samples(MOST):
        if chain.size < size:
            own = replace(recipe, seed=sample.seed)
            chain.event(replace(source.image(sample, _NO_IMAGE), recipe=own, key=own.key(), timing=timing))


def confident(chain: Chain, source: Source, size: int) -> None:
    """Add readings of nothing but numbers."""
    line = replace(source.reading.lines[0], characters=(1.0,) * 500_000)
    reading = replace(source.reading, lines=(line,))
    _images(chain, source, size, lambda sample: source.verdict(sample, _NO_IMAGE, reading=reading))


def fields(before: bytes, part: bytes, times: int, after: bytes) -> Fill:
    """Lines whose one field is a part many times over."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        source.begin(chain, 3)
        while chain.size < size:
            chain.raw(before + part * times + after)

    return fill


def junk(made: bytes) -> Fill:
    """Lines that are no events."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        source.begin(chain, 3)
        for _ in range(size // 1_000_000):
            chain.junk(made * (1_000_000 // len(made)))

    return fill


def starts(chain: Chain, source: Source, size: int) -> None:
    """Nothing but starts."""
    while chain.size < size:
        source.begin(chain, MOST)


def images(make: Callable[[int], bytes]) -> Fill:
    """Images with the verdicts of the source; `make` gives the bytes of each."""

    def fill(chain: Chain, source: Source, size: int) -> None:
        source.begin(chain, MOST)
        wrong = source.scored(*(replace(text, distance=1) for text in source.score.texts))
        for number, sample in enumerate(source.samples(MOST)):
            if chain.size < size:
                sha256 = chain.image(make(number))
                chain.event(source.image(sample, sha256))
                chain.event(source.verdict(sample, sha256, score=wrong))

    return fill


def one_image(chain: Chain, source: Source, size: int) -> None:
    """Add an image of half the size that every event and golden names."""
    sha256 = chain.image(os.urandom(size // 2))
    assert source.judged.golden is not None
    golden = replace(source.judged.golden, image=sha256)
    source.begin(chain, MOST)
    for sample in source.samples(MOST):
        if chain.size < size:
            chain.event(source.image(sample, sha256))
            chain.event(source.verdict(sample, sha256, golden=golden))


@cache
def _png(kind: str) -> bytes:
    """Return a PNG of 16 million pixels, or of blocks, without its last chunk."""
    image = Image.new("RGB", (4096, 4096))
    if kind == "blocks":
        blocks = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
        image = Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()[: -len(_END)]


def png(kind: str) -> Callable[[int], bytes]:
    """Return a function that makes the same image with other bytes."""

    def numbered(number: int) -> bytes:
        text = b"tEXtnumber\0" + str(number).encode()
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        return _png(kind) + chunk + _END

    return numbered


KINDS: dict[str, Fill] = {
    "images as large as that": images(lambda _: os.urandom(5_000_000)),
    "images of 16 million pixels": images(png("large")),
    "images that are hard to compress": images(png("blocks")),
    "one image that all name": one_image,
    "verdicts on short readings": judged(1),
    "verdicts on readings of up to 1,000 lines": judged(1_000),
    "verdicts on texts of a million characters": scored(long_texts),
    "verdicts with 40,000 edits of a text": scored(edited),
    "verdicts with 900 edits of 20 texts": scored(many_edits),
    "verdicts on 10,000 texts": scored(many_texts),
    "verdicts on a text of 100,000 lines": scored(joined_lines),
    "verdicts on 100 texts of 60 lines": scored(joined_texts),
    "verdicts with 20,000 extra texts": scored(many_extras),
    "verdicts with 300,000 reasons": reasons,
    "goldens of 60,000 facts": facts,
    "recipes of 150,000 settings": schedulers,
    "readings of nothing but numbers": confident,
    "3,000 variants of 1,500 cases": variants,
    "160,000 failures": failures,
    "ends with 600,000 problems": problems,
    "starts": starts,
    "lists of brackets": fields(b'"x":[', b"[],", 1_300_000, b"[]]"),
    "names": fields(b'"x":[', b'{"a":0},', 99_000, b"0]"),
    "numbers": fields(b'"reading":{"lines":[{"characters":[', b"1,", 2_000_000, b"1]}]}"),
    "lines that are no event": junk(b"{}\n"),
    "empty lines": junk(b"\n"),
    "one line": junk(b"x"),
}
