"""Draw the case files' prompts with a checkpoint, for looking at: rows of images by case, columns by way of drawing."""

from __future__ import annotations

import tomllib

import torch
from charset import ROOT
from diffusers import FlowMatchEulerDiscreteScheduler
from flow import load
from models import pipeline
from PIL import Image, ImageDraw
from train import Session, arguments

from qiltest.generation.schedule import LIGHTNING, QWEN_IMAGE

#: name, steps, CFG, scheduler, LoRA
WAYS = (
    ("base 50 cfg 4", 50, 4.0, QWEN_IMAGE, None),
    ("8step", 8, 1.0, LIGHTNING, "8step"),
    ("4step", 4, 1.0, LIGHTNING, "4step"),
    ("base 4 cfg 1", 4, 1.0, LIGHTNING, None),
    ("4step, base scheduler", 4, 1.0, QWEN_IMAGE, "4step"),
)
SUFFIX = ", Ultra HD, 4K, cinematic composition."


def jobs() -> list[tuple[str, str, int, int]]:
    found = []
    for path in sorted((ROOT / "cases").glob("*.toml")):
        if path.stem == "variants":
            continue
        case = tomllib.loads(path.read_text("utf-8"))
        for resolution in case["resolutions"]:
            width, height = map(int, resolution["tiny"].split("x"))
            found.append((path.stem, case["prompt"] + SUFFIX, width, height))
    return found


@torch.inference_mode()
def main() -> None:
    args = arguments()
    session = Session(args)
    load(session, args.out / "base.pt")
    pipe = pipeline(session.vae, session.transformer, session.text_encoder, session.tokenizer)
    pipe.set_progress_bar_config(disable=True)
    have = [w for w in WAYS if w[4] is None or (args.out / "loras" / f"{w[4]}.safetensors").exists()]
    for name in {w[4] for w in have if w[4]}:
        pipe.load_lora_weights(str(args.out / "loras"), weight_name=f"{name}.safetensors", adapter_name=name)
    for name, prompt, width, height in jobs():
        strip = Image.new("RGB", ((width + 8) * len(have), height + 14), "white")
        for i, (label, steps, scale, scheduler, lora) in enumerate(have):
            pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(scheduler)
            if any(w[4] for w in have):
                pipe.enable_lora() if lora else pipe.disable_lora()
            if lora:
                pipe.set_adapters(lora)
            with session.autocast():
                image = pipe(
                    prompt,
                    negative_prompt=" " if scale > 1 else None,
                    true_cfg_scale=scale,
                    num_inference_steps=steps,
                    width=width,
                    height=height,
                    max_sequence_length=1024,
                    generator=torch.Generator(session.device).manual_seed(42),
                ).images[0]
            strip.paste(image, (i * (width + 8), 14))
            ImageDraw.Draw(strip).text((i * (width + 8), 1), f"{name} {label}", fill="black")
        (args.out / "sheets").mkdir(exist_ok=True)
        strip.save(args.out / "sheets" / f"{name}-{width}x{height}.png")
    session.say("sheets drawn")


if __name__ == "__main__":
    main()
