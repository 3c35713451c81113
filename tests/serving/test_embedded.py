"""The embedded model behind a server gives the bytes that it gives in this process."""

from __future__ import annotations

from dataclasses import replace

import pytest

import builders as make
from qiltest.errors import ServerError
from qiltest.generation import Generation
from qiltest.recipe import Size
from qiltest.serving.opening import open_served
from qiltest.serving.settings import Api, Says, Server
from qiltest.suite.load import load_suite
from qiltest.suite.variants import ModelBase
from served_embedded import EmbeddedPainter
from served_standin import serving

pytestmark = pytest.mark.slow
#: what is compared is bytes, and what servers ignore shows in any image: a small one, of a short prompt, will do.
SIZE = Size(128, 64)
CASE = make.case("sign", prompt="a sign that reads “Hi”", texts=(), resolutions=())
#: images that were made in this process, by variant.
OWN: dict[str, Generation] = {}
SAYS = ("scheduler=lightning", "lora.8step=embedded::8step", "lora.4step=embedded::4step")


@pytest.fixture(scope="module")
def painter():
    return EmbeddedPainter(threads=1)


@pytest.fixture(scope="module")
def suite(request):
    return load_suite(request.config.rootpath / "cases")


def in_process(painter, suite, name, **fields):
    case, variant = CASE, next(v for v in suite.variants if v.name == name)
    variant = replace(variant, **fields)
    if name not in OWN:
        recipe = painter.generator.recipe(case, SIZE, variant, 42)
        OWN[name] = painter.generator.decode(painter.generator.denoise(recipe))
    return case, SIZE, variant, OWN[name]


def opened(server, says):
    api = Api(server.api)
    return open_served(Server(url=server.url, api=api, says=Says.parse(says, api=api)), "tiny", ModelBase(model="tiny"))


# what each API is told is compared with stand-ins of all of them: here one for each recipe will do
@pytest.mark.parametrize("api", ["vllm-omni"])
def test_a_lora_on_lightnings_scheduler_gives_the_same_bytes(painter, suite, api):
    case, size, variant, own = in_process(painter, suite, "4step")
    with serving(api, painter, scheduler="lightning") as server:
        generator = opened(server, SAYS)
        made = generator.decode(generator.denoise(generator.recipe(case, size, variant, 42)))
        generator.close()
    assert made.png == own.png
    assert made.recipe.key() != own.recipe.key()


@pytest.mark.parametrize("api", ["sglang"])
def test_guidance_on_the_models_own_scheduler_gives_the_same_bytes(painter, suite, api):
    case, size, variant, own = in_process(painter, suite, "base", steps=4)
    with serving(api, painter) as server:
        generator = opened(server, ())
        made = generator.decode(generator.denoise(generator.recipe(case, size, variant, 42)))
        generator.close()
    assert made.png == own.png


def test_the_embedded_model_shows_what_a_server_ignores(painter, suite):
    case, variant = CASE, next(v for v in suite.variants if v.name == "4step")
    for scheduler, seen in (("model", "it cannot generate in one"), ("guarded", "its last step changes next to noth")):
        with serving("vllm-omni", painter, scheduler=scheduler) as server:
            generator = opened(server, SAYS)
            with pytest.raises(ServerError, match=f"the server's scheduler is not Lightning's: {seen}"):
                generator.denoise(generator.recipe(case, SIZE, variant, 42))
            generator.close()
    with serving("vllm-omni", painter, "no-lora", scheduler="lightning") as server:
        generator = opened(server, SAYS)
        with pytest.raises(ServerError, match="LoRA 4step has no effect"):
            generator.denoise(generator.recipe(case, SIZE, variant, 42))
        generator.close()
