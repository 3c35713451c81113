"""The schemas of the stand-in server and what is sent, held against the vendors' own classes, where their wheels are.

    pip download --no-deps --dest wheels vllm-omni==0.30.0 sglang==0.5.23
    QILTEST_VENDOR_WHEELS=wheels pytest tests/serving/test_vendor_schemas.py

One file is read out of each wheel and run with stand-ins for what it imports beside pydantic; nothing is installed.
"""

from __future__ import annotations

import os
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from qiltest.recipe import Size
from qiltest.serving.client import Answer
from qiltest.serving.dialect import ServedLora
from qiltest.serving.image import pixels_of
from qiltest.serving.settings import Says
from qiltest.serving.sglang import SGLang
from qiltest.serving.vllm_omni import VllmOmni
from served_asks import ASK as PLAIN_ASK
from served_schemas import REQUESTS

VARIABLE = "QILTEST_VENDOR_WHEELS"
#: 16 x 16 pixels.
PNG = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAGUlEQVR4nGM8ISfHQApgIkn1qIZRDUNKAwBPHwEkcYw1mAAAAABJRU5ErkJggg=="
ASK = replace(PLAIN_ASK, lora=ServedLora(name="a", path="/a"))


def source(wheel: str, path: str) -> str:
    """The text of a file in a wheel; skips where the wheel is not there."""
    folder = os.environ.get(VARIABLE, "")
    found = sorted(Path(folder).glob(f"{wheel}-*.whl")) if folder else []
    if not found:
        pytest.skip(f"{VARIABLE} names no folder with {wheel}: see this file's first lines")
    with zipfile.ZipFile(found[0]) as archive:
        return archive.read(path).decode()


def classes(
    text: str, name: str, stubs: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> types.ModuleType:
    """Run a file's text as a module, with stand-ins for what it imports."""
    for stub, values in stubs.items():
        module = types.ModuleType(stub)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, stub, module)
    made = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    exec(compile(text, name, "exec"), vars(made))
    return made


@pytest.fixture
def vllm_omni(monkeypatch):
    text = source("vllm_omni-0.30.0", "vllm_omni/entrypoints/openai/protocol/images.py")
    stubs = {
        "fastapi": {"HTTPException": Exception},
        "fastapi.responses": {"StreamingResponse": object},
        "vllm_omni": {},
        "vllm_omni.entrypoints": {},
        "vllm_omni.entrypoints.openai": {},
        "vllm_omni.entrypoints.openai.image_api_utils": {"validate_layered_layers": lambda value: value},
    }
    return classes(text, "vendor_vllm_omni", stubs, monkeypatch)


@pytest.fixture
def sglang(monkeypatch):
    text = source("sglang-0.5.23", "sglang/multimodal_gen/runtime/entrypoints/openai/protocol.py")
    return classes(text, "vendor_sglang", {}, monkeypatch)


def differences(own: Any, vendor: Any) -> dict[str, tuple[Any, Any]]:
    """Fields of ours that the vendor lacks, or to which it gives another default."""
    found = {}
    for name, field in own.model_fields.items():
        theirs = vendor.model_fields.get(name)
        default = getattr(theirs and theirs.default, "value", theirs and theirs.default)
        if theirs is None or default != field.default:
            found[name] = (field.default, default)
    return found


def test_vllm_omnis_requests(vllm_omni):
    own, vendor = REQUESTS["vllm-omni"], vllm_omni.ImageGenerationRequest
    assert differences(own, vendor) == {}
    body = VllmOmni().body(ASK, Says())
    assert vendor.model_validate(body).model_dump(mode="json", include=set(body)) == body
    for wrong in ({"num_inference_steps": 0}, {"num_inference_steps": 201}, {"true_cfg_scale": 21}, {"size": "big"}):
        for kind in (own, vendor):
            with pytest.raises(ValidationError):
                kind.model_validate(body | wrong)
    assert not hasattr(vendor.model_validate(body | {"true_cfg_scal": 1}), "true_cfg_scal")


def test_vllm_omnis_answers(vllm_omni):
    answer = vllm_omni.ImageGenerationResponse(
        created=1,
        data=[vllm_omni.ImageData(b64_json=PNG)],
        size="16x16",
        metrics={"stage_durations": {"QwenImagePipeline.diffuse": 1.0, "QwenImagePipeline.vae.decode": 0.1}},
    ).model_dump(mode="json")
    assert pixels_of(answer, Size(16, 16), where="x").shape == (16, 16, 3)
    took = VllmOmni().took(Answer(value=answer, began=0.0, ended=2.0))
    assert (took.kind, took.seconds, took.decode_seconds) == ("diffuse", 1.0, 0.1)


def test_sglangs_requests(sglang):
    own, vendor = REQUESTS["sglang"], sglang.ImageGenerationsRequest
    assert differences(own, vendor) == {}
    body = SGLang().body(ASK, Says())
    assert vendor.model_validate(body).model_dump(mode="json", include=set(body)) == body
    for kind in (own, vendor):
        assert kind.model_validate(body | {"num_inference_steps": 0, "size": "big"}).size == "big"
        assert kind.model_validate(body | {"true_cfg_scal": 1}).true_cfg_scal == 1  # kept, and ignored


def test_sglangs_answers(sglang):
    answer = sglang.ImageResponse(
        id="1", data=[sglang.ImageResponseData(b64_json=PNG)], inference_time_s=1.5
    ).model_dump(mode="json")
    assert pixels_of(answer, Size(16, 16), where="x").shape == (16, 16, 3)
    took = SGLang().took(Answer(value=answer, began=0.0, ended=2.0))
    assert (took.kind, took.seconds) == ("request", 1.5)
