"""Each fault of a server ends in an error that says what to do; without a fault there is an image."""

from __future__ import annotations

import pytest

from qiltest.errors import AnswerError, LateError, ModelError, QiltestError, RecipeError, ServerError
from served_asks import GUIDED, LIGHTNING, LORA, OTHER_LORA, PLAIN, SIZE, asked, image

ALL = ("vllm-omni", "sglang", "openai")
BOTH = ("vllm-omni", "sglang")

#: fault, dialects, what the error says, what its remedy says.
ANSWERS = (
    ("jpeg", ALL, "a JPEG, a PNG was asked for", "ignores output_format"),
    ("url", ALL, "an image's address instead of the image", "response_format=b64_json"),
    ("size", ALL, "the image is 240x128, 256x128 was asked for", "--qil-size"),
    ("truncated", ALL, "no base64", "gateway that limits answers"),
    ("cut", ALL, "PNG cannot be decoded", "server's log"),
    ("two", ALL, "2 images, one was asked for", "ignores n=1"),
    ("oversized", ALL, "more than", "the rest was not read"),
    ("html", ALL, "not JSON", "check --qil-server"),
    ("dies", ALL, "the connection ended before the answer", "not asked again"),
    ("500", ALL, "the server answers 500: CUDA error", "server's log"),
    ("redirect", ALL, "redirects to elsewhere.example", "--qil-server"),
    ("503", ALL, "the server answers 503: busy", "--qil-server-concurrency"),
    ("429", ALL, "the server answers 429: busy", "--qil-server-concurrency"),
)
PROBES = (
    ("ignores:seed", ALL, PLAIN, "seed has no effect", "the server ignores it"),
    ("ignores:num_inference_steps", ALL, PLAIN, "num_inference_steps has no effect", "the server ignores it"),
    ("ignores:true_cfg_scale", BOTH, PLAIN, "the guidance scale has no effect", "the server's own"),
    ("ignores:guidance_scale", ("openai",), GUIDED, "the guidance scale has no effect", "the server ignores it"),
    ("ignores:negative_prompt", ("sglang",), GUIDED, "negative_prompt has no effect", "the server ignores it"),
    ("ignores:negative_prompt", ("vllm-omni",), GUIDED, "CFG 1 and 4 with a negative prompt", "the server ignores it"),
    ("no-lora", ("vllm-omni",), LORA, "LoRA 4step has no effect", "/loras/4.safetensors is its file"),
    ("keeps-lora", ("vllm-omni",), LORA, "LoRA 4step is still in use after it", "restart the server"),
    ("no-lora", ("sglang",), LORA, "the server uses no LoRA, qiltest-4step-", "another client"),
    ("keeps-lora", ("sglang",), LORA, "no LoRA was set", "another client"),
    ("scheduler:model", BOTH, LORA, "in one step it generates a blank image", "docs/guide/served-model.md"),
    ("scheduler:guarded", BOTH, LORA, "its last step changes next to nothing", "docs/guide/served-model.md"),
)


def cases(table):
    return [pytest.param(api, *row[:1], *row[2:], id=f"{api}-{row[0]}") for row in table for api in row[1]]


@pytest.fixture
def quick(monkeypatch):
    """Nobody waits before a request is repeated; returns how long they would have."""
    pauses = []
    monkeypatch.setattr("qiltest.serving.client.pause", pauses.append)
    return pauses


@pytest.mark.parametrize("api", ALL)
def test_without_a_fault_there_is_an_image(standin, opened, api):
    generator = opened(standin(api))
    for variant in (PLAIN, GUIDED):
        made = image(generator, variant)
        assert made.recipe.served.api == api
        assert made.png.startswith(b"\x89PNG")


@pytest.mark.parametrize(("api", "fault", "what", "remedy"), cases(ANSWERS))
def test_a_faulty_answer_is_an_error_with_its_remedy(standin, opened, api, fault, what, remedy, quick):
    server = standin(api)
    generator = opened(server)
    image(generator)
    server.faults.add(fault)
    with pytest.raises((AnswerError, ServerError)) as raised:
        image(generator)
    assert what in raised.value.what
    assert remedy in raised.value.remedy
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(("api", "fault", "variant", "what", "remedy"), cases(PROBES))
def test_a_parameter_without_effect_is_an_error_of_each_image_that_depends_on_it(
    standin, opened, api, fault, variant, what, remedy
):
    says = LIGHTNING if variant is LORA else ()
    generator = opened(standin(api, fault, scheduler="lightning" if says else "model"), *says)
    for _ in range(2):
        with pytest.raises(ServerError) as raised:
            image(generator, variant)
        assert what in raised.value.what
        assert remedy in raised.value.remedy


def test_two_loras_that_give_one_image_are_an_error(standin, opened):
    generator = opened(standin("vllm-omni", "one-lora", scheduler="lightning"), *LIGHTNING)
    image(generator, LORA)
    with pytest.raises(ServerError, match="LoRA 8step gives the image of 4step"):
        image(generator, OTHER_LORA)


def test_an_image_that_needs_no_guidance_does_not_suffer_from_an_ignored_negative_prompt(standin, opened):
    generator = opened(standin("sglang", "ignores:negative_prompt"))
    image(generator, PLAIN)
    with pytest.raises(ServerError, match="negative_prompt has no effect"):
        image(generator, GUIDED)


@pytest.mark.parametrize("field", ["seed", "num_inference_steps", "true_cfg_scale", "generator_device"])
@pytest.mark.parametrize("api", BOTH)
def test_a_field_that_the_server_does_not_list_is_an_error_before_anything_is_asked_for(standin, opened, api, field):
    server = standin(api, f"unlisted:{field}")
    with pytest.raises(ServerError) as raised:
        asked(opened(server))
    assert f"does not list {field}" in raised.value.what
    assert "without a word" in raised.value.what
    assert server.orders == []


@pytest.mark.parametrize("page", ["no-page", "html-page"])
def test_a_server_without_a_page_of_its_fields_is_said_and_listed(standin, opened, page):
    generator = opened(standin("vllm-omni", page))
    assert any("lists no parameters" in note for note in generator.notes)
    assert "fields of the request (no /openapi.json)" in image(generator).recipe.not_checked


def test_a_slow_answer_is_an_error_and_is_not_asked_for_again(standin, opened):
    server = standin()
    generator = opened(server, read_seconds=1.0)
    image(generator)
    before = server._served
    server.faults.add("hang")
    with pytest.raises(AnswerError, match="no whole answer in 1 s") as raised:
        image(generator)
    assert "--qil-server-timeout" in raised.value.remedy
    assert server._served == before + 1


def test_a_server_that_has_gone_silent_ends_the_session(standin, opened, monkeypatch):
    generator = opened(standin())
    image(generator)

    def late(path, body, *, most):
        raise LateError("no whole answer in 600 s", where=path, remedy="give it longer")

    with monkeypatch.context() as silent:
        silent.setattr(generator._client, "post", late)
        for _ in range(2):
            with pytest.raises(LateError):
                image(generator)
    image(generator)
    monkeypatch.setattr(generator._client, "post", late)
    for _ in range(2):  # counted anew
        with pytest.raises(LateError):
            image(generator)
    with pytest.raises(ModelError, match="3 answers in a row did not come") as raised:
        image(generator)
    assert raised.value.remedy == "give it longer"


@pytest.mark.parametrize("code", ["503", "429"])
def test_a_busy_server_is_asked_once_more_and_that_is_said(standin, opened, code):
    server = standin()
    generator = opened(server)
    image(generator)
    server.faults.add(f"{code}-once")
    denoised = generator.denoise(asked(generator))
    assert denoised.notes == (f"the request was repeated after 0 s: the server answers {code}: busy",)


def test_small_unsteadiness_is_noted_and_hides_no_ignored_parameter(standin, opened):
    server = standin("vllm-omni", "unsteady")
    generator = opened(server)
    assert "other pixels for the same request" in generator.denoise(asked(generator)).notes[0]
    with pytest.raises(ServerError, match="num_inference_steps has no effect"):
        image(opened(standin("vllm-omni", "unsteady", "ignores:num_inference_steps")))


def test_a_server_that_draws_its_own_seeds_is_judged_only_where_all_is_left_to_it(standin, opened):
    server = standin("openai", "ignores:seed")
    with pytest.raises(ServerError, match="another seed for each request") as raised:
        image(opened(server, "fixed=seed"))
    assert "fixed=seed,num_inference_steps,guidance_scale,negative_prompt" in raised.value.remedy
    made = image(opened(server, "fixed=seed,num_inference_steps,guidance_scale,negative_prompt"))
    assert {"seed", "num_inference_steps", "guidance_scale"} <= set(made.recipe.not_checked)


def test_another_model_is_refused(standin, opened):
    with pytest.raises(ServerError, match="serves other/model, not tiny") as raised:
        opened(standin("vllm-omni", "other-model"))
    assert raised.value.remedy.startswith("--qil-model=other/model")


def test_a_server_that_is_not_there_is_asked_twice(standin, opened, quick):
    server = standin()
    server.url = "http://127.0.0.1:9"
    with pytest.raises(ServerError, match="cannot be reached") as raised:
        opened(server)
    assert raised.value.remedy == "start it, or check --qil-server"
    assert quick == [2.0]


def test_a_language_models_server_makes_no_images(standin, opened, monkeypatch):
    server = standin()
    generator = opened(server)
    monkeypatch.setattr("qiltest.serving.generator.IMAGES", "/v1/other")
    with pytest.raises(ServerError, match="no such address"):
        image(generator)


@pytest.mark.parametrize("api", ALL)
def test_lightning_is_refused_unless_the_user_says_that_the_server_has_its_scheduler(standin, opened, api):
    generator = opened(standin(api))
    with pytest.raises(RecipeError, match="it needs Lightning's scheduler, which no request can select") as raised:
        asked(generator, LORA)
    assert "scheduler=lightning" in raised.value.remedy
    with pytest.raises(RecipeError, match="it needs the model's own scheduler"):
        asked(opened(standin(api), "scheduler=lightning"), PLAIN)


def test_a_lora_of_which_nobody_says_where_it_lies_is_refused(standin, opened):
    with pytest.raises(RecipeError, match="where its LoRA lies on the server is not known") as raised:
        asked(opened(standin(), "scheduler=lightning"), LORA)
    assert "lora.4step=PATH" in raised.value.remedy


def test_a_dialect_without_loras_says_how_all_the_same(standin, opened):
    with pytest.raises(RecipeError, match="has no LoRAs") as raised:
        asked(opened(standin("openai"), *LIGHTNING), LORA)
    assert "lora=4step" in raised.value.remedy


def test_a_lora_since_the_servers_start_is_not_asked_for_and_belongs_to_its_variant_alone(standin, opened):
    server = standin("vllm-omni", scheduler="lightning")
    generator = opened(server, "scheduler=lightning", "lora=4step")
    made = image(generator, LORA)
    assert not any(order.lora for order in server.orders)
    assert "LoRA file, keys, alpha and strength" in made.recipe.not_checked
    with pytest.raises(RecipeError, match="the server has the LoRA of 4step in every image"):
        asked(generator, OTHER_LORA)


def test_a_lora_since_sglangs_start_stays_where_it_is(standin, opened):
    server = standin("sglang", scheduler="lightning")
    server.lora = ("default", "/started/4.safetensors", 1.0)
    generator = opened(server, "scheduler=lightning", "lora=4step")
    image(generator, LORA)
    generator.close()
    assert {order.lora for order in server.orders} == {"/started/4.safetensors"}
    assert server.lora is not None


@pytest.mark.parametrize("strength", [0.5, "1", None, [1.0]])
def test_another_strength_than_was_set_is_an_error(standin, opened, strength):
    server = standin("sglang", f"strength:{strength!r}", scheduler="lightning")
    with pytest.raises(
        ServerError, match=r"the server uses qiltest-4step-\w+ at [\d.]+, qiltest-4step-\w+ at 1\.0 was"
    ):
        image(opened(server, *LIGHTNING), LORA)


def test_sglangs_lora_is_taken_off_at_the_end_and_one_that_was_left_before(standin, opened):
    server = standin("sglang", scheduler="lightning")
    server.lora = ("left by somebody", "/x", 1.0)
    generator = opened(server, *LIGHTNING)
    image(generator, LORA)
    assert server.orders[0].lora == ""
    assert server.lora[1] == "/loras/4.safetensors"
    generator.close()
    assert server.lora is None


def test_a_lora_that_stays_on_the_server_at_the_end_is_told(standin, opened):
    server = standin("sglang", scheduler="lightning")
    generator = opened(server, *LIGHTNING)
    image(generator, LORA)
    server.faults.add("keeps-lora")
    with pytest.warns(UserWarning, match="LoRA 4step may still be set on the server"):
        generator.close()


def test_a_server_without_loras_serves_what_needs_none(standin, opened):
    assert image(opened(standin("sglang", "loras-off"))).recipe.effective == SIZE


def test_every_error_has_a_remedy(standin, opened):
    """Those of the tables above; the rest are asserted beside their tests."""
    assert all(row[-1] for row in (*ANSWERS, *PROBES))
    assert issubclass(ServerError, QiltestError)
