"""A shelf of bad releases, made from the good LoRAs of the embedded model, each a failure that users had.

    python tools/faulty_loras/faulty_loras.py OUT                   # 13 LoRA files, 2 variants files, manifest.json
    python tools/faulty_loras/faulty_loras.py OUT --no-undertrained # without torch, in a second

Nothing of it is stored in the repository. `manifest.json` says of each release what was done to it, which variant it
claims to be, by what it should be caught, and words of the message that a release engineer should get.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from lora_files import Tensors, read, write

import faults
from qiltest.generation.sources import EMBEDDED

ROOT = Path(__file__).parents[2]
SEED = 7


class CaughtBy(StrEnum):
    """What should see that a release is bad."""

    #: `qiltest lora FILE`, and every load: the file alone shows it.
    INSPECTION = "inspection"
    #: `qiltest lora FILE --like VARIANT`: only beside the release that it replaces.
    LIKENESS = "likeness"
    #: its SHA-256, which belongs to another release.
    HASH = "hash"
    #: the recipe's check, before anything is drawn.
    RECIPE = "recipe"
    #: images: nothing but what it draws shows it.
    IMAGES = "images"


@dataclass(frozen=True, kw_only=True)
class Release:
    """One bad release. `file` is relative to the shelf; of a recipe's fault it is a variants file."""

    name: str
    file: str
    #: the variant that it claims to be.
    like: str
    fault: str
    caught_by: CaughtBy
    #: words of the message; "" where only images show it.
    message: str


#: name -> (what was done, caught by, words of the message, how).
_Fault = tuple[str, CaughtBy, str, Callable[[Tensors], Tensors]]
FAULTS: dict[str, _Fault] = {
    "renamed-keys": (
        "attention modules under names that the model does not have",
        CaughtBy.INSPECTION,
        "keys with no match in tiny: transformer_blocks.0.attention.",
        faults.renamed_keys,
    ),
    "foreign-prefix": (
        "every key behind peft's `base_model.model.`",
        CaughtBy.INSPECTION,
        "diffusers would not apply it: keys start with `base_model.model.`",
        faults.foreign_prefix,
    ),
    "half-the-blocks": (
        "the upper half of the blocks left out",
        CaughtBy.INSPECTION,
        "blocks left out (4-7)",
        faults.half_the_blocks,
    ),
    "zero-effect": (
        "all up factors zero",
        CaughtBy.INSPECTION,
        "no effect: the delta of every module is zero",
        faults.zero_effect,
    ),
    "silent-blocks": (
        "the up factors of a quarter of the blocks zero",
        CaughtBy.INSPECTION,
        "2 of 8 blocks without effect (0-1), unlike the others",
        lambda tensors: faults.silent_blocks(tensors, 0.25),
    ),
    "one-nan": (
        "one NaN in one factor of 224",
        CaughtBy.INSPECTION,
        "1 tensor with NaN or infinite values: transformer_blocks.",
        faults.one_nan,
    ),
    "alpha-times-4": (
        "alpha four times too large",
        CaughtBy.LIKENESS,
        "the delta is 4 times as strong as that of",
        lambda tensors: faults.alpha_times(tensors, 4.0),
    ),
    "alpha-by-4": (
        "alpha four times too small",
        CaughtBy.LIKENESS,
        "the delta is 0.25 times as strong as that of",
        lambda tensors: faults.alpha_times(tensors, 0.25),
    ),
    **{
        f"perturbed-{percent}": (
            f"normal noise of {percent} % of its norm on each factor",
            CaughtBy.IMAGES,
            "",
            partial(faults.perturbed, share=percent / 100, seed=SEED),
        )
        for percent in (2, 5, 10)
    },
}
_SCHEDULER = 'steps = 4\ntrue_cfg_scale = 1.0\nscheduler = "{}"'


def make(out: Path, *, undertrained: bool = True, like: str = "4step") -> tuple[Release, ...]:
    """Write the shelf and its manifest; an undertrained LoRA that is there and of this base is kept."""
    out.mkdir(parents=True, exist_ok=True)
    good, metadata = read(EMBEDDED / "loras" / f"{like}.safetensors")
    releases = []
    for name, (fault, caught_by, message, how) in FAULTS.items():
        file = f"{name}.safetensors"
        write(out / file, how(good), metadata)
        releases.append(Release(name=name, file=file, like=like, fault=fault, caught_by=caught_by, message=message))
    releases += [_other_release(out), *_recipes(out)]
    if undertrained:
        releases.append(_undertrained(out, good, metadata, like))
    manifest = {"model": "tiny", "releases": [asdict(release) for release in releases]}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return tuple(releases)


def stored(out: Path) -> tuple[Release, ...]:
    """Return the releases of a shelf that is there."""
    found = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["releases"]
    return tuple(Release(**{**one, "caught_by": CaughtBy(one["caught_by"])}) for one in found)


def _other_release(out: Path) -> Release:
    """The 8-step file under the 4-step release's name, as an alias once did."""
    folder = out / "8step-as-4step"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(EMBEDDED / "loras" / "8step.safetensors", folder / "4step.safetensors")
    return Release(
        name="8step-as-4step",
        file="8step-as-4step/4step.safetensors",
        like="4step",
        fault="the 8-step file under the 4-step name",
        caught_by=CaughtBy.HASH,
        message="the file is another release of the same name",
    )


def _recipes(out: Path) -> list[Release]:
    """Variants files with one wrong line each; the LoRA is the good one."""
    text = (ROOT / "cases" / "variants.toml").read_text(encoding="utf-8")
    right, made = _SCHEDULER.format("lightning"), []
    if text.count(f'[4step]\ntitle = "Lightning 4steps-V1.0"\n{right}') != 1:
        raise SystemExit("cases/variants.toml has no [4step] as this script knows it")
    head, tail = text.split('[4step]\ntitle = "Lightning 4steps-V1.0"\n')
    for name, wrong, fault, caught_by, message in (
        (
            "base-scheduler",
            _SCHEDULER.format("model"),
            "4 steps on the base's scheduler instead of shift 3",
            CaughtBy.RECIPE,
            "which was distilled with shift 3",
        ),
        (
            "guided",
            right.replace("scale = 1.0", 'scale = 4.0\nnegative_prompt = " "'),
            "CFG 4 with a LoRA that has guidance distilled into it",
            CaughtBy.RECIPE,
            "true CFG 4.0 on the Lightning scheduler: guidance is already distilled in",
        ),
    ):
        changed = head + '[4step]\ntitle = "Lightning 4steps-V1.0"\n' + tail.replace(right, wrong, 1)
        tomllib.loads(changed)
        folder = out / name
        folder.mkdir(exist_ok=True)
        (folder / "variants.toml").write_text(changed, encoding="utf-8")
        made.append(
            Release(
                name=name,
                file=f"{name}/variants.toml",
                like="4step",
                fault=fault,
                caught_by=caught_by,
                message=message,
            )
        )
    return made


def _undertrained(out: Path, good: Tensors, metadata: dict[str, str], like: str) -> Release:
    import undertrained as training

    base = (EMBEDDED / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes()
    folder = out / f"undertrained-{hashlib.sha256(base).hexdigest()[:12]}"
    path = folder / f"{like}.safetensors"
    if not path.is_file():
        folder.mkdir(exist_ok=True)
        nfe = int(like.removesuffix("step"))
        write(path, training.distilled(EMBEDDED, good, _prompts(), nfe=nfe, seed=SEED), metadata)
    return Release(
        name="undertrained",
        file=str(path.relative_to(out)),
        like=like,
        fault=f"distilled from zero for {training.STEPS} steps of one image: an early checkpoint",
        caught_by=CaughtBy.IMAGES,
        message="",
    )


def _prompts() -> list[str]:
    """Prompts of the cases whose prompt is short, as the pipeline gets them."""
    found = []
    for path in sorted((ROOT / "cases").glob("*.toml")):
        case = tomllib.loads(path.read_text(encoding="utf-8"))
        if len(case.get("prompt", "")) in range(1, 200):
            found.append(case["prompt"] + ", Ultra HD, 4K, cinematic composition.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write into")
    parser.add_argument("--no-undertrained", action="store_true", help="leave out the one that needs torch")
    args = parser.parse_args()
    for release in make(args.out, undertrained=not args.no_undertrained):
        print(f"{release.name:16} {release.caught_by:10} {release.fault}")
    print(f"{args.out / 'manifest.json'}")


if __name__ == "__main__":
    main()
