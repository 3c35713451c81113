"""The findings of an inspection: errors keep a LoRA file from being used, warnings are only unusual."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qiltest.lora.blocks import split_name
from qiltest.lora.keys import REMOVED, ignored_by_diffusers
from qiltest.lora.report import LoraFinding, LoraReport, Severity
from qiltest.text.escape import one_line
from qiltest.text.format import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qiltest.lora.bases import Base

_SHOWN = 5
#: code of the finding that a LoRA covers a module in some blocks and not in others, or is zero there.
LEFT_OUT = "left-out"


def find(report: LoraReport, base: Base) -> tuple[LoraFinding, ...]:
    """Return all findings, errors first; of a file that is no LoRA of the base, why it is none."""
    if report.kind is not None:
        return (LoraFinding(severity=Severity.ERROR, code="kind", text=report.kind),)
    errors = (LoraFinding(severity=Severity.ERROR, code=code, text=text) for code, text in _errors(report, base))
    warnings = (*_tensor_warnings(report), *_scale_warnings(report), *_module_warnings(report, base))
    return (*errors, *(LoraFinding(severity=Severity.WARNING, code=code, text=text) for code, text in warnings))


def _errors(report: LoraReport, base: Base) -> Iterator[tuple[str, str]]:
    if not report.modules and not report.unknown_keys:
        yield "empty", "the file has no LoRA tensors"
    for code, names, noun, what in (
        ("unknown-keys", report.unknown_keys, "key", f"with no match in {base.name}"),
        ("missing-keys", report.missing_keys, "factor", "missing"),
        ("wrong-shapes", report.wrong_shapes, "module", f"with another shape than in {base.name}"),
        ("non-finite", report.non_finite, "tensor", "with NaN or infinite values"),
    ):
        if names:
            yield code, f"{count(len(names), noun)} {what}: {_some(names)}"
    yield from _prefix_errors(report)
    if report.config_fault is not None and report.modules:
        yield "metadata", f"{report.config_fault}: diffusers does not load it; correct the metadata or remove it"
    if report.modules and not any(module.norm != 0 for module in report.modules):
        yield "no-effect", "no effect: the delta of every module is zero"
    if report.left_out and not report.wrong_shapes:  # a file of another base leaves out nothing
        yield LEFT_OUT, _left_out(report, base)
    if report.silenced:
        yield LEFT_OUT, _silenced(report, base)


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return one_line(", ".join(names[:_SHOWN])) + more


def _prefix_errors(report: LoraReport) -> Iterator[tuple[str, str]]:
    prefixes = set(report.prefixes)
    if len(prefixes) > 1 and not prefixes <= REMOVED:
        shown = ", ".join(prefix.shown for prefix in report.prefixes)
        yield "prefix", f"keys have several prefixes ({shown}): a loader takes one of them and ignores the rest"
        return
    for prefix in sorted(prefixes)[-1:]:
        why = ignored_by_diffusers(prefix, report.naming, has_alpha=report.has_alpha, has_default=report.has_default)
        if why is not None and report.modules:
            yield "prefix", f"diffusers would not apply it: {why}"


def _left_out(report: LoraReport, base: Base) -> str:
    blocks = {split_name(name)[0] for name in report.left_out}
    whole = _numbers(blocks - {split_name(module.name)[0] for module in report.modules})
    head = f"{count(len(blocks), 'block')} without modules that others have"
    if whole:
        head = f"{len(whole)} of {base.num_layers} blocks left out ({_ranges(whole)})"
    return f"{head}: {_some(report.left_out)}"


def _silenced(report: LoraReport, base: Base) -> str:
    silent = set(report.silenced)
    unlisted = silent | base.unused
    active = {split_name(m.name)[0] for m in report.modules if m.norm != 0 and m.name not in unlisted}
    whole = _numbers({split_name(name)[0] for name in silent} - active)
    head = f"{len(whole)} of {base.num_layers} blocks without effect ({_ranges(whole)}), unlike the others"
    if not whole:
        head = f"{count(len(silent), 'module')} without effect, unlike the same modules of other blocks"
    return f"{head}: {_some(report.silenced)}"


def _numbers(blocks: set[int | None]) -> list[int]:
    return sorted(block for block in blocks if block is not None)


def _ranges(numbers: Sequence[int]) -> str:
    """`[0, 1, 2, 5]` as `0-2, 5`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _tensor_warnings(report: LoraReport) -> Iterator[tuple[str, str]]:
    if report.text_encoder_keys:
        names = report.text_encoder_keys
        what = f"{count(len(names), 'tensor')} of a text encoder"
        yield "text-encoder", f"{what}, which diffusers leaves out for Qwen-Image: {_some(names)}"
    small = sorted(dtype for dtype in report.dtypes if dtype.startswith("F8"))
    if small:
        what = f"factors in 8-bit floats ({', '.join(small)})"
        yield "dtype", f"{what}, coarser than trained: a release in bfloat16 generates different images"


def _scale_warnings(report: LoraReport) -> Iterator[tuple[str, str]]:
    if len(report.ranks) > 1:
        yield "ranks", f"ranks differ between modules: {_some(list(map(str, report.ranks)))}"
    if not all(map(math.isfinite, report.scales)):
        return  # an error says so
    if len(report.scales) > 1:
        yield "scales", f"alpha / rank differs between modules: {_some([f'{scale:g}' for scale in report.scales])}"
    elif report.scales and report.scales[0] != 1:
        yield "scale", f"alpha / rank is {report.scales[0]:g}: a loader that ignores alpha generates different images"
    if None in report.alphas and len(report.alphas) > 1:
        yield "alphas", "some modules have no alpha (diffusers takes their rank instead)"


def _module_warnings(report: LoraReport, base: Base) -> Iterator[tuple[str, str]]:
    told = {*base.unused, *report.silenced}
    zero = [name for name in report.zero_modules if name not in told]
    if zero and len(report.zero_modules) < len(report.modules):
        yield "zero-modules", f"{count(len(zero), 'module')} without effect: {_some(zero)}"
    far = [name for block in report.blocks for name in block.outliers]
    if far:
        yield "outliers", f"{count(len(far), 'outlier')} in strength, compared with other blocks: {_some(far)}"
