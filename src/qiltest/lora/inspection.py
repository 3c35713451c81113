"""Inspect a LoRA file: read the header, pair the tensors, hold them against a base, measure, and say what is wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qiltest.hashing import file_sha256
from qiltest.lora.bases import known_bases
from qiltest.lora.blocks import block_norms, left_out, silenced
from qiltest.lora.deltas import Measured, Pair, measure, metadata_scale, pair_up
from qiltest.lora.findings import find
from qiltest.lora.keys import Key, Naming, parse_key
from qiltest.lora.report import LoraReport
from qiltest.lora.safetensors_file import SafetensorsFile, open_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from qiltest.lora.bases import Base
    from qiltest.suite.variants import Variant


def inspect_lora(path: Path, *, base: Base | None = None, variants: Iterable[Variant] = ()) -> LoraReport:
    """Say what is in a LoRA file and whether it fits `base` (None: the known base that it fits best).

    Reads the file once for its SHA-256 and once for its values, one module at a time: memory is that of the header
    and of the largest pair of factors. Raises RecipeError where the file is not a whole safetensors file.
    """
    file = open_safetensors(path)
    candidates = known_bases() if base is None else (base, *(other for other in known_bases() if other != base))
    chosen = base or max(candidates, key=lambda candidate: _matches(file, candidate))
    keys, unknown = _parse(file, chosen)
    pairs, missing, useless = pair_up(keys, file)
    strangers = [pair for pair in pairs if pair.module not in chosen.modules]
    pairs = [pair for pair in pairs if pair.module in chosen.modules]
    unknown += useless + [raw for pair in strangers for raw in (pair.down.name, pair.up.name)]
    wrong = [_shape_fault(pair, chosen) for pair in pairs if pair.delta_shape != chosen.modules[pair.module]]
    factor = metadata_scale(file.metadata)
    measured = [measure(pair, file, factor=factor) for pair in pairs]
    return _report(file, chosen, keys, unknown, missing, wrong, measured, _fits(file, candidates), variants)


def _report(
    file: SafetensorsFile,
    base: Base,
    keys: Sequence[Key],
    unknown: Sequence[str],
    missing: Sequence[str],
    wrong: Sequence[str],
    measured: Sequence[Measured],
    fits: tuple[str, ...],
    variants: Iterable[Variant],
) -> LoraReport:
    modules = tuple(item.delta for item in measured)
    sha256 = file_sha256(file.path)
    facts = {
        "path": file.path, "bytes": file.size, "sha256": sha256, "base": base.name, "fits": fits,
        "variants": _named(sha256, variants), "naming": _naming(keys),
        "prefixes": tuple(dict.fromkeys(key.prefix for key in keys)),
        "dtypes": dict(Counter(info.dtype for info in file.tensors.values())), "metadata": file.metadata,
        "modules": modules, "base_modules": len(base.modules), "unknown_keys": tuple(unknown),
        "missing_keys": tuple(missing), "wrong_shapes": tuple(wrong),
        "non_finite": tuple(name for item in measured for name in item.non_finite),
        "zero_modules": tuple(module.name for module in modules if module.norm == 0),
        "blocks": block_norms(modules), "left_out": left_out(modules, base),
        "silenced": silenced(modules, base),
    }  # fmt: skip
    return LoraReport(**facts, findings=find(LoraReport(**facts, findings=()), base))  # type: ignore[arg-type]


def _parse(file: SafetensorsFile, base: Base) -> tuple[list[Key], list[str]]:
    parsed = {raw: parse_key(raw, base) for raw in file.tensors}
    return [key for key in parsed.values() if key], [raw for raw, key in parsed.items() if key is None]


def _matches(file: SafetensorsFile, base: Base) -> tuple[int, int]:
    """How well a base takes a file: modules of the right shape, then modules of the right name."""
    pairs, _, _ = pair_up(_parse(file, base)[0], file)
    shapes = sum(base.modules.get(pair.module) == pair.delta_shape for pair in pairs)
    return shapes, sum(pair.module in base.modules for pair in pairs)


def _fits(file: SafetensorsFile, bases: Iterable[Base]) -> tuple[str, ...]:
    fitting: list[str] = []
    for base in bases:
        keys, unknown = _parse(file, base)
        pairs, missing, useless = pair_up(keys, file)
        if pairs and not (unknown or missing or useless) and all(_takes(base, pair) for pair in pairs):
            fitting += [base.name, *base.also]
    return tuple(fitting)


def _takes(base: Base, pair: Pair) -> bool:
    return base.modules.get(pair.module) == pair.delta_shape


def _shape_fault(pair: Pair, base: Base) -> str:
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
