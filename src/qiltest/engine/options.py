"""The checked options of a session."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qiltest.generation.settings import Offload, Settings
from qiltest.generation.sources import base_of_model, is_embedded, kind_of
from qiltest.generation.tasks import tasks_of
from qiltest.recipe import Size
from qiltest.runs.records import Purpose
from qiltest.runs.store import Reuse
from qiltest.serving.settings import Server
from qiltest.suite.cases import TaskKind
from qiltest.suite.variants import CANDIDATE, ModelBase, ModelKind
from qiltest.text.format import at_strength

#: label of images made elsewhere whose maker nobody names.
UNNAMED = "unnamed"


class Update(StrEnum):
    """Which goldens a run may write (`--qil-update`)."""

    MISSING = "missing"
    CHANGED = "changed"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One candidate: a LoRA file at a strength, and the name of the variant that it becomes."""

    lora: str
    strength: float = 1.0
    name: str = CANDIDATE

    @property
    def label(self) -> str:
        """The file's name, with the strength where that is not 1."""
        return at_strength(Path(self.lora.rpartition("::")[2]).name, self.strength)


@dataclass(frozen=True, kw_only=True)
class ReleaseRequest:
    """The candidate LoRA files, one or several, and the variant that one of them should replace."""

    trials: tuple[Trial, ...]
    like: str
    #: largest rise of the character error rate that counts as not worse, 0 to 1.
    margin: float
    #: compare each size by itself: a sweep over resolutions.
    by_size: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin must be in [0, 1), got {self.margin}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The checked options of the command line."""

    model: str
    #: the base model that the model is, as `--qil-base` insists; None: recognised.
    base: str | None
    #: device of the generator; None lets it choose.
    device: str | None
    #: True if `-m` selects tests marked gpu.
    gpu: bool
    threads: int | None
    reader: str | None
    cases: tuple[str, ...]
    variants: tuple[str, ...]
    sizes: tuple[Size, ...]
    seed_count: int | None
    seeds: tuple[int, ...]
    update: Update | None
    #: the first digits of the SHA-256 of images that `update` may record; empty: of any.
    accept: tuple[str, ...] = ()
    reuse: Reuse
    #: merge LoRAs into the base's weights, or load them beside it; None: as the variant says.
    merge: bool | None
    #: compile the transformer's repeated blocks.
    compiled: bool
    offload: Offload
    #: store the transformer's weights in float8.
    fp8: bool
    allow_partial_lora: bool
    #: images that must be judged: a number, or "all" that the other options select; None: what pytest selects.
    expect: int | str | None
    #: timed denoise loops per image; None adapts to loop time (`qiltest.engine.loops.rounds_of`).
    rounds: int | None
    #: worker processes of this host (`--qil-workers`), `ALL` for as many as there are GPUs, or cores without one; None:
    #: this process generates.
    workers: int | str | None = None
    #: address of a Ray cluster whose nodes generate (`--qil-cluster`), "auto" for one that is up here; None: this host.
    cluster: str | None = None
    #: processes that read images (`--qil-readers`); None: one beside a GPU or workers, else this process.
    readers: int | None = None
    #: which part of how many (`--qil-shard`); None: all.
    shard: tuple[int, int] | None = None
    #: False (`--qil-report-latency`): a latency is reported and fails nothing.
    latency_gates: bool = True
    #: where the images are made instead of in this process; None: here.
    server: Server | None = None
    #: the candidate LoRA; None in a session that compares images with goldens.
    release: ReleaseRequest | None
    cases_folder: Path
    golden_folder: Path
    runs_folder: Path
    #: the folder of images made elsewhere (`--qil-images`); None: this session generates.
    images: Path | None = None
    #: True for one of two folders that are compared with one another, and not with goldens.
    paired: bool = False
    #: what made them (`--qil-images-from`): part of the name under which their goldens are kept.
    images_from: str = UNNAMED
    #: the options as given, for the command that accepts an image.
    given: tuple[str, ...]

    #: True for a session that only tries whether the same images come out again.
    again: bool = False

    @property
    def purpose(self) -> Purpose:
        """Why the images are generated."""
        if self.again:
            return Purpose.STABILITY
        return Purpose.SUITE if self.release is None and not self.paired else Purpose.CHECK

    @property
    def on_workers(self) -> bool:
        """True where workers generate, and not this process."""
        return self.workers is not None or self.cluster is not None

    def settings(self, on_step: Callable[[int, int], None] | None = None) -> Settings:
        """Return the settings of the generator. Raises DeviceError for those that exclude each other."""
        return Settings(
            device=self.device,
            base=self.base,
            threads=self.threads,
            merge=self.merge,
            compiled=self.compiled,
            offload=self.offload,
            fp8=self.fp8,
            allow_partial_lora=self.allow_partial_lora,
            on_step=on_step,
        )

    @property
    def is_tiny(self) -> bool:
        """True for an embedded model."""
        return is_embedded(self.model)

    @property
    def kind(self) -> ModelKind:
        """Which LoRAs and sizes the model uses."""
        return kind_of(self.model)

    @property
    def able(self) -> frozenset[TaskKind]:
        """The tasks that the model does: of the cases, others are selected only by name."""
        return tasks_of(self.model, None if self.base is None else self.model_base)

    @property
    def model_base(self) -> ModelBase:
        """Which base model the model is."""
        return base_of_model(self.model, insisted=self.base)


#: variables that CI services set, each to a value of its own. Not all of them set `CI`, and a job can unset that one.
CI_VARIABLES = (
    "CI",
    "AC_APPCIRCLE",
    "APPVEYOR",
    "BAMBOO_BUILDKEY",
    "bamboo_buildKey",
    "BITBUCKET_BUILD_NUMBER",
    "BITRISE_IO",
    "BUDDY_WORKSPACE_ID",
    "BUILDKITE",
    "CF_BUILD_ID",
    "CIRCLECI",
    "CIRRUS_CI",
    "CM_BUILD_ID",
    "CODEBUILD_BUILD_ID",
    "DRONE",
    "GERRIT_PROJECT",
    "GITEA_ACTIONS",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "GO_PIPELINE_LABEL",
    "HARNESS_BUILD_ID",
    "HUDSON_URL",
    "JENKINS_URL",
    "PROW_JOB_ID",
    "SCREWDRIVER",
    "SEMAPHORE",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
    "TASKCLUSTER_ROOT_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
    "VELA",
    "WOODPECKER_CI",
)


def ci_variable() -> str:
    """Return the variable that says that this is a CI machine, where goldens never change; "" for none.

    `CI=false` says nothing about the others: a service that sets its own variable is CI.
    """
    return next((name for name in CI_VARIABLES if os.environ.get(name, "").lower() not in {"", "0", "false"}), "")
