"""A folder of images made elsewhere: which file is which sample, and all that is wrong with them, at once."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from qiltest.elsewhere.manifest import Entry, leads_out, read_manifest
from qiltest.elsewhere.metadata import contradictions, told_by
from qiltest.elsewhere.plan import file_of
from qiltest.errors import ImagesError, ReaderError
from qiltest.files import read_file
from qiltest.image_files import MOST_BYTES
from qiltest.reading.images import Pixels, decode
from qiltest.recipe import SIZE_MULTIPLE, Scalar, Size
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample, Task
from qiltest.text.escape import one_line
from qiltest.text.format import count

#: endings of the files that count as images; what they hold decides how they are read.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif"})
#: entries of the folder and its folders.
_MOST_ENTRIES = 20_000
#: faults that a problem lists.
_SHOWN = 100
_ID = re.compile(
    r"(?P<case>[^@/]+)@(?P<size>[1-9]\d{1,4}x[1-9]\d{1,4})-(?P<variant>.+)-s(?P<seed>\d{1,19})(?:-r(?P<round>\d{1,2}))?"
)
_TWICE = "one image under several samples"
_REMEDY = "`qiltest plan` says what must be generated, and how each file is named"


@dataclass(frozen=True, kw_only=True)
class SurveyedImage:
    """A file that may be a sample's image: it can be read, and has the right size."""

    #: path in the folder, with `/`.
    file: str
    path: Path
    file_bytes: int
    #: of the file's bytes, and of its pixels.
    file_sha256: str
    pixels_sha256: str
    size: Size
    told: Mapping[str, Scalar]
    #: as its manifest tells; None: nothing is told.
    seconds: float | None = None
    #: True where it has several frames, of which the first is judged.
    animated: bool = False
    #: True where it is transparent in places, which are laid on white.
    transparent: bool = False


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a folder of images holds for the selected samples."""

    folder: Path
    images: Mapping[Sample, SurveyedImage]
    #: why a sample has no image that can be judged.
    faults: Mapping[Sample, tuple[str, ...]]
    #: files that belong to no sample of the suite, with why.
    surplus: Mapping[str, str]
    #: images of the suite that were not selected.
    unselected: int = 0

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong, as one sentence with a list; () where nothing is."""
        lines = [f"{sample.id}: {fault}" for sample, found in self.faults.items() for fault in found]
        lines += [f"{file}: {why}" for file, why in self.surplus.items()]
        if not lines:
            return ()
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        listed = "".join(f"\n     {one_line(line, 400)}" for line in (*lines[:_SHOWN], *more))
        wrong = count(len(self.faults), "image")
        extra = f", {count(len(self.surplus), 'file')} too many" if self.surplus else ""
        return (f"{one_line(str(self.folder))}: {wrong} cannot be judged{extra}:{listed}\n  -> {_REMEDY}",)


@dataclass(kw_only=True)
class _Candidates:
    """The files of each sample of the suite, by its name."""

    files: dict[str, list[tuple[str, Entry | None]]] = field(default_factory=dict)
    surplus: dict[str, str] = field(default_factory=dict)


def survey(folder: Path, tasks: Mapping[Sample, Task], suite: Suite, multiple: int = SIZE_MULTIPLE) -> Survey:
    """Look at every file of a folder once. Images are decoded one at a time, and none is kept.

    `multiple` is the one that the model's pipeline floors sizes to. Raises ImagesError where there is no such
    folder, or its manifest has mistakes.
    """
    found = candidates(folder, suite)
    images: dict[Sample, SurveyedImage] = {}
    faults: dict[Sample, tuple[str, ...]] = {}
    for sample, task in tasks.items():
        own = found.files.get(sample.id, [])
        if len(own) == 1:
            wrong: list[str] = []
            image = _surveyed(folder, *own[0], task, task.size.effective(multiple), wrong)
            if image is not None and not wrong:
                images[sample] = image
        elif own:
            wrong = [f"{len(own)} files for one sample: {', '.join(file for file, _ in own[:4])}"]
        else:
            wrong = [f"missing: no file {file_of(sample.id)}"]
        if wrong:
            faults[sample] = tuple(wrong)
    selected = {sample.id for sample in tasks}
    others = [file for name, files in found.files.items() if name not in selected for file, _ in files]
    for sample, twins in _same_files(folder, images, others).items():
        faults[sample] = (f"the same file as {', '.join(twins[:4])}, which is not selected: {_TWICE}",)
    for sample, twins in _twins(images).items():
        faults[sample] = (f"the same pixels as {', '.join(twins[:4])}: {_TWICE}",)
    return Survey(
        folder=folder,
        images={sample: image for sample, image in images.items() if sample not in faults},
        faults=faults,
        surplus=found.surplus,
        unselected=sum(name not in selected for name in found.files),
    )


def samples_in(folder: Path, suite: Suite) -> tuple[Sample, ...]:
    """Return the samples of the suite that a folder has a file of. Raises ImagesError."""
    found = (sample_named(name, suite) for name in candidates(folder, suite).files)
    return tuple(sample for sample in found if sample is not None)


def sample_named(name: str, suite: Suite) -> Sample | None:
    """Return the sample of a suite that has this name; None where there is none."""
    match = _ID.fullmatch(name)
    if match is None:
        return None
    size = Size.parse(match["size"])
    case = next((case for case in suite.every if case.id == match["case"]), None)
    known = case is not None and any(resolution.size == size for resolution in case.resolutions)
    if not known or all(variant.name != match["variant"] for variant in suite.variants):
        return None
    number = int(match["round"] or 1)
    sample = Sample(case=match["case"], size=size, variant=match["variant"], seed=int(match["seed"]), round=number)
    return sample if sample.id == name else None  # not s042


def candidates(folder: Path, suite: Suite) -> _Candidates:
    """Return the files of each sample, by the manifest or, without one, by their names. Raises ImagesError."""
    if not folder.is_dir():
        remedy = f"name the folder that holds them; {_REMEDY}"
        raise ImagesError("no such folder of images", where=str(folder), remedy=remedy)
    there = _image_files(folder)
    manifest = read_manifest(folder)
    found = _Candidates()
    if manifest is None:
        for file in there:
            _place(found, suite, file, PurePosixPath(file).stem, None)
    else:
        for entry in manifest:
            _place(found, suite, entry.file, entry.sample, entry)
        listed = {entry.file for entry in manifest}
        found.surplus |= dict.fromkeys((file for file in there if file not in listed), "not in the manifest")
    return found


def _place(found: _Candidates, suite: Suite, file: str, name: str, entry: Entry | None) -> None:
    if sample_named(name, suite) is None:
        where = "" if entry is None else f" (line {entry.line} of the manifest)"
        found.surplus[file] = f"no sample of the suite is called {one_line(name, 100)!r}{where}"
    else:
        found.files.setdefault(name, []).append((file, entry))


def _image_files(folder: Path) -> list[str]:
    """Return the images below a folder, sorted, without hidden ones; linked folders are not entered."""
    found: list[str] = []
    seen = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(folders) + len(files)
        if seen > _MOST_ENTRIES:
            remedy = "name a folder that holds the images alone"
            raise ImagesError(f"more than {_MOST_ENTRIES:,} files in the folder", where=str(folder), remedy=remedy)
        names = (name for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES)
        found += (Path(place, name).relative_to(folder).as_posix() for name in names)
    return sorted(found)


def _surveyed(
    folder: Path, file: str, entry: Entry | None, task: Task, asked: Size, wrong: list[str]
) -> SurveyedImage | None:
    """Look at one file, and add what is wrong with it to `wrong`; None where it cannot be read at all."""
    path = folder / file
    if leads_out(folder, path):
        wrong.append(f"{file} is a link out of the folder")
        return None
    try:
        data = read_file(path, most=MOST_BYTES)
        decoded = decode(data)
    except FileNotFoundError:
        wrong.append(f"missing: {file}, which the manifest lists, is not there")
        return None
    except OSError as error:
        wrong.append(f"{file} cannot be read: {error.strerror or error}")
        return None
    except ReaderError as error:
        wrong.append(f"{file} cannot be read: {error.what}")
        return None
    pixels = decoded.pixels
    size = Size(pixels.shape[1], pixels.shape[0])
    if size != asked:
        wrong.append(f"{file} is {size}, asked was {asked}")
    told = told_by(data)
    wrong += (
        f"{file}: {fault}" for fault in contradictions(told, seed=task.seed, steps=task.variant.steps, size=asked)
    )
    facts = {} if entry is None else dict(entry.facts)
    wrong += (f"{file}: {fault}" for fault in _told_otherwise(facts, task, asked))
    return SurveyedImage(
        file=file,
        path=path,
        file_bytes=len(data),
        file_sha256=hashlib.sha256(data).hexdigest(),
        pixels_sha256=digest_of(pixels),
        size=size,
        told={**told, **{f"manifest.{name}": value for name, value in facts.items()}},
        seconds=None if entry is None else entry.seconds,
        animated=decoded.several_frames,
        transparent=decoded.transparent,
    )


def digest_of(pixels: Pixels) -> str:
    """Return the SHA-256 of an image's size and pixels, whatever its format."""
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def _told_otherwise(facts: Mapping[str, Scalar], task: Task, size: Size) -> Iterator[str]:
    """Yield where a manifest tells something else than was asked for."""
    variant = task.variant
    asked: dict[str, Scalar] = {
        "seed": task.seed,
        "steps": variant.steps,
        "width": size.width,
        "height": size.height,
        "true_cfg_scale": variant.true_cfg_scale,
    }
    lora = variant.lora(task.kind)
    if lora is not None and lora.sha256 is not None:
        asked["lora_sha256"] = lora.sha256
    for name, value in asked.items():
        if name in facts and facts[name] != value:
            yield f"the manifest tells {name} {facts[name]}, asked was {value}"


def _twins(images: Mapping[Sample, SurveyedImage]) -> dict[Sample, list[str]]:
    """Return the samples that share their pixels with others, each with the files of those."""
    groups: dict[str, list[Sample]] = {}
    for sample, image in images.items():
        groups.setdefault(image.pixels_sha256, []).append(sample)
    return {
        sample: [images[other].file for other in _others(group, sample)]
        for group in groups.values()
        if len(group) > 1
        for sample in group
    }


def _same_files(folder: Path, images: Mapping[Sample, SurveyedImage], others: Iterable[str]) -> dict[Sample, list[str]]:
    """Return the samples whose file has the bytes of other files, which are not selected, each with those."""
    samples: dict[str, list[Sample]] = {}
    lengths: set[int] = set()
    for sample, image in images.items():
        samples.setdefault(image.file_sha256, []).append(sample)
        lengths.add(image.file_bytes)
    found: dict[Sample, list[str]] = {}
    for file in others:
        path = folder / file
        try:  # what cannot be read is no image that somebody asked for
            if leads_out(folder, path) or path.stat().st_size not in lengths:
                continue
            digest = hashlib.sha256(read_file(path, most=MOST_BYTES)).hexdigest()
        except OSError:
            continue
        for sample in samples.get(digest, ()):
            found.setdefault(sample, []).append(file)
    return found


def _others(group: Iterable[Sample], sample: Sample) -> Iterator[Sample]:
    yield from (other for other in group if other != sample)
