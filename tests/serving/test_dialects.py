"""What is sent in each dialect, what its time is, which fields it needs, and who may be named how."""

from __future__ import annotations

import json

import pytest

from qiltest.errors import ServerError
from qiltest.serving.client import Answer
from qiltest.serving.dialect import IMAGES, ServedLora
from qiltest.serving.generator import sent
from qiltest.serving.openai import OpenAI
from qiltest.serving.openapi import check_fields, fields_of
from qiltest.serving.opening import _golden_name
from qiltest.serving.settings import Api, Says, Server
from qiltest.serving.sglang import SGLang, nickname
from qiltest.serving.vllm_omni import VllmOmni
from served_asks import ASK, GUIDED, LIGHTNING, LORA, PLAIN, asked, image
from served_schemas import REQUESTS

DIALECTS = (VllmOmni(), SGLang(), OpenAI())
COMMON = {"model", "prompt", "n", "size", "response_format", "output_format", "num_inference_steps", "seed"}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.api)
def test_every_parameter_is_sent_and_each_is_in_the_schema(dialect):
    body = dialect.body(ASK, Says())
    assert body.keys() >= COMMON | {"negative_prompt", "guidance_scale"}
    assert body.keys() <= REQUESTS[dialect.api].model_fields.keys()
    assert REQUESTS[dialect.api].model_validate(body).model_dump(include=body.keys()) == body
    assert (body["n"], body["size"], body["output_format"], body["response_format"]) == (
        1, "1328x1328", "png", "b64_json",
    )  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS[:2], ids=lambda dialect: dialect.api)
def test_both_scales_and_the_noises_device_are_sent(dialect):
    body = dialect.body(ASK, Says())
    assert (body["true_cfg_scale"], body["guidance_scale"], body["generator_device"]) == (4.0, 4.0, "cuda")


def test_without_guidance_there_is_no_negative_prompt(standin, opened):
    for api in ("vllm-omni", "sglang"):
        generator = opened(standin(api))
        assert "negative_prompt" not in sent(asked(generator, PLAIN))
        assert sent(asked(generator, PLAIN))["true_cfg_scale"] == 1.0
        assert sent(asked(generator, GUIDED))["negative_prompt"] == " "


def test_vllm_omnis_lora_is_per_request_and_sglangs_is_part_of_what_was_set(standin, opened):
    recipe = asked(opened(standin("vllm-omni"), *LIGHTNING), LORA)
    assert sent(recipe)["lora"] == {"name": "4step", "path": "/loras/4.safetensors", "scale": 1.0}
    recipe = asked(opened(standin("sglang"), *LIGHTNING), LORA)
    assert "lora" not in sent(recipe)
    assert json.loads(recipe.served.request)["lora"] == {"name": "4step", "path": "/loras/4.safetensors"}


def test_another_file_has_another_name_on_sglang():
    first, second = (nickname(ServedLora(name="4step", path=path)) for path in ("/a", "/b"))
    assert first != second
    assert first.startswith("qiltest-4step-")


def test_what_the_server_sets_itself_is_not_sent():
    says = Says.parse(["fixed=seed,guidance_scale"], api=Api.OPENAI)
    body = OpenAI().body(ASK, says)
    assert not body.keys() & {"seed", "guidance_scale"}
    assert {"seed", "guidance_scale"} <= set(OpenAI().not_checked(says, None))


@pytest.mark.parametrize(
    ("value", "kind", "seconds"),
    [
        ({"metrics": {"stage_durations": {"Qwen.diffuse": 1.5, "Qwen.vae.decode": 0.2}}}, "diffuse", 1.5),
        ({"metrics": {"stage_durations": None}}, "wall", 2.0),
        ({"metrics": {"stage_durations": {"a.diffuse": 1.0, "b.diffuse": 1.0}}}, "wall", 2.0),
        ({"metrics": {"stage_durations": {"a.diffuse": 3.0}}}, "wall", 2.0),
        ({"metrics": {"stage_durations": {"a.diffuse": -1}}}, "wall", 2.0),
        ({"metrics": {"stage_durations": {"a.diffuse": "1"}}}, "wall", 2.0),
        ({"metrics": {"stage_durations": {"a.diffuse": True}}}, "wall", 2.0),
        ({"metrics": []}, "wall", 2.0),
        ({}, "wall", 2.0),
    ],
)  # fmt: skip
def test_vllm_omnis_loop_is_timed_where_it_tells_it_and_is_possible(value, kind, seconds):
    took = VllmOmni().took(Answer(value=value, began=1.0, ended=3.0))
    assert (took.kind, took.seconds) == (kind, seconds)


def test_seconds_that_cannot_be_are_not_believed_and_that_is_said(standin, opened):
    for api in ("vllm-omni", "sglang"):
        generator = opened(standin(api, "lies", diffuse=1.0))
        denoised = generator.denoise(asked(generator))
        assert denoised.timing.kind == "wall"
        assert "the server says that it took 3600.0 s" in denoised.notes[-1]


def test_sglang_tells_the_whole_request():
    assert SGLang().took(Answer(value={"inference_time_s": 1.0}, began=1.0, ended=3.0)).kind == "request"
    assert SGLang().took(Answer(value={}, began=1.0, ended=3.0)).kind == "wall"


REFERENCE = {"$ref": "#/components/schemas/R"}


def page(schema, **schemas):
    body = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    return {"paths": {IMAGES: {"post": body}}, "components": {"schemas": schemas}}


@pytest.mark.parametrize(
    ("found", "fields"),
    [
        (page({"properties": {"a": {}}}), {"a"}),
        (page(REFERENCE, R={"properties": {"a": {}, "b": {}}}), {"a", "b"}),
        (page({"allOf": [{"properties": {"a": {}}}, REFERENCE]}, R={"properties": {"b": {}}}), {"a", "b"}),
        (page(REFERENCE, R=REFERENCE), None),
        (page({"$ref": "http://elsewhere/x"}), None),
        (page({"type": "object"}), None),
        (page("text"), None),
        ({"paths": []}, None),
        ([], None),
        (None, None),
    ],
)  # fmt: skip
def test_the_fields_of_a_page(found, fields):
    assert fields_of(found, IMAGES) == (None if fields is None else frozenset(fields))


def test_all_missing_fields_are_named():
    with pytest.raises(ServerError, match="does not list a, c: it would ignore them"):
        check_fields(["c", "a", "b"], frozenset("b"), where="x")


@pytest.mark.parametrize(
    ("name", "golden"),
    [
        ("Qwen/Qwen-Image", "served/sglang--Qwen--Qwen-Image"),
        ("tiny", "served/sglang--tiny"),
        ("/models/a b/Qwen-Image/", "served/sglang--Qwen-Image"),
        ("a/b/c", "served/sglang--c"),
        ("..", None),
        ("/models/..", None),
        ("a/../b/.hidden", None),
        ("x" * 90, None),
        ("é", None),
        ("", None),
    ],
)
def test_a_servers_name_of_its_model_names_a_folder_or_is_refused(name, golden):
    server = Server(url="http://a", api=Api.SGLANG)
    if golden is None:
        with pytest.raises(ServerError, match="cannot name a folder of goldens"):
            _golden_name(server, name)
    else:
        assert _golden_name(server, name) == golden


def test_what_is_known_of_the_server_is_in_the_recipe(standin, opened):
    generator = opened(standin("sglang"), "device=NVIDIA H200", "dtype=int8", "weights=abc", "version=9")
    recipe = image(generator).recipe
    assert (recipe.device, recipe.dtype, recipe.model_revision, recipe.served.version) == (
        "NVIDIA H200",
        "int8",
        "abc",
        "9",
    )
    assert recipe.served.card == (("id", "tiny"), ("root", "tiny"))
    assert (recipe.scheduler, recipe.sigmas, recipe.lora, recipe.model_parts) == ((), (), None, ())
    assert dict(recipe.versions) == {"qiltest-serving": "1"}
