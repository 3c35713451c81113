"""From the facts of a LoRA file to findings: what keeps it from being used, and what is only unusual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiltest.lora.blocks import split_name
from qiltest.lora.keys import ignored_by_diffusers
from qiltest.lora.report import LoraFinding, LoraReport, Severity
from qiltest.text.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qiltest.lora.bases import Base

_SHOWN = 5
#: code of the finding that a LoRA covers a module in some blocks and not in others, or is zero there.
LEFT_OUT = "left-out"


def find(report: LoraReport, base: Base) -> tuple[LoraFinding, ...]:
    """Return all findings, errors first."""
    errors = [LoraFinding(severity=Severity.ERROR, code=code, text=text) for code, text in _errors(report, base)]
    warnings = [LoraFinding(severity=Severity.WARNING, code=code, text=text) for code, text in _warnings(report, base)]
    return tuple(errors + warnings)


def _errors(report: LoraReport, base: Base) -> Iterator[tuple[str, str]]:
    if not report.modules and not report.unknown_keys:
        yield "empty", "there is no LoRA tensor in the file"
    yield from _unless_empty("unknown-keys", report.unknown_keys, "keys that no module of {base} takes", base)
    yield from _unless_empty("missing-keys", report.missing_keys, "factors without their partner", base)
    yield from _unless_empty("wrong-shapes", report.wrong_shapes, "modules of another shape than {base}'s", base)
    yield from _unless_empty("non-finite", report.non_finite, "tensors with NaN or infinite values", base)
    yield from _prefix_errors(report)
    if report.modules and not any(module.norm != 0 for module in report.modules):
        yield "no-effect", "no effect: the delta of every module is zero"
    if report.left_out and not report.wrong_shapes:  # a file of another base leaves out nothing
        yield LEFT_OUT, _left_out(report, base)
    if report.silenced:
        yield LEFT_OUT, _silenced(report, base)


def _unless_empty(code: str, names: Sequence[str], what: str, base: Base) -> Iterator[tuple[str, str]]:
    if names:
        yield code, f"{len(names)} {what.format(base=base.name)}: {_some(names)}"


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return one_line(", ".join(names[:_SHOWN])) + more


def _prefix_errors(report: LoraReport) -> Iterator[tuple[str, str]]:
    if len(report.prefixes) > 1:
        shown = ", ".join(prefix.shown for prefix in report.prefixes)
        yield "prefix", f"keys begin in several ways ({shown}): a loader takes one of them and ignores the rest"
        return
    for prefix in report.prefixes:
        has_alpha = any(module.alpha is not None for module in report.modules)
        why = ignored_by_diffusers(prefix, report.naming, has_alpha=has_alpha)
        if why is not None and report.modules:
            yield "prefix", f"diffusers would not apply it: {why}"


def _left_out(report: LoraReport, base: Base) -> str:
    blocks = {split_name(name)[0] for name in report.left_out}
    covered = {split_name(module.name)[0] for module in report.modules}
    whole = sorted(block for block in blocks - covered if block is not None)
    if whole:
        head = f"{len(whole)} of {base.num_layers} blocks are left out ({_ranges(whole)})"
    else:
        head = f"{len(blocks)} blocks lack modules that other blocks have"
    return f"{head}: {_some(report.left_out)}"


def _silenced(report: LoraReport, base: Base) -> str:
    silent = set(report.silenced)
    blocks = {split_name(name)[0] for name in silent}
    heard = {
        split_name(module.name)[0]
        for module in report.modules
        if module.norm != 0 and module.name not in silent | base.unused
    }
    whole = sorted(block for block in blocks - heard if block is not None)
    if whole:
        head = f"{len(whole)} of {base.num_layers} blocks have no effect ({_ranges(whole)}), the others have"
    else:
        head = f"{len(silent)} modules have no effect that have one in other blocks"
    return f"{head}: {_some(report.silenced)}"


def _ranges(numbers: Sequence[int]) -> str:
    """`[0, 1, 2, 5]` as `0-2, 5`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _warnings(report: LoraReport, base: Base) -> Iterator[tuple[str, str]]:
    if len(report.ranks) > 1:
        yield "ranks", f"ranks differ between modules: {', '.join(map(str, report.ranks))}"
    if len(report.scales) > 1:
        yield "scales", f"alpha / rank differs between modules: {', '.join(f'{scale:g}' for scale in report.scales)}"
    elif report.scales and report.scales[0] != 1:
        yield "scale", f"alpha / rank is {report.scales[0]:g}: a loader that ignores alpha generates other images"
    alphas = report.alphas
    if None in alphas and len(alphas) > 1:
        yield "alphas", "some modules have an alpha and some do not (those count as alpha = rank)"
    told = {*base.unused, *report.silenced}
    zero = [name for name in report.zero_modules if name not in told]
    if zero and len(report.zero_modules) < len(report.modules):
        yield "zero-modules", f"{len(zero)} modules have no effect: {_some(zero)}"
    far = [name for block in report.blocks for name in block.outliers]
    if far:
        yield "outliers", f"{len(far)} modules are far stronger or weaker than in other blocks: {_some(far)}"
