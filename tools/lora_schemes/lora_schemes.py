"""Print how each way of writing a LoRA file fares in the installed diffusers and in `qiltest lora`, as a table.

    python tools/lora_schemes/lora_schemes.py [--long] [SCHEME ...]

A scheme is named by a part of its name. The exit code is 1 where an answer differs without a decision that says why.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from scheme_judge import Judge, Loaded
from scheme_table import SCHEMES
from schemes import ACCEPTED, Scheme

from qiltest.lora import Base, LoraReport, inspect_lora
from qiltest.lora.factors import module_factors

BASE = Base(name="small", num_layers=2, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=12)
#: share of the norm that rounding `alpha / rank * down` to the factors' dtype may change: half of bfloat16's step.
ROUNDING = 2.0**-8


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Both answers to one scheme."""

    scheme: Scheme
    diffusers: Loaded
    report: LoraReport
    #: how many modules of the base the file is for.
    modules: int
    #: modules whose delta is not that of diffusers, where the file is accepted.
    other: tuple[str, ...]

    @property
    def ours(self) -> str:
        """Our answer: accepted, or the errors."""
        return ACCEPTED if self.report.passes else " / ".join(self.report.errors)

    @property
    def agree(self) -> bool:
        """True where the file is accepted with the very deltas that diffusers applies to all of its modules, or not."""
        whole = bool(self.diffusers.deltas) and len(self.diffusers.deltas) >= self.modules
        return whole == self.report.passes and not self.other


def ask(scheme: Scheme, judge: Judge, folder: Path, base: Base = BASE) -> Answers:
    """Write a scheme's file and ask both."""
    path = folder / "lora.safetensors"
    save_file({name: value.clone() for name, value in scheme.tensors(base).items()}, path, scheme.header())
    report = inspect_lora(path, base=base)
    loaded = judge.load(path)
    other = tuple(_other(path, base, report, loaded)) if report.passes else ()
    return Answers(scheme=scheme, diffusers=loaded, report=report, modules=len(scheme.factors(base)), other=other)


def _other(path: Path, base: Base, report: LoraReport, loaded: Loaded) -> Iterator[str]:
    ours = {}
    for module in module_factors(path, base, report):
        ours[module.name] = module.scale * torch.from_numpy(module.up) @ torch.from_numpy(module.down)
    yield from ours.keys() ^ loaded.deltas.keys()
    for name in ours.keys() & loaded.deltas.keys():
        if not torch.linalg.norm(loaded.deltas[name] - ours[name]) <= ROUNDING * torch.linalg.norm(ours[name]):
            yield name


def table(answers: list[Answers], *, long: bool = False) -> Iterator[str]:
    """Yield the lines of a Markdown table, the answers shortened unless `long`."""
    yield "| file | who writes it | diffusers | qiltest | |"
    yield "|---|---|---|---|---|"
    for each in answers:
        same = "same" if each.agree else (f"differs: {each.scheme.decision}" if each.scheme.decision else "DIFFERS")
        theirs = each.diffusers.shown(each.modules)
        cells = (
            each.scheme.name,
            each.scheme.who,
            theirs if long else theirs.partition(":")[0],
            _ours(each, long=long),
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in (*cells, same))} |"


def _ours(answers: Answers, *, long: bool) -> str:
    report = answers.report
    said = report.warnings if report.passes else report.errors
    shown = "; ".join(said if long else map(_begun, said))
    if not report.passes:
        return f"refuses: {shown}"
    return f"accepts {len(report.modules)} modules" + (f"; notes: {shown}" if shown else "")


def _begun(sentence: str) -> str:
    """Return what a sentence names, without examples, reason and remedy."""
    return re.split(r": |, | \(|; ", sentence.removeprefix("diffusers would not apply it: "))[0]


def main(arguments: list[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scheme", nargs="*", help="part of a scheme's name (default: all)")
    parser.add_argument("--long", action="store_true", help="whole sentences")
    args = parser.parse_args(arguments)
    wanted = args.scheme
    chosen = [scheme for scheme in SCHEMES if not wanted or any(part in scheme.name for part in wanted)]
    judge = Judge(BASE)
    with tempfile.TemporaryDirectory() as folder:
        answers = [ask(scheme, judge, Path(folder)) for scheme in chosen]
    for line in table(answers, long=args.long):
        sys.stdout.write(f"{line}\n")
    return int(any(not (each.agree or each.scheme.decision) for each in answers))


if __name__ == "__main__":
    sys.exit(main())
