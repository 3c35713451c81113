"""Goldens: the accepted result of each (case, resolution, variant, seed, model), one small JSON file each.

`golden/<model>/<case>@<size>/<variant>-s<seed>.json` is written whole or not at all, and read strictly: a truncated
file, an unknown key, a number that does not follow from what was read or another image's name is an error. A small copy
of the image lies beside it as `.webp` (`qiltest.gate.small_copy`).
"""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from qiltest.errors import GoldenError, os_errors_as
from qiltest.files import read_file, sync_folder, write_atomically
from qiltest.gate.agreement import accepts_no_text, count_again, extra_alnum, extra_distance, gone_alnum, may_be_extra
from qiltest.quality.change import Change
from qiltest.quality.scene import Scene, scene_change
from qiltest.reading.records import ReaderInfo
from qiltest.recipe import Recipe, Scalar, Size, known_parts, named_parts, other_parts, recipe_changes
from qiltest.scoring.gone import left_of
from qiltest.scoring.records import Score
from qiltest.strict_json import MOST_BYTES, STORED, StrictJsonError, decode, other_schema
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample

#: 3: the scene outside the text, and a small copy of the image.
SCHEMA = 3
#: one part of a model's name that may be part of a path: no separator, no leading dot, so never `..`.
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
#: the fact that tells the version of the code that read (`ReaderInfo.code`); it is not compared.
_READING = "qiltest-reading"
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Share of the blocks, and of the image, by which the rest of an edit may differ and still be as in its golden.
SAME_REST = 0.005
#: fields that a golden's file has only where they say something.
_OF_EDITS = {"gone": (), "change": None, "round": 1}
#: ending of the small copies.
COPY_SUFFIX = ".webp"


@dataclass(frozen=True, kw_only=True)
class GoldenText:
    """One expected text of an accepted image."""

    expected: str
    read: str
    distance: int
    #: other text in its line (`TextScore.beside`); not counted.
    beside: tuple[str, ...] = ()

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class GoldenExtra:
    """Text that nobody asked for, accepted with the image."""

    text: str
    kind: str
    distance: int

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class GoldenGone:
    """One text that an edit had to remove, and what of it was accepted."""

    expected: str
    read: str
    distance: int

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class GoldenRest:
    """How much of the rest of an accepted edit changed (`qiltest.quality.change.Change`)."""

    version: int
    share: float
    patch: float

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class Golden:
    """The accepted text of one image. `size` and `effective` are `WIDTHxHEIGHT`."""

    schema: int
    case: str
    size: str
    variant: str
    seed: int
    model: str
    effective: str
    #: `ReaderInfo.fingerprint`; another reader's distances are not compared with these.
    reader: str
    distance: int
    distance_alnum: int
    length: int
    noise_floor: float | None
    texts: tuple[GoldenText, ...]
    extra: tuple[GoldenExtra, ...]
    #: `Recipe.key`, `facts_of` and SHA-256 of the accepted image: to report what changed. Of the facts only the
    #: parts of the model are compared (`other_parts`).
    recipe_key: str
    recipe: dict[str, Scalar]
    image: str
    #: what the accepted image is like outside its text; None in runs of before schema 3, never in a golden's file.
    scene: Scene | None = None
    #: SHA-256 of the small copy beside the golden's file; "" before it is made, never in the file.
    small_copy: str = ""
    #: of an edit, and left out of other goldens' files: texts that had to be gone, what else changed, and the round.
    gone: tuple[GoldenGone, ...] = ()
    change: GoldenRest | None = None
    round: int = 1

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    @property
    def sample(self) -> Sample:
        """The golden's sample. Raises ValueError for an invalid `size`."""
        size = Size.parse(self.size)
        return Sample(case=self.case, size=size, variant=self.variant, seed=self.seed, round=self.round)

    def same_text(self, other: Golden) -> bool:
        """Return whether both have the same result by the same reader and model; recipe and image may differ."""
        keys = ("effective", "reader", "distance", "distance_alnum", "length", "noise_floor", "texts", "extra", "gone")
        return all(getattr(self, key) == getattr(other, key) for key in keys) and not self.other_parts(other.parts)

    def same_result(self, other: Golden) -> bool:
        """Return whether the other has the same text (`same_text`), on a scene that is this one's still."""
        return self.same_text(other) and self._same_scene(other) and self._same_change(other)

    def _same_scene(self, other: Golden) -> bool:
        if self.scene is None or other.scene is None or self.scene.version != other.scene.version:
            return self.scene == other.scene
        return scene_change(self.scene, other.scene) is None

    def _same_change(self, other: Golden) -> bool:
        """Return whether the other leaves as much of the rest as it was, or both are no edits."""
        if self.change is None or other.change is None or self.change.version != other.change.version:
            return self.change == other.change
        share, patch = (getattr(other.change, name) - getattr(self.change, name) for name in ("share", "patch"))
        return bool(share <= SAME_REST and patch <= SAME_REST)

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """(component, SHA-256) of the model that made the image, or its name; () where the golden does not say."""
        return known_parts(self.recipe)

    def other_parts(self, parts: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, str]]:
        """Return the parts of a model (`Recipe.compared_parts`) that are others than the golden's, with both."""
        return other_parts(self.recipe, parts)

    def origin_changes(self, *, recipe_key: str, recipe: Mapping[str, Scalar], image: str) -> Iterator[str]:
        """Yield what changed since the golden was recorded: the recipe, or else the image's bytes."""
        if recipe_key != self.recipe_key:
            changes = "; ".join(recipe_changes(self.recipe, recipe))
            yield f"recipe changed: {changes or 'in a field that the golden does not store'}"
        elif image == self.image and recipe.get(_READING) != self.recipe.get(_READING):
            code = f"version {self.recipe.get(_READING, 'unknown')} -> {recipe.get(_READING, 'unknown')}"
            yield f"same image, byte for byte: the code that reads changed ({code})"
        elif image == self.image:
            yield "same image, byte for byte: OCR, scoring or the case changed"
        else:
            yield "same recipe, different image"


@dataclass(frozen=True, kw_only=True)
class GoldenStore:
    """The folder of goldens."""

    root: Path

    def folder(self, model: str) -> Path:
        """Return the folder of a model's goldens. Raises GoldenError for a name that cannot be part of a path.

        A Hugging Face id is two folders. A folder of weights counts by the last part of its path, below `local/`, so
        that its goldens are found on another machine.
        """
        parts = named_parts(model)
        if not all(_PART.fullmatch(part) for part in parts):
            raise GoldenError(
                f"model name {model!r} cannot be a folder of goldens",
                where=str(self.root),
                remedy="rename its folder: letters, digits, '.', '_' and '-', at most 96, first a letter or digit",
            )
        return self.root.joinpath(*parts)

    def path(self, model: str, sample: Sample) -> Path:
        """Return the path of a sample's golden, whether the file exists or not."""
        return self.folder(model) / f"{sample.case}@{sample.size}" / _file_of(sample)

    def load(self, model: str, sample: Sample, case: Case | None = None) -> Golden | None:
        """Return the golden of a sample, None where there is none. Raises GoldenError for an invalid file.

        Its numbers are counted again by the rules of `case`, unless the case asks for other texts by now.
        """
        path = self.path(model, sample)
        data = self.read(path)
        if data is None:
            return None
        _check_schema(data, path)
        golden = _parse(data, path)
        asked = (SCHEMA, model, sample.case, str(sample.size), sample.variant, sample.seed, sample.round)
        names = ("schema", "model", "case", "size", "variant", "seed", "round")
        found = [(name, getattr(golden, name)) for name in names]
        wrong = [f"{name} {own!r} instead of {a!r}" for (name, own), a in zip(found, asked, strict=True) if own != a]
        if wrong:
            raise _broken(path, f"this golden belongs to another image: {', '.join(wrong)}")
        if case is not None:
            _check_agreement(golden, case, path)
        return golden

    def read(self, path: Path, *, most: int = MOST_BYTES) -> bytes | None:
        """Return the bytes of a file of this folder, None where there is no such file.

        Raises GoldenError for one that cannot be read, is no regular file, has more than `most` bytes, or lies
        elsewhere.
        """
        self._check_inside(path)
        remedy = "make the folder of goldens (--qil-golden) and its files readable"
        with os_errors_as(GoldenError, "the golden cannot be read", where=str(path), remedy=remedy):
            try:
                return read_file(path, most=most)
            except FileNotFoundError:
                return None

    def write(self, path: Path, data: bytes, *, what: str = "golden") -> None:
        """Write a file of this folder in place of the old one. Raises GoldenError where it cannot be written."""
        self._check_inside(path.parent)
        remedy = "make its folder writable, or choose another with --qil-golden"
        with os_errors_as(GoldenError, f"the {what} cannot be written", where=str(path), remedy=remedy):
            write_atomically(path, data)

    def _check_inside(self, path: Path) -> None:
        """Raise GoldenError where a symbolic link leads out of the folder: what lies there is under nobody's review."""
        real, root = Path(os.path.realpath(path)), Path(os.path.realpath(self.root))
        if not real.is_relative_to(root):
            raise GoldenError(
                f"a symbolic link leads out of the folder of goldens, to {real}",
                where=str(path),
                remedy="put the file itself there, or choose another folder with --qil-golden",
            )

    def save(self, golden: Golden) -> Path:
        """Write a golden in place of the old one. Raises GoldenError where it cannot be written."""
        path = self.path(golden.model, golden.sample)
        fields = {name: value for name, value in asdict(golden).items() if value != _OF_EDITS.get(name, ...)}
        text = json.dumps(fields, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        _parse(text.encode(), path)
        self.write(path, text.encode())
        return path

    def remove(self, golden: Golden) -> None:
        """Remove a golden and its small copy, if they still exist. Raises GoldenError where one cannot be removed."""
        path = self.path(golden.model, golden.sample)
        self._check_inside(path.parent)
        remedy = "make its folder writable"
        with os_errors_as(GoldenError, "the golden cannot be removed", where=str(path), remedy=remedy):
            path.unlink(missing_ok=True)
            path.with_suffix(COPY_SUFFIX).unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)

    def files(self, model: str) -> Iterator[Path]:
        """Yield the files of a model's goldens, sorted, without latency goldens."""
        folder = self.folder(model)
        yield from sorted(path for path in folder.glob("*@*/*.json") if not path.name.startswith("."))


def _file_of(sample: Sample) -> str:
    repeated = f"-r{sample.round}" if sample.round > 1 else ""
    return f"{sample.variant}-s{sample.seed}{repeated}.json"


def facts_of(recipe: Recipe, reader: ReaderInfo) -> dict[str, Scalar]:
    """Return the facts that a golden keeps of its image: its recipe, and the version of the code that read it."""
    return recipe.facts() | ({_READING: reader.code} if reader.code else {})


def golden_from(
    sample: Sample,
    *,
    model: str,
    recipe: Recipe,
    score: Score,
    noise_floor: float | None,
    image: str,
    scene: Scene | None = None,
    change: Change | None = None,
) -> Golden:
    """Return the golden that a scored image would be, without its small copy; `image` is the image's SHA-256."""
    return Golden(
        schema=SCHEMA,
        case=sample.case,
        size=str(sample.size),
        variant=sample.variant,
        seed=sample.seed,
        model=model,
        effective=str(recipe.effective),
        reader=score.reader.fingerprint,
        distance=score.distance,
        distance_alnum=score.distance_alnum,
        length=score.length,
        noise_floor=noise_floor,
        texts=tuple(
            GoldenText(expected=t.expected, read=t.read, distance=t.distance, beside=t.beside) for t in score.texts
        ),
        extra=tuple(GoldenExtra(text=e.text, kind=str(e.kind), distance=e.distance) for e in score.extra),
        recipe_key=recipe.key(),
        recipe=facts_of(recipe, score.reader),
        image=image,
        scene=scene,
        gone=tuple(GoldenGone(expected=g.expected, read=g.read, distance=g.distance) for g in score.gone),
        change=None if change is None else GoldenRest(version=change.version, share=change.share, patch=change.patch),
        round=sample.round,
    )


def _check_schema(data: bytes, path: Path) -> None:
    """Raise GoldenError for a golden of another version, whose fields have other names."""
    found = other_schema(data, SCHEMA)
    if found is not None:
        raise GoldenError(
            f"the golden has schema {found['schema']!s:.20}; this qiltest reads schema {SCHEMA}",
            where=str(path),
            remedy="look at the image and record the golden again with --qil-update=changed",
        )


def _parse(data: bytes, path: Path) -> Golden:
    try:
        golden = decode(Golden, data)
    except StrictJsonError as error:
        raise _broken(path, f"invalid golden: {'; '.join(error.faults[:3])}") from error
    fault = next(_faults(golden), "")
    if fault:
        raise _broken(path, f"invalid golden: {fault}")
    return golden


def _faults(golden: Golden) -> Iterator[str]:
    """Yield what is wrong with a golden's numbers whatever the case's rules are."""
    if not golden.texts:
        yield "texts: no expected text"
    for name in ("distance", "distance_alnum", "length", "noise_floor"):
        value, least = getattr(golden, name), int(name == "length")
        if value is not None and not (value >= least):
            yield f"{name} {value} is below {least}"
    for name in ("recipe_key", "image", "small_copy"):
        if _SHA256.fullmatch(getattr(golden, name)) is None:
            yield f"{name} {getattr(golden, name)!r:.80} is not a SHA-256"
    if golden.scene is None:
        yield "scene: missing"
    if golden.noise_floor is not None and not (golden.noise_floor <= golden.length):
        yield f"noise_floor {golden.noise_floor:g} is above the length {golden.length}"
    yield from (f"texts[{i}].distance {t.distance} is below 0" for i, t in enumerate(golden.texts) if t.distance < 0)
    for index, extra in enumerate(golden.extra):
        counted = extra_distance(extra.text, extra.kind)
        if counted is None:
            yield f"extra[{index}].kind {extra.kind!r} is not a kind of unexpected text"
        elif extra.distance != counted:
            yield f"extra[{index}].distance {extra.distance}, but {extra.text!r} ({extra.kind}) counts {counted}"
    for index, gone in enumerate(golden.gone):
        if gone.distance != (counted := left_of(gone.expected, gone.read)):
            yield f"gone[{index}].distance {gone.distance}, but {gone.read!r} of {gone.expected!r} counts {counted}"
    total = sum(text.distance for text in golden.texts) + sum(extra.distance for extra in golden.extra)
    total += sum(gone.distance for gone in golden.gone)
    if total != golden.distance:
        yield f"distance {golden.distance}, but its texts and extras add up to {total}"


def _check_agreement(golden: Golden, case: Case, path: Path) -> None:
    """Raise GoldenError where a golden's numbers do not follow from what was read, or would pass any image."""
    asked = ([text.text for text in case.texts], case.gone)
    if ([text.expected for text in golden.texts], tuple(gone.expected for gone in golden.gone)) != asked:
        return  # not comparable, which is said with the verdict
    fault = next(_disagreements(golden, case), "")
    if fault:
        raise _broken(path, f"the golden does not agree with what was read: {fault}")
    if accepts_no_text(golden.distance, golden.length, case.limits):
        raise _broken(
            path,
            f"the golden would pass an image without any of its texts: distance {golden.distance} and tolerance "
            f"{case.limits.tolerance} allow all {golden.length} characters",
        )


def _disagreements(golden: Golden, case: Case) -> Iterator[str]:
    reads = [text.read for text in golden.texts]
    counted = count_again(case, reads)
    for index, (text, distance) in enumerate(zip(golden.texts, counted.distances, strict=True)):
        if text.distance != distance:
            yield (
                f"texts[{index}].distance is {text.distance}, but {text.read!r} for {text.expected!r} is {distance} by "
                f"the case's rules"
            )
    for index, extra in enumerate(golden.extra):
        if not may_be_extra(case, reads, extra.text, extra.kind):
            yield f"extra[{index}].kind is {extra.kind}, but {extra.text!r} repeats or extends none of the texts"
    alnum = counted.distance_alnum + sum(extra_alnum(extra.text, extra.kind) for extra in golden.extra)
    alnum += sum(gone_alnum(gone.read) for gone in golden.gone)
    if golden.distance_alnum != alnum:
        yield f"distance_alnum is {golden.distance_alnum}, but its texts and extras add up to {alnum}"
    if golden.length != counted.length:
        yield f"length is {golden.length}, but the case's required texts have {counted.length} characters"


def _broken(path: Path, what: str) -> GoldenError:
    remedy = "restore it with `git checkout`, or record it again with --qil-update=changed"
    return GoldenError(what, where=str(path), remedy=remedy)
