"""Inspect a LoRA file: read the header, pair the tensors, compare them with a base, measure, and list findings."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from qiltest.hashing import file_sha256
from qiltest.lora.bases import qwen_image
from qiltest.lora.blocks import block_norms, left_out, silenced
from qiltest.lora.contents import Contents, contents_of
from qiltest.lora.deltas import FactorPair, Measured, measure
from qiltest.lora.findings import find
from qiltest.lora.keys import Key, Naming
from qiltest.lora.report import LoraReport
from qiltest.lora.safetensors_file import SafetensorsFile, open_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from qiltest.lora.bases import Base
    from qiltest.suite.variants import Variant


def inspect_lora(
    path: Path, *, base: Base | None = None, known: Iterable[Base] = (), variants: Iterable[Variant] = ()
) -> LoraReport:
    """Inspect a LoRA file against `base`, or the best fit of the `known` bases, or Qwen-Image.

    Values are read one module at a time: memory is that of the header and the largest pair of factors. Raises
    RecipeError where the file is not a whole safetensors file.
    """
    file = open_safetensors(path)
    candidates = dict.fromkeys((*(() if base is None else (base,)), *known)) or {qwen_image(): None}
    contents = {candidate: contents_of(file, candidate) for candidate in candidates}
    chosen = base or max(contents, key=lambda candidate: _matches(contents[candidate], candidate))
    found = contents[chosen]
    measured = [measure(pair, file, factor=found.factor(pair.module)) for pair in found.pairs]
    report = _report(file, chosen, found, measured)
    fits = tuple(name for candidate, each in contents.items() for name in _fits(each, candidate))
    report = replace(report, fits=fits, variants=_named(report.sha256, variants))
    return replace(report, findings=find(report, chosen))


def _report(file: SafetensorsFile, base: Base, contents: Contents, measured: Sequence[Measured]) -> LoraReport:
    """Return the report without what other bases, variants and the findings add."""
    modules = tuple(item.delta for item in measured)
    return LoraReport(
        path=file.path,
        bytes=file.size,
        sha256=file_sha256(file.path),
        base=base.name,
        naming=_naming(contents.keys),
        prefixes=tuple(dict.fromkeys(key.prefix for key in contents.keys)),
        dtypes=dict(Counter(info.dtype for info in file.tensors.values())),
        metadata=file.metadata,
        modules=modules,
        base_modules=len(base.modules),
        kind=contents.kind,
        text_encoder_keys=contents.encoder,
        config_fault=contents.config_fault,
        has_alpha=contents.has_alpha,
        has_default=contents.has_default,
        unknown_keys=contents.unknown,
        missing_keys=contents.missing,
        wrong_shapes=tuple(_shape_fault(pair, base) for pair in contents.pairs if not _takes(base, pair)),
        non_finite=tuple(name for item in measured for name in item.non_finite),
        zero_modules=tuple(module.name for module in modules if module.norm == 0),
        blocks=block_norms(modules),
        left_out=left_out(modules, base),
        silenced=silenced(modules, base),
    )


def _matches(contents: Contents, base: Base) -> tuple[int, int]:
    """Count the modules of a file that match a base in name and shape, then in name."""
    return sum(_takes(base, pair) for pair in contents.pairs), len(contents.pairs)


def _fits(contents: Contents, base: Base) -> tuple[str, ...]:
    """Return the base's names where it takes every tensor."""
    whole = contents.pairs and not (contents.kind or contents.unknown or contents.missing)
    return (base.name, *base.also) if whole and all(_takes(base, pair) for pair in contents.pairs) else ()


def _takes(base: Base, pair: FactorPair) -> bool:
    return base.modules.get(pair.module) == pair.delta_shape


def _shape_fault(pair: FactorPair, base: Base) -> str:
    return f"{pair.module}: {list(pair.delta_shape)} in the file, {list(base.modules[pair.module])} in the base"


def _naming(keys: Sequence[Key]) -> Naming:
    found = {key.naming for key in keys if key.naming is not None}
    if not found:
        return Naming.NEITHER
    return found.pop() if len(found) == 1 else Naming.MIXED


def _named(sha256: str, variants: Iterable[Variant]) -> tuple[str, ...]:
    return tuple(
        variant.name for variant in variants if any(lora.sha256 == sha256 for _, lora in variant.loras if lora.sha256)
    )
