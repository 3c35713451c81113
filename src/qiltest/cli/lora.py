"""`qiltest lora`: inspects a LoRA file and checks that it fits a base model; needs no GPU and no base weights."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.text import Text

from qiltest.cli.common import AddParser, cases_flag, console, json_flag, print_json
from qiltest.errors import DeviceError, RecipeError
from qiltest.generation.sources import (
    TINY,
    embedded_of,
    embedded_source,
    is_embedded,
    kind_of,
    known_bases,
    open_base,
    resolve_lora,
)
from qiltest.lora import Base, LoraFinding, LoraReport, Severity, inspect_lora
from qiltest.lora.catalogue import Recognised, Task, recognise
from qiltest.lora.likeness import Likeness, compare
from qiltest.lora.owners import owner_of
from qiltest.lora.releases import release_findings
from qiltest.lora.safetensors_file import BrokenFileError, lora_sha256
from qiltest.release.candidate import pinned, wrong_variant
from qiltest.suite.load import VARIANTS_FILE, load_variants, unknown
from qiltest.suite.variants import ModelKind, Variant
from qiltest.text.escape import one_line

_MARKS = {Severity.ERROR: ("ERROR", "bold red"), Severity.WARNING: ("note", "yellow")}
#: blocks per row.
_BLOCKS = 5
#: numbers of one kind, and entries of the metadata, that are shown; `--json` has all of them.
_NUMBERS, _ENTRIES = 8, 40


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest lora`."""
    parser = add(
        description="Shows format, rank, strength and modules of a LoRA file. Exit code 0: it fits the base (and may "
        "replace the release of --like); 1: it does not, or is broken; 2: wrong usage, or no such file.",
        parents=[cases_flag("folder of variants.toml (default: cases)"), json_flag()],
    )
    parser.add_argument("file", metavar="FILE", help="a .safetensors file, embedded::NAME, or repo::file in the cache")
    parser.add_argument(
        "--base",
        metavar="BASE",
        help="qwen-image, qwen-image-2.1, tiny, tiny-edit, or a folder in diffusers layout (default: the best fit)",
    )
    parser.add_argument("--like", metavar="VARIANT|FILE", help="compare strength and direction with this release")
    parser.set_defaults(handler=run_lora)


def run_lora(args: argparse.Namespace) -> int:
    """Inspect a file and print the result. Returns 0 where it fits, else 1; raises RecipeError."""
    variants = _variants(args.cases)
    embedded = _embedded_like(args.like, variants)
    path = _find(args.file, args.base or embedded or TINY)
    base = open_base(args.base) if args.base else None
    # of the embedded models, the one that the file is to replace a LoRA of
    known = [each for each in known_bases() if not (embedded and is_embedded(each.name)) or each.name == embedded]
    try:
        inspected = inspect_lora(path, base=base, known=known, variants=variants)
    except BrokenFileError as error:
        return _broken(path, error, json=args.json)
    chosen = base or next(each for each in known if each.name == inspected.base)
    report = _as_like(inspected, args.file, chosen, args.like, variants)
    is_other = any(finding.code in ("other-release", "other-model") for finding in report.findings)
    likeness = _compare(report, chosen, args.like, variants) if args.like and report.sha256 and not is_other else None
    release = recognise(sha256=report.sha256, source=args.file)
    passes = report.passes and not (likeness and likeness.errors)
    if args.json:
        record = report.as_dict() | {"release": release.as_dict() if release else None}
        print_json(record | ({"like": likeness.as_dict()} if likeness else {}))
    else:
        _show(report, likeness, release)
        # a file that fits its base may still be no replacement
        refused = f"cannot replace {args.like}" if inspected.passes else f"does not fit {report.base}"
        verdict = f"fits {report.base}" if passes else one_line(refused)
        console().print(Text(verdict, "green" if passes else "red"), soft_wrap=True)
    return 0 if passes else 1


def _broken(path: Path, error: BrokenFileError, *, json: bool) -> int:
    """Print why a file is not a whole safetensors file, and return the exit code."""
    finding = LoraFinding(severity=Severity.ERROR, code="broken", text=error.what)
    if json:
        print_json({"path": str(path), "passes": False, "findings": [asdict(finding)]})
    else:
        console().print(_finding(finding), soft_wrap=True)
        console().print(Text(one_line(f"{path}: {error.remedy}"), "red"), soft_wrap=True)
    return error.exit_code


def _as_like(report: LoraReport, file: str, base: Base, like: str | None, variants: tuple[Variant, ...]) -> LoraReport:
    """Add to the report what the catalogue says, and an error where the file belongs to another variant than `like`."""
    wanted = next((variant for variant in variants if variant.name == like), None)
    found = release_findings(report, file, base, like=wanted)
    if wanted is not None and not any(finding.severity is Severity.ERROR for finding in found):
        other = wrong_variant(report, wanted, variants)
        found = (*(LoraFinding(severity=Severity.ERROR, code="other-variant", text=text) for text in other), *found)
    return replace(report, findings=tuple(sorted((*found, *report.findings), key=lambda one: one.severity)))


def _find(text: str, base: str) -> Path:
    """Find a file; `embedded::NAME` is beside the embedded model that is `base`, else beside `tiny`."""
    return resolve_lora(text, model=embedded_source(base if is_embedded(base) else TINY))


def _embedded_like(like: str | None, variants: tuple[Variant, ...]) -> str | None:
    """Return the embedded model of the variant or LoRA file that a file is to replace; None where it is of none."""
    if like is not None and Path(like).is_file():
        return _embedded_owner(Path(like))
    wanted = next((variant for variant in variants if variant.name == like), None)
    return None if wanted is None or wanted.lora(ModelKind.TINY) is None else embedded_of(wanted).name


def _embedded_owner(file: Path) -> str | None:
    """Return the embedded model that a file is known to be a LoRA of; None for another file, and for a broken one."""
    try:
        report = inspect_lora(file, known=known_bases())
    except (BrokenFileError, RecipeError):  # told where the two are compared
        return None
    if not is_embedded(report.base):
        return None
    owner = owner_of(file, report.sha256, open_base(report.base))
    return None if owner is None else owner.model


def _variants(folder: Path) -> tuple[Variant, ...]:
    """Return the variants of a folder, with the hashes of embedded LoRAs; none where it has no variants.toml."""
    file = folder / VARIANTS_FILE
    return tuple(pinned(variant, embedded_of(variant)) for variant in load_variants(file)) if file.is_file() else ()


def _compare(report: LoraReport, base: Base, like: str, variants: tuple[Variant, ...]) -> Likeness | None:
    try:
        reference = _reference(report, like, variants)
    except (DeviceError, RecipeError):
        # what is wrong with the file itself comes first: of a base that it does not fit no LoRA need be here
        if report.passes:
            raise
        return None
    sha256 = lora_sha256(reference)
    owner = owner_of(reference, sha256, base)
    if owner is not None and (fault := owner.fault(base)) and report.passes:
        remedy = f"compare with a LoRA that was trained on {base.name}"
        raise RecipeError(fault, where=str(reference), remedy=remedy)
    return compare(report.path, reference, base, reference_sha256=sha256)


def _reference(report: LoraReport, like: str, variants: tuple[Variant, ...]) -> Path:
    if "::" in like or Path(like).is_file():
        return _find(like, report.base)
    variant = next((variant for variant in variants if variant.name == like), None)
    if variant is None:
        raise unknown("variant or LoRA file", like, [variant.name for variant in variants])
    lora = variant.lora(kind_of(report.base))
    if lora is None:
        raise RecipeError(
            f"variant {like} has no LoRA for {report.base}", remedy="name a variant for this base, or a file"
        )
    return resolve_lora(lora.source, model=embedded_of(variant))


def _show(report: LoraReport, likeness: Likeness | None, release: Recognised | None) -> None:
    out = console()
    facts = (*_facts(report), *_release_facts(release), *(_likeness_facts(likeness) if likeness else ()))
    for name, value in facts:
        out.print(Text.assemble((f"{one_line(name):<15}  ", "bold"), one_line(value)), soft_wrap=True)
    for line in _block_lines(report):
        out.print(Text(one_line(line)), soft_wrap=True)
    for finding in (*report.findings, *(likeness.findings if likeness else ())):
        out.print(_finding(finding), soft_wrap=True)


def _finding(finding: LoraFinding) -> Text:
    mark, style = _MARKS[finding.severity]
    return Text.assemble((f"{mark}  ", style), one_line(finding.text))


def _facts(report: LoraReport) -> list[tuple[str, str]]:
    prefixes = ", ".join(prefix.shown for prefix in report.prefixes) or "-"
    return [
        ("file", f"{report.path} ({report.bytes:,} bytes)"),
        ("sha256", report.sha256 or "not computed: the file is refused for its size"),
        ("variant", ", ".join(report.variants) or "unknown file: its hash matches no variant"),
        ("format", f"{report.naming}, prefix {prefixes}"),
        ("dtype", ", ".join(f"{dtype} x {count}" for dtype, count in report.dtypes.items())),
        ("rank", _numbers(report.ranks)),
        ("alpha", _numbers(report.alphas)),
        ("effective scale", _numbers(report.scales)),
        ("modules", f"{len(report.modules)} of {report.base_modules} in {report.base}"),
        ("fits", ", ".join(report.fits) or "no known base"),
        *_metadata(report.metadata),
    ]


def _metadata(metadata: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in sorted(metadata.items())[:_ENTRIES]:
        yield f"metadata {key}", value[:200]
    if len(metadata) > _ENTRIES:
        yield "metadata", f"and {len(metadata) - _ENTRIES} more entries (--json has all)"


def _release_facts(found: Recognised | None) -> list[tuple[str, str]]:
    """Return what the file is by the catalogue, and what it is not made for."""
    if found is None:
        return [("release", "none that the catalogue knows by SHA-256 or name")]
    release = found.release
    recipe = f"CFG {release.true_cfg_scale:g}, scheduler {release.scheduler}"
    others = [task for task in Task if task not in release.tasks]
    return [
        ("release", f"{found.title}, by {found.by}"),
        ("made for", f"{release.purpose}, {recipe}" + (f" ({release.notes})" if release.notes else "")),
        ("not for", f"{', '.join((*others, f'any base but {release.base_model}'))}, or another number of steps"),
        ("source", f"{release.repository}; {release.source}"),
    ]


def _numbers(values: Sequence[float | None]) -> str:
    shown = ", ".join("none" if value is None else f"{value:g}" for value in values[:_NUMBERS]) or "-"
    return f"{shown}, and {len(values) - _NUMBERS} more" if len(values) > _NUMBERS else shown


def _likeness_facts(likeness: Likeness) -> list[tuple[str, str]]:
    if not math.isfinite(likeness.strength):
        return [("compared with", likeness.path)]
    return [
        ("compared with", likeness.path),
        ("strength", f"{likeness.strength:.4g} times"),
        ("cosine", f"{likeness.cosine:.4f}"),
        ("difference", f"{likeness.difference:.2%} of its norm"),
    ]


def _block_lines(report: LoraReport) -> list[str]:
    """Return the norm of the delta per block, six per line; a star marks a block with an outlier."""
    cells = [
        f"{'-' if block.block is None else block.block:>3} {_norm(block.norm)}{'*' if block.outliers else ' '}"
        for block in report.blocks
        if any(math.isfinite(module.norm) for module in report.modules)
    ]
    rows = ["  ".join(cells[start : start + _BLOCKS]) for start in range(0, len(cells), _BLOCKS)]
    return ["norm of the delta per block (* outlier)", *rows] if rows else []


def _norm(value: float) -> str:
    return f"{value:8.3g}" if math.isfinite(value) else "     nan"
