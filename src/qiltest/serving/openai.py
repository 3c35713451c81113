"""Other servers of `POST /v1/images/generations`: OpenAI's fields, and the names that most give to what it lacks.

OpenAI's own API has no seed, steps and guidance. A server that does not take one of them is an error, unless the user
says that it sets it itself (`--qil-server-says fixed=seed,…`): it is then listed as not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from qiltest.serving.dialect import Ask, Dialect, ServedLora, one_png, refuse_lora
from qiltest.serving.settings import Api, Says


class OpenAI(Dialect):
    """The dialect of servers that follow OpenAI's."""

    api: ClassVar[Api] = Api.OPENAI
    takes_lora: ClassVar[bool] = False
    lightning: ClassVar[str] = (
        "let the server generate with base_shift = max_shift = log 3 and no terminal, and say "
        "--qil-server-says scheduler=lightning"
    )
    optional: ClassVar[frozenset[str]] = frozenset({"output_format"})

    def body(self, ask: Ask, says: Says) -> dict[str, Any]:
        """Return the request, without what the user says that the server sets itself."""
        if ask.lora is not None:
            raise refuse_lora(self.api, ask.lora.name)
        own: dict[str, Any] = {
            "seed": ask.seed,
            "num_inference_steps": ask.steps,
            "guidance_scale": ask.true_cfg_scale,
        }
        if ask.negative_prompt is not None:
            own["negative_prompt"] = ask.negative_prompt
        return {**one_png(ask), **{name: value for name, value in own.items() if name not in says.fixed}}

    def not_checked(self, says: Says, lora: ServedLora | None) -> Iterator[str]:
        """Yield where the noise is made too: no parameter asks for it."""
        yield from super().not_checked(says, lora)
        yield "device of the noise"
