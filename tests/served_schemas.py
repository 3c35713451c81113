"""The requests of two kinds of servers, as their schemas say: written from reading them, nothing of theirs is here.

The stand-in server validates with these; `tests/serving/test_vendor_schemas.py` holds them against the vendors' wheels.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Steps = Annotated[int | None, Field(ge=1, le=200)]
Scale = Annotated[float | None, Field(ge=0, le=20)]


class VllmOmniRequest(BaseModel):
    """vLLM-Omni 0.30.0: what it does not know is dropped."""

    model_config = ConfigDict(extra="ignore")

    prompt: str
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=10)] = 1
    size: Annotated[str | None, Field(pattern="x")] = None
    response_format: Annotated[str, Field(pattern="^(b64_json|file)$")] = "b64_json"
    negative_prompt: str | None = None
    num_inference_steps: Steps = None
    guidance_scale: Scale = None
    true_cfg_scale: Scale = None
    seed: Annotated[int | None, Field(ge=-(2**63), le=2**63 - 1)] = None
    generator_device: str | None = None
    lora: dict[str, Any] | None = None
    output_format: str | None = None


class SGLangRequest(BaseModel):
    """SGLang 0.5.23: what it does not know is kept and ignored."""

    model_config = ConfigDict(extra="allow")

    prompt: str
    model: str | None = None
    n: int | None = 1
    size: str | None = "1024x1024"
    response_format: str | None = "url"
    output_format: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    true_cfg_scale: float | None = None
    seed: int | list[int] | None = None
    generator_device: str | None = "cuda"
    negative_prompt: str | None = None
    max_sequence_length: int | None = None
    enhance_prompt: bool = False
    enable_teacache: bool | None = False
    enable_upscaling: bool | None = False


class OpenAIRequest(BaseModel):
    """A server of the plain dialect that takes seed, steps and guidance by the names that most give to them."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    model: str | None = None
    n: int = 1
    size: str = "1024x1024"
    response_format: str = "url"
    output_format: str = "png"
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    negative_prompt: str | None = None


#: the answers' fields that qiltest reads.
ANSWERS = {"vllm-omni": ("data", "metrics"), "sglang": ("data", "inference_time_s"), "openai": ("data",)}
REQUESTS: dict[str, type[BaseModel]] = {
    "vllm-omni": VllmOmniRequest,
    "sglang": SGLangRequest,
    "openai": OpenAIRequest,
}
