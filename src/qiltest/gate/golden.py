"""Goldens: the accepted record of a (case, resolution, variant, seed, model), with the reader that read it.

One small JSON file each, `golden/<model>/<case>@<size>/<variant>-s<seed>.json`, written whole or not at all. They are
read strictly: a file that is truncated, has an unknown key, a number that is not finite or another image's name in
it is an error, because a gate that guesses passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from qiltest.errors import GoldenError
from qiltest.files import sync_folder, write_atomically
from qiltest.recipe import Recipe, Scalar, Size, recipe_changes
from qiltest.scoring.records import Score
from qiltest.strict_json import STORED, StrictJsonError, decode
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample

SCHEMA = 2
#: one part of a model's name as it may stand in a path: no separator, no leading dot, so never `..`.
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_HUB_PARTS = 2
_FILE = re.compile(r"(?P<variant>.+)-s(?P<seed>[0-9]+)\.json")


@dataclass(frozen=True, kw_only=True)
class GoldenText:
    """One expected text as it was accepted."""

    expected: str
    read: str
    distance: int

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class GoldenExtra:
    """Text that nobody asked for and that was accepted with the image."""

    text: str
    kind: str
    distance: int

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
    #: `Recipe.key`, `Recipe.facts` and SHA-256 of the accepted image: to say what changed, never to judge by.
    recipe_key: str
    recipe: dict[str, Scalar]
    image: str

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    @property
    def sample(self) -> Sample:
        """The sample that the golden is of. Raises ValueError where `size` is none."""
        return Sample(case=self.case, size=Size.parse(self.size), variant=self.variant, seed=self.seed)

    def same_text(self, other: Golden) -> bool:
        """Say whether both hold the same result by the same reader; recipe and image may differ."""
        keys = ("effective", "reader", "distance", "distance_alnum", "length", "noise_floor", "texts", "extra")
        return all(getattr(self, key) == getattr(other, key) for key in keys)

    def origin_changes(self, *, recipe_key: str, recipe: Mapping[str, Scalar], image: str) -> Iterator[str]:
        """Yield what is not as it was when the golden was recorded, of the recipe or else of the image's bytes."""
        if recipe_key != self.recipe_key:
            changes = tuple(recipe_changes(self.recipe, recipe))
            yield f"the recipe is another one: {'; '.join(changes) or 'a field that the golden does not name'}"
        elif image == self.image:
            yield "the image is the same, byte for byte: reading or scoring changed, or the case"
        else:
            yield "the recipe is the same, the image is not"


@dataclass(frozen=True, kw_only=True)
class GoldenStore:
    """The folder of goldens."""

    root: Path

    def folder(self, model: str) -> Path:
        """Return where a model's goldens lie. Raises GoldenError for a name that cannot stand in a path.

        `tiny` and `random` stand for themselves, a Hugging Face id is two folders; for a folder of weights the
        last part of its path counts, below `local/`, so that its goldens hold on another machine.
        """
        parts = model.split("/")
        is_path = Path(model).is_absolute() or len(parts) > _HUB_PARTS or parts[0] in {".", "..", "~"}
        if is_path:
            parts = ["local", Path(model).name]
        if not all(_PART.fullmatch(part) for part in parts):
            raise GoldenError(
                f"{model!r} cannot name a folder of goldens",
                where=str(self.root),
                remedy="rename the model's folder: letters, digits, '.', '_' and '-', at most 96, beginning with a "
                "letter or digit",
            )
        return self.root.joinpath(*parts)

    def path(self, model: str, sample: Sample) -> Path:
        """Return where the golden of a sample lies, whether it is there or not."""
        return self.folder(model) / f"{sample.case}@{sample.size}" / f"{sample.variant}-s{sample.seed}.json"

    def load(self, model: str, sample: Sample) -> Golden | None:
        """Return the golden of a sample, None where there is none. Raises GoldenError for a file that is not one."""
        path = self.path(model, sample)
        data = read_if_there(path)
        if data is None:
            return None
        golden = _parse(data, path)
        asked = (SCHEMA, model, sample.case, str(sample.size), sample.variant, sample.seed)
        held = (golden.schema, golden.model, golden.case, golden.size, golden.variant, golden.seed)
        names = ("schema", "model", "case", "size", "variant", "seed")
        wrong = [f"{n} {h!r} instead of {a!r}" for n, h, a in zip(names, held, asked, strict=True) if h != a]
        if wrong:
            raise _broken(path, f"the golden is of another image: {', '.join(wrong)}")
        return golden

    def save(self, golden: Golden) -> Path:
        """Write a golden, replacing the one that was there. Raises GoldenError where it cannot be written."""
        path = self.path(golden.model, golden.sample)
        text = json.dumps(asdict(golden), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        _parse(text.encode(), path)
        try:
            write_atomically(path, text.encode())
        except OSError as error:
            raise GoldenError(
                f"the golden could not be written: {error.strerror or error}",
                where=str(path),
                remedy="make its folder writable, or choose another with --qil-golden",
            ) from error
        return path

    def remove(self, golden: Golden) -> None:
        """Take a golden away; where it is gone already, do nothing. Raises GoldenError where that is not possible."""
        path = self.path(golden.model, golden.sample)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)
        except OSError as error:
            raise GoldenError(
                f"the golden could not be removed: {error.strerror or error}",
                where=str(path),
                remedy="make its folder writable",
            ) from error

    def files(self, model: str) -> Iterator[Path]:
        """Yield the files of all goldens of a model, sorted; latency goldens are not among them."""
        folder = self.folder(model)
        yield from sorted(path for path in folder.glob("*@*/*.json") if not path.name.startswith("."))


def golden_from(
    sample: Sample, *, model: str, recipe: Recipe, score: Score, noise_floor: float | None, image: str
) -> Golden:
    """Return the golden that a scored image would be; `image` is the image's SHA-256.

    One way for `--qil-update` and `qiltest review`.
    """
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
        texts=tuple(GoldenText(expected=t.expected, read=t.read, distance=t.distance) for t in score.texts),
        extra=tuple(GoldenExtra(text=e.text, kind=str(e.kind), distance=e.distance) for e in score.extra),
        recipe_key=recipe.key(),
        recipe=recipe.facts(),
        image=image,
    )


def unused_goldens(store: GoldenStore, model: str, suite: Suite) -> Iterator[str]:
    """Yield a sentence for each golden of a model that no selection of the suite can use.

    That is a golden of a case, resolution or variant that is not in the suite. One of a variant that is not generated
    by default, or of a seed that only `--qil-seeds` asks for, waits for its options and is not unused.
    """
    places = {f"{case.id}@{resolution.size}" for case in suite.cases for resolution in case.resolutions}
    variants = {variant.name for variant in suite.variants}
    for path in store.files(model):
        match = _FILE.fullmatch(path.name)
        place = path.parent.name
        if match is None:
            reason = "its name is not VARIANT-sSEED.json"
        elif place not in places:
            reason = f"the suite has no case {place}"
        elif match["variant"] not in variants:
            reason = f"variants.toml has no variant {match['variant']}"
        else:
            continue
        yield f"unused golden {path}: {reason}\n  -> remove the file, or bring back what it is for"


def read_if_there(path: Path) -> bytes | None:
    """Return a file's bytes, None where there is no such file. Raises GoldenError for one that cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GoldenError(
            f"the golden cannot be read: {error.strerror or error}",
            where=str(path),
            remedy="--qil-golden names the folder of goldens; make it and what is in it readable",
        ) from error


def _parse(data: bytes, path: Path) -> Golden:
    try:
        golden = decode(Golden, data)
    except StrictJsonError as error:
        raise _broken(path, f"not a golden: {'; '.join(error.faults[:3])}") from error
    total = sum(text.distance for text in golden.texts) + sum(extra.distance for extra in golden.extra)
    numbers = (golden.distance, golden.distance_alnum, *(text.distance for text in golden.texts))
    if min(numbers) < 0 or golden.length <= 0 or not golden.texts:
        raise _broken(path, "not a golden: a distance below 0 or no expected text")
    if total != golden.distance:
        raise _broken(path, f"distance {golden.distance} is not the sum of its texts and extras, {total}")
    return golden


def _broken(path: Path, what: str) -> GoldenError:
    return GoldenError(
        what, where=str(path), remedy="restore it (`git checkout` it), or record it again with --qil-update=changed"
    )
