"""vLLM-Omni: `POST /v1/images/generations` with its extensions, LoRAs per request.

Its page says that unsupported parameters may be ignored: those that it does not list are dropped without a word.
Written from the schema of 0.30.0 (`ImageGenerationRequest`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qiltest.serving.dialect import STRENGTH, Ask, Dialect, Took, one_diffusion, told_seconds, told_version
from qiltest.serving.settings import Api, Says

if TYPE_CHECKING:
    from qiltest.serving.client import Answer, Client


class VllmOmni(Dialect):
    """vLLM-Omni's dialect."""

    api: ClassVar[Api] = Api.VLLM_OMNI
    lightning: ClassVar[str] = (
        "serve a copy of the model's folder whose scheduler/scheduler_config.json has base_shift and max_shift "
        "1.0986122886681098 (log 3) and shift_terminal null, and say --qil-server-says scheduler=lightning"
    )

    def body(self, ask: Ask, says: Says) -> dict[str, Any]:
        """Return the request; without guidance there is no negative prompt."""
        body = one_diffusion(ask)
        if ask.lora is not None:
            body["lora"] = {"name": ask.lora.name, "path": ask.lora.path, "scale": STRENGTH}
        return body

    def version(self, client: Client) -> str:
        """Return what `/version` says, "" for nothing."""
        return told_version(client, "/version")

    def took(self, answer: Answer) -> Took:
        """Return the denoise loop's seconds, which `--enable-diffusion-pipeline-profiler` adds, else those waited."""
        stages = _stages(answer.value)
        loops = [seconds for name, seconds in stages.items() if name.endswith(".diffuse")]
        told = told_seconds(loops[0] if len(loops) == 1 else None, answer, "diffuse")
        if told is None or told.note:
            return told or super().took(answer)
        decoding = [seconds for name, seconds in stages.items() if name.endswith(".vae.decode")]
        decoded = told_seconds(decoding[0] if len(decoding) == 1 else None, answer, "decode")
        known = decoded is not None and not decoded.note
        return Took(kind=told.kind, seconds=told.seconds, decode_seconds=decoded.seconds if known and decoded else 0.0)


def _stages(value: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    metrics = value.get("metrics") if isinstance(value, dict) else None
    stages = metrics.get("stage_durations") if isinstance(metrics, dict) else None
    return stages if isinstance(stages, dict) else {}
