"""What tests ask a stand-in server for: one case, four variants, and the image of one of them."""

from __future__ import annotations

from typing import Any

import builders as make
from qiltest.recipe import Recipe, Size
from qiltest.serving.dialect import Ask
from qiltest.suite.variants import LoraSource, SchedulerKind

CASE = make.case(prompt="A sign reads Qwen Coffee and another 2 dollars")
SIZE = Size(256, 128)
PLAIN = make.variant("plain", scheduler=SchedulerKind.MODEL, steps=4)
GUIDED = make.variant("guided", scheduler=SchedulerKind.MODEL, steps=4, true_cfg_scale=4.0, negative_prompt=" ")
LORA = make.variant("4step", loras=(("tiny", LoraSource(source="embedded::4step")),))
OTHER_LORA = make.variant("8step", steps=8, loras=(("tiny", LoraSource(source="embedded::8step")),))
#: an image of the base, as a dialect is asked for it.
ASK = Ask(
    model="m",
    prompt="p",
    negative_prompt=" ",
    size=Size(1328, 1328),
    steps=50,
    true_cfg_scale=4.0,
    seed=42,
    generator_device="cuda",
    max_sequence_length=512,
    lora=None,
)
LIGHTNING = ("scheduler=lightning", "lora.4step=/loras/4.safetensors", "lora.8step=/loras/8.safetensors")


def asked(generator: Any, variant: Any = PLAIN, seed: int = 42) -> Recipe:
    return generator.recipe(CASE, SIZE, variant, seed)


def image(generator: Any, variant: Any = PLAIN, seed: int = 42) -> Any:
    """The image of a variant, as the suite asks for it."""
    return generator.decode(generator.denoise(asked(generator, variant, seed)))
