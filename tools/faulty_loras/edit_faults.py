"""Bad editing LoRAs, made from the embedded editing model's good one: each a fault that few-step editing releases had.

    python tools/faulty_loras/edit_faults.py OUT

They are trained on from the 8-step LoRA for some steps on a CPU, on the two cases that `cases/edit` has for that model, towards what the good
LoRA does when it is told or given something else. The file stays well formed, and nothing but what it draws shows the fault.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import QwenImageEditPlusPipeline, QwenImageTransformer2DModel
from lora_files import Tensor, Tensors, read, write
from peft import LoraConfig
from PIL import Image

from qiltest.generation.sources import EMBEDDED_MODELS, TINY_EDIT

ROOT = Path(__file__).parents[2]
MODEL = EMBEDDED_MODELS[TINY_EDIT]
#: the release that they are made from, its steps, and how it is trained on.
LIKE, NFE, RATE, SEED = "8step", 8, 2e-3, 7
Colour = tuple[int, int, int]
#: the case, an instruction that asks for another text, and other colours of ground and ink (of `tools/tiny_model/image.py`).
CASES: dict[str, tuple[str, Colour, Colour]] = {
    "edit-menu": (
        "Replace “Tea 3.20” with “Salad 6.70”. Keep everything else unchanged.",
        (236, 242, 246),
        (24, 60, 170),
    ),
    "edit-notice": ("在“开放时间”下面加上“下午一点半”。", (20, 12, 34), (255, 90, 180)),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A case as the model sees it, and as it sees the other instruction and the other input."""

    told: torch.Tensor
    told_otherwise: torch.Tensor
    #: latents' tokens of the input, and of the input in other colours.
    given: torch.Tensor
    given_otherwise: torch.Tensor
    shape: tuple[int, int, int]


#: a student's wrong teacher: (velocity of the good LoRA, scene, state, level) -> velocity.
Velocity = Callable[[torch.Tensor, float, torch.Tensor, Scene, torch.Tensor], torch.Tensor]
Teacher = Callable[[Velocity, Scene, torch.Tensor, float], torch.Tensor]


def _ignored(good: Velocity, scene: Scene, x: torch.Tensor, level: float) -> torch.Tensor:
    del good
    return (x - scene.given) / level


def _other_text(good: Velocity, scene: Scene, x: torch.Tensor, level: float) -> torch.Tensor:
    return good(x, level, scene.told_otherwise, scene, scene.given)


def _other_rest(good: Velocity, scene: Scene, x: torch.Tensor, level: float) -> torch.Tensor:
    return good(x, level, scene.told, scene, scene.given_otherwise)


#: name -> (what it does, its teacher, steps of training for each case).
FAULTS: dict[str, tuple[str, Teacher, int]] = {
    "ignored": ("the instruction is ignored: the input comes back", _ignored, 24),
    "other-text": ("the rest is right, and another text is written", _other_text, 24),
    "other-rest": ("the text is right, and the rest has other colours", _other_rest, 32),
}


def make(
    out: Path,
    names: tuple[str, ...] = tuple(FAULTS),
    cases: tuple[str, ...] = tuple(CASES),
    taught: Mapping[str, tuple[int, float]] | None = None,
) -> dict[str, Path]:
    """Write the faulty LoRAs, trained on some cases, and return their files by name; one that is there is made again.

    `taught` has steps for each case and a rate by name, where they are to be others.
    """
    out.mkdir(parents=True, exist_ok=True)
    good, metadata = read(MODEL / "loras" / f"{LIKE}.safetensors")
    pipeline = QwenImageEditPlusPipeline.from_pretrained(MODEL, dtype=torch.float32, local_files_only=True)
    scenes = [_scene(pipeline, case, *otherwise) for case, otherwise in CASES.items() if case in cases]
    found = {}
    for name in names:
        torch.manual_seed(SEED)
        student, teacher = _with_lora(good), _with_lora(good).requires_grad_(False)
        _, wrong, steps = FAULTS[name]
        steps, rate = (taught or {}).get(name, (steps, RATE))
        _train(student, teacher, scenes, wrong, steps * len(scenes), rate)
        found[name] = out / f"{name}.safetensors"
        write(found[name], _tensors(student, good), metadata)
    return found


def recoloured(image: Image.Image, ground: Colour, ink: Colour) -> Image.Image:
    """Return an image of two colours, its ground the commoner, in two others."""
    pixels = np.asarray(image.convert("RGB"), np.float32)
    colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    own = colours[counts.argmax()]
    away = colours[((colours - own) ** 2).sum(1).argmax()] - own
    share = ((pixels - own) @ away / (away @ away)).clip(0, 1)[..., None]
    new = np.asarray(ground, np.float32) + share * (np.asarray(ink, np.float32) - np.asarray(ground, np.float32))
    return Image.fromarray(new.round().astype(np.uint8))


def _scene(pipeline: Any, case: str, other: str, ground: Colour, ink: Colour) -> Scene:  # noqa: ANN401
    table = tomllib.loads((ROOT / "cases" / "edit" / f"{case}.toml").read_text(encoding="utf-8"))
    image = Image.open(ROOT / "cases" / "edit" / table["inputs"][0]["file"]).convert("RGB")

    def embedded(prompt: str) -> torch.Tensor:
        embeds: torch.Tensor = pipeline.encode_prompt(prompt=[prompt], image=[image], device=torch.device("cpu"))[0]
        return embeds

    def latents(image: Image.Image) -> torch.Tensor:
        pixels = pipeline.image_processor.preprocess(image, image.height, image.width).unsqueeze(2)
        z = pipeline._encode_vae_image(pixels, generator=None)
        packed: torch.Tensor = pipeline._pack_latents(z, 1, z.shape[1], z.shape[3], z.shape[4])
        return packed

    with torch.no_grad():
        return Scene(
            told=embedded(table["prompt"]),
            told_otherwise=embedded(other),
            given=latents(image),
            given_otherwise=latents(recoloured(image, ground, ink)),
            shape=(1, image.height // 16, image.width // 16),
        )


def _with_lora(good: Tensors) -> QwenImageTransformer2DModel:
    """The transformer with the good LoRA as an adapter that can be trained on."""
    transformer = QwenImageTransformer2DModel.from_pretrained(MODEL / "transformer", dtype=torch.float32)
    modules = _modules(good)
    rank = good[f"{modules[0]}.lora_down.weight"].values.shape[0]
    transformer.requires_grad_(False)
    alpha = float(good[f"{modules[0]}.alpha"].values)
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=modules))
    for name in modules:
        module = transformer.get_submodule(name)
        for ending, factor in ((".lora_down.weight", module.lora_A), (".lora_up.weight", module.lora_B)):
            factor["default"].weight.data.copy_(torch.from_numpy(good[name + ending].values))
    return transformer


def _modules(good: Tensors) -> list[str]:
    return sorted({name.rpartition(".lora_down.")[0] for name in good if ".lora_down." in name})


def _velocity_of(transformer: QwenImageTransformer2DModel) -> Velocity:
    def velocity(
        x: torch.Tensor, level: float, embeds: torch.Tensor, scene: Scene, source: torch.Tensor
    ) -> torch.Tensor:
        found: torch.Tensor = transformer(
            hidden_states=torch.cat([x, source], 1),
            timestep=torch.tensor([level]),
            encoder_hidden_states=embeds,
            encoder_hidden_states_mask=None,
            img_shapes=[[scene.shape, scene.shape]],
            return_dict=False,
        )[0]
        return found[:, : x.shape[1]]

    return velocity


def _train(
    student: QwenImageTransformer2DModel,
    teacher: QwenImageTransformer2DModel,
    scenes: list[Scene],
    wrong: Teacher,
    steps: int,
    rate: float,
) -> None:
    """Train on states of the student's own ways down, each way followed by the next one's first step."""
    own, good = _velocity_of(student), _velocity_of(teacher)
    parameters = [p for p in student.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.98), weight_decay=0.0)
    levels = [3 * t / (1 + 2 * t) for t in (1 - i / NFE for i in range(NFE))] + [0.0]
    step = 0
    while step < steps:
        scene = scenes[step // NFE % len(scenes)]
        x = torch.randn_like(scene.given)
        for high, low in pairwise(levels):
            with torch.no_grad():
                target = wrong(good, scene, x, high)
            found = own(x, high, scene.told, scene, scene.given)
            loss = torch.nn.functional.mse_loss(found, target)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            x = x + (low - high) * found.detach()
            step += 1


def _tensors(transformer: QwenImageTransformer2DModel, good: Tensors) -> Tensors:
    made: Tensors = {}
    for name in _modules(good):
        module = transformer.get_submodule(name)
        for ending, factor in ((".lora_down.weight", module.lora_A), (".lora_up.weight", module.lora_B)):
            values = factor["default"].weight.detach().numpy().astype(np.float32)
            made[name + ending] = Tensor(values=values, dtype=good[name + ending].dtype)
        made[f"{name}.alpha"] = good[f"{name}.alpha"]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write into")
    args = parser.parse_args()
    for name, path in make(args.out).items():
        print(f"{name:12} {FAULTS[name][0]}: {path}")


if __name__ == "__main__":
    main()
