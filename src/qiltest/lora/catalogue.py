"""The catalogue of releases: what is published for Qwen-Image, and which release a LoRA file is.

It is written in `catalogue.toml`, and read when it is first asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from qiltest.suite.problems import CaseFileError, FileModel, Mistake, check_shape, read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE = Path(__file__).with_name("catalogue.toml")
_SHA256 = "^[0-9a-f]{64}$"
#: a file in the Hugging Face cache.
_CACHED = re.compile(r"models--([^/]+?)--([^/]+)/snapshots/[0-9a-f]+/(.+)")
#: what a browser or a copy adds to a file's name: "name (1).safetensors".
_COPY = re.compile(r"\s*\(\d+\)$")


class Task(StrEnum):
    """What a model or LoRA is made for."""

    TEXT_TO_IMAGE = "text-to-image"
    EDIT = "edit"


class Kind(StrEnum):
    """What a release is: a LoRA, or weights that have one merged into them."""

    LORA = "LoRA"
    MERGED = "merged checkpoint"


class Schedule(StrEnum):
    """The sigmas that a release was distilled with; `lightning` is that of `variants.toml`."""

    LIGHTNING = "lightning"
    #: the model's own shift by image size, without its terminal.
    DYNAMIC = "dynamic"
    #: an explicit list.
    SIGMAS = "sigmas"


Tasks = Annotated[list[Annotated[Task, Field(strict=False)]], Field(min_length=1, description=", ".join(Task))]
Text = Annotated[str, Field(min_length=1, description="a string that is not empty")]


class ReleaseFile(FileModel):
    """`[[releases.files]]`: one copy of a release, such as the bf16 one."""

    #: name in the repository, with its folder.
    file: Text
    #: "" where no source says it.
    dtype: str
    sha256: Annotated[str | None, Field(pattern=_SHA256)] = None
    #: the public page or code that shows the SHA-256.
    sha256_source: Text | None = None


class Release(FileModel):
    """`[[releases]]`: one release and how it is generated with."""

    name: Text
    #: on the Hugging Face hub.
    repository: Text
    base_model: Text
    #: the cast of the base's weights that it was distilled on; None: bfloat16.
    base_weights: Text | None = None
    tasks: Tasks
    kind: Annotated[Kind, Field(strict=False)]
    steps: Annotated[int, Field(ge=1)]
    true_cfg_scale: Annotated[float, Field(ge=1)]
    scheduler: Annotated[Schedule, Field(strict=False)]
    #: with `scheduler = "sigmas"`: from 1 downwards, without the final 0.
    sigmas: list[float] | None = None
    notes: str = ""
    #: where the recipe is from.
    source: Text
    #: empty where the release is a whole repository.
    files: list[ReleaseFile] = Field(default_factory=list)

    @property
    def purpose(self) -> str:
        """What it is for, in words: `LoRA for editing with Qwen/Qwen-Image-Edit in 4 steps`."""
        what = " and ".join("editing" if task is Task.EDIT else "text-to-image" for task in self.tasks)
        return f"{self.kind} for {what} with {self.base_model} in {self.steps} steps"


class BaseModelTable(FileModel):
    """`[[bases]]`: a base model on the Hugging Face hub."""

    id: Text
    #: the models that one diffusers pipeline serves.
    family: Text
    tasks: Tasks
    pipeline: Text
    #: SHA-256 of weight files in its `transformer/`, by name, where a public source shows it.
    transformer: dict[str, Annotated[str, Field(pattern=_SHA256)]] = Field(default_factory=dict)
    source: Text


class Catalogue(FileModel):
    """The whole file."""

    bases: list[BaseModelTable]
    releases: list[Release]

    def base(self, identity: str) -> BaseModelTable | None:
        """Return a base model by its id, whatever the letters' case."""
        return next((base for base in self.bases if base.id.lower() == identity.lower()), None)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue. Raises CaseFileError for mistakes in its file."""
    raw = read_toml(FILE)
    if isinstance(raw, Mistake):
        raise CaseFileError([raw])
    found = check_shape(Catalogue, raw, FILE)
    if isinstance(found, list):
        raise CaseFileError(found)
    return found


class Evidence(StrEnum):
    """By what a file was recognised. A name is a hint: anybody can give a file any name."""

    HASH = "its SHA-256"
    HUB = "its place on the hub"
    NAME = "its name, which is only a hint"


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """The release that a file is, or by its name seems to be."""

    release: Release
    file: ReleaseFile
    by: Evidence
    #: by its name it is this release, and its SHA-256 is another than the release's.
    other_bytes: bool = False

    @property
    def certain(self) -> bool:
        """True where the bytes, or the place on the hub, say so."""
        return self.by is not Evidence.NAME

    @property
    def title(self) -> str:
        """Name and copy of the release: `Qwen-Image-Lightning-4steps-V1.0 (bf16)`."""
        return f"{self.release.name} ({self.file.dtype})" if self.file.dtype else self.release.name

    def as_dict(self) -> dict[str, object]:
        """Return the record for `--json`."""
        return {
            "by": self.by.name.lower(),
            "certain": self.certain,
            "other_bytes": self.other_bytes,
            "file": self.file.model_dump(mode="json"),
            **self.release.model_dump(mode="json", exclude={"files"}),
        }


def recognise(*, sha256: str, source: str) -> Recognised | None:
    """Return the release that a file is: by its SHA-256, else by its place on the hub, else by its file name.

    `source` is a path, which may lie in the Hugging Face cache, or `repo::file`.
    """
    pairs = list(_files(catalogue()))
    if cached := _CACHED.search(source):
        source = f"{cached[1]}/{cached[2]}::{cached[3]}"
    for release, file in pairs:
        if file.sha256 == sha256:
            return Recognised(release=release, file=file, by=Evidence.HASH)
    for release, file in pairs:
        if source == f"{release.repository}::{file.file}":
            return _named(release, file, Evidence.HUB, sha256)
    name = _bare(source.rpartition("::")[2])
    # what many repositories call their file names none of them
    named = [(release, file) for release, file in pairs if _bare(file.file) == name != "pytorch_lora_weights"]
    return _named(*named[0], Evidence.NAME, sha256) if named else None


def _named(release: Release, file: ReleaseFile, by: Evidence, sha256: str) -> Recognised:
    """Return the release of a name; a name is a hint where the bytes are known to be others."""
    if file.sha256 is None or not sha256:
        return Recognised(release=release, file=file, by=by)
    return Recognised(release=release, file=file, by=Evidence.NAME, other_bytes=True)


def _files(known: Catalogue) -> Iterator[tuple[Release, ReleaseFile]]:
    yield from ((release, file) for release in known.releases for file in release.files)


def _bare(path: str) -> str:
    """Return a file's name without folder, ending and the mark of a copy, in lower case."""
    return _COPY.sub("", PurePosixPath(path.replace("\\", "/")).name.removesuffix(".safetensors")).lower()


def hinted_words(source: str, metadata: Mapping[str, str]) -> str:
    """Return the file's bare name and what its metadata says of the base: words in which to look for hints."""
    told = (metadata[key] for key in _TELLING if key in metadata)
    return " ".join((_bare(source.rpartition("::")[2]), *(value[:200].lower() for value in told)))


#: keys of safetensors metadata by which trainers name the base model.
_TELLING = ("modelspec.architecture", "modelspec.title", "ss_base_model_version", "ss_sd_model_name", "base_model")
