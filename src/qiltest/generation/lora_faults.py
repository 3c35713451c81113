"""What LoRA files no variant is generated with, whoever generates. Needs no torch."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from qiltest.errors import RecipeError
from qiltest.lora.findings import LEFT_OUT
from qiltest.lora.releases import refuse_other_release
from qiltest.lora.report import Severity

if TYPE_CHECKING:
    from pathlib import Path

    from qiltest.lora.report import LoraReport
    from qiltest.suite.variants import LoraSource, Variant


def inspect_command(path: Path, base: str, like: str | None = None) -> str:
    """Return the command that inspects a file for a model, as its `--base`, and beside the variant `like`."""
    return shlex.join(["qiltest", "lora", str(path), "--base", base, *([] if like is None else ["--like", like])])


def check_inspection(report: LoraReport, *, base: str, allow_partial: bool) -> None:
    """Raise RecipeError where the inspection refuses a file; `allow_partial` allows one that leaves out blocks.

    `base` is what `qiltest lora --base` takes for the model.
    """
    faults = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    faults = [finding for finding in faults if not (allow_partial and finding.code == LEFT_OUT)]
    if faults:
        raise RecipeError(
            "; ".join(finding.text for finding in faults),
            where=str(report.path),
            remedy=f"inspect the file with `{inspect_command(report.path, base)}`",
        )


def check_hash(sha256: str, lora: LoraSource, variant: Variant, base: str | None) -> None:
    """Raise RecipeError where a file's SHA-256 is not the one that the variant names, or another release's.

    `base` is the model's base; None: unknown.
    """
    if lora.sha256 is not None and lora.sha256.lower() != sha256:
        raise RecipeError(
            f"the file's SHA-256 is {sha256}, variant {variant.name} names {lora.sha256}",
            where=lora.source,
            remedy="the file is another release of the same name; replace it, or correct the hash in variants.toml",
        )
    refuse_other_release(sha256=sha256, source=lora.source, like=variant, base=base)
