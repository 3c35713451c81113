"""Inspect a LoRA file: read the header, pair the tensors, compare them with a base, measure, and list findings."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from qiltest.hashing import known_sha256
from qiltest.lora import known as kept
from qiltest.lora.bases import qwen_image
from qiltest.lora.blocks import block_norms, left_out, silenced
from qiltest.lora.contents import Contents, contents_of, takes
from qiltest.lora.deltas import FactorPair, Measured, from_header, measure
from qiltest.lora.findings import find
from qiltest.lora.keys import Key, Naming
from qiltest.lora.owners import Owner, owner_of
from qiltest.lora.report import LoraFinding, LoraReport, Severity
from qiltest.lora.safetensors_file import (
    SIZE_LIMIT,
    BrokenFileError,
    SafetensorsFile,
    lora_sha256,
    open_safetensors,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from qiltest.lora.bases import Base
    from qiltest.suite.variants import Variant

#: modules that are measured at once, and most bytes of one's factors for that.
_AT_ONCE, _SMALL = 4, 16 << 20


def header_refuses(path: Path, base: Base) -> bool:
    """Return whether a file's header alone says that it is no LoRA of the base, so that nothing else need be read.

    Raises RecipeError where there is no file to read.
    """
    try:
        return not _fits(contents_of(open_safetensors(path), base), base)
    except BrokenFileError:
        return True


def inspect_lora(
    path: Path,
    *,
    base: Base | None = None,
    known: Iterable[Base] = (),
    variants: Iterable[Variant] = (),
    hashed: bool = True,
) -> LoraReport:
    """Inspect a LoRA file against `base`, or the best fit of the `known` bases, or Qwen-Image.

    Of bases with the same modules the best fit is the one that the file was trained on, where that is known; a file
    that was trained on another than `base` is refused (`qiltest.lora.owners`).
    The header decides what is read: nothing of a file that it refuses, or of a module with another shape than the
    base's. Values are read a module at a time, small ones in a few threads: memory is that of the header and a few
    pairs of factors. What was measured of a large file is kept (`qiltest.lora.known`). The file is hashed meanwhile;
    one above `SIZE_LIMIT` is refused, and not hashed (its `sha256` is empty), nor is any where `hashed` is False.
    Raises RecipeError where the file is not a whole safetensors file, or changes while it is read.
    """
    file = open_safetensors(path)
    candidates = dict.fromkeys((*(() if base is None else (base,)), *known)) or {qwen_image(): None}
    contents = {candidate: contents_of(file, candidate) for candidate in candidates}
    chosen = base or max(contents, key=lambda candidate: _matches(contents[candidate], candidate))
    found = contents[chosen]
    if file.size > SIZE_LIMIT and found.kind is None:
        found = replace(found, kind=f"{too_large(file.size)}: extract a LoRA of lower rank, or save it in bfloat16")
    measured, sha256 = _measured_and_hashed(file, chosen, found, hashed=hashed and file.size <= SIZE_LIMIT)
    fitting = [candidate for candidate, each in contents.items() if _fits(each, candidate)]
    knowing = {candidate.loras: candidate for candidate in fitting}.values()
    owner = next((owner for candidate in knowing if (owner := owner_of(path, sha256, candidate))), None)
    file.check_unchanged()
    if base is None and owner is not None:  # modules and shapes are the same, and so is what was measured
        chosen = next((candidate for candidate in fitting if candidate.name == owner.model), chosen)
    report = _report(file, chosen, found, measured, sha256)
    report = replace(report, fits=_names(fitting, owner), variants=_named(report.sha256, variants))
    of_models = _of_models(owner, chosen) if chosen in fitting and chosen.loras else ()
    return replace(report, findings=tuple(sorted((*of_models, *find(report, chosen)), key=lambda one: one.severity)))


def _measured_and_hashed(
    file: SafetensorsFile, base: Base, contents: Contents, *, hashed: bool
) -> tuple[Sequence[Measured], str]:
    """Return what is measured of each pair, and the file's SHA-256, "" unless `hashed`; from memory where it is known.

    Two that ask for the same large file at once have it measured once.
    """
    if contents.kind is not None or not kept.is_kept(file):
        return _measure_all(file, base, contents, hashed=hashed)
    key = kept.Key(path=file.path.resolve(), state=file.state, base=base)
    with kept.one_at_a_time(key):
        measured = kept.recall(key, known_sha256(file.path))
        if measured is not None:
            return measured, lora_sha256(file.path) if hashed else ""
        measured, sha256 = _measure_all(file, base, contents, hashed=hashed)
        kept.keep(key, measured, sha256)
    return measured, sha256


def _measure_all(
    file: SafetensorsFile, base: Base, contents: Contents, *, hashed: bool
) -> tuple[tuple[Measured, ...], str]:
    """Measure all pairs in a few threads, large ones one at a time, while the file is hashed."""
    turn = threading.Lock()

    def one(pair: FactorPair) -> Measured:
        small = pair.down.end - pair.down.start + pair.up.end - pair.up.start <= _SMALL
        with nullcontext() if small else turn:
            return _measured(pair, file, base, contents)

    with ThreadPoolExecutor(1) as hashing, ThreadPoolExecutor(_AT_ONCE) as pool:
        sha256 = hashing.submit(lora_sha256, file.path) if hashed else None
        measured = tuple(pool.map(one, contents.pairs))
    return measured, "" if sha256 is None else sha256.result()


def _measured(pair: FactorPair, file: SafetensorsFile, base: Base, contents: Contents) -> Measured:
    factor = contents.factor(pair.module)
    if contents.kind is not None or not takes(base, pair):
        return Measured(delta=from_header(pair, file, factor=factor), non_finite=())
    return measure(pair, file, factor=factor)


def _report(
    file: SafetensorsFile, base: Base, contents: Contents, measured: Sequence[Measured], sha256: str
) -> LoraReport:
    """Return the report without what other bases, variants and the findings add."""
    modules = tuple(item.delta for item in measured)
    return LoraReport(
        path=file.path,
        bytes=file.size,
        sha256=sha256,
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
        wrong_shapes=tuple(_shape_fault(pair, base) for pair in contents.pairs if not takes(base, pair)),
        non_finite=tuple(name for item in measured for name in item.non_finite),
        zero_modules=tuple(module.name for module in modules if module.norm == 0),
        blocks=block_norms(modules),
        left_out=left_out(modules, base),
        silenced=silenced(modules, base),
    )


def _matches(contents: Contents, base: Base) -> tuple[int, int]:
    """Count the modules of a file that match a base in name and shape, then in name."""
    return sum(takes(base, pair) for pair in contents.pairs), len(contents.pairs)


def _fits(contents: Contents, base: Base) -> bool:
    """Return whether a base takes every tensor."""
    whole = contents.pairs and not (contents.kind or contents.unknown or contents.missing)
    return bool(whole) and all(takes(base, pair) for pair in contents.pairs)


def _names(fitting: Iterable[Base], owner: Owner | None) -> tuple[str, ...]:
    """Return the names of bases that take a file; of those with the same modules the one that it was trained on."""
    names = ((base, name) for base in fitting for name in (base.name, *base.also))
    return tuple(dict.fromkeys(owner.model if owner is not None and base.loras else name for base, name in names))


def _of_models(owner: Owner | None, base: Base) -> Iterator[LoraFinding]:
    """Yield what speaks against a file that fits `base`, where other models have the same modules."""
    if owner is None:
        models = " and ".join(dict.fromkeys(lora.model for lora in base.loras))
        text = f"{models} have the same modules and shapes, and nothing tells which of them the file was trained on"
        yield LoraFinding(severity=Severity.WARNING, code="models", text=text)
    elif owner is not None and (fault := owner.fault(base)):
        yield LoraFinding(severity=Severity.ERROR, code="other-model", text=f"{fault}: {owner.remedy(base)}")


def _shape_fault(pair: FactorPair, base: Base) -> str:
    if base.modules[pair.module] == pair.delta_shape:
        return f"{pair.module}: rank {pair.down.shape[0]:,} in the file, at most {base.most_rank:,} in the base"
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
