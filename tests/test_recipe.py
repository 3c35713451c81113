"""Recipes: the laws of their key, and of the way to JSON and back."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qiltest.errors import RecipeError
from qiltest.input_images import InputImage
from qiltest.recipe import EditPrompt, Elsewhere, LoraRecipe, Recipe, ServedRecipe, Size, other_parts, recipe_changes

SLOW_FIRST_DRAW = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
REALS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(max_size=8)
SIZES = st.builds(Size, st.integers(16, 4096), st.integers(16, 4096))
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | REALS | WORDS
LORAS = st.builds(LoraRecipe, source=WORDS, sha256=WORDS, rank=st.integers(), scale=REALS, merged=st.booleans())
ELSEWHERE = st.builds(
    Elsewhere,
    source=WORDS,
    file=WORDS,
    file_sha256=WORDS,
    told=st.dictionaries(WORDS, SCALARS, max_size=3).map(lambda pairs: tuple(pairs.items())),
    not_checked=st.lists(WORDS, max_size=2).map(tuple),
)
SERVED = st.builds(
    ServedRecipe,
    api=WORDS,
    version=WORDS,
    card=st.dictionaries(WORDS, SCALARS, max_size=3).map(lambda pairs: tuple(pairs.items())),
    request=WORDS,
    said=st.dictionaries(WORDS, WORDS, max_size=3).map(lambda pairs: tuple(pairs.items())),
    not_checked=st.lists(WORDS, max_size=3).map(tuple),
)
BY_FIELD: dict[str, st.SearchStrategy[Any]] = {
    "model": WORDS,
    "model_revision": WORDS,
    "model_sha256": WORDS,
    "model_parts": st.dictionaries(WORDS, WORDS, min_size=1, max_size=3).map(lambda pairs: tuple(pairs.items())),
    "variant": WORDS,
    "lora": st.none() | LORAS,
    "scheduler": st.dictionaries(WORDS, SCALARS, max_size=3).map(lambda pairs: tuple(pairs.items())),
    "sigmas": st.lists(REALS, max_size=3).map(tuple),
    "given_sigmas": st.lists(REALS, max_size=3).map(tuple),
    "steps": st.integers(1, 100),
    "true_cfg_scale": REALS,
    "negative_prompt": st.none() | WORDS,
    "prompt": WORDS,
    "inputs": st.lists(st.builds(InputImage, path=WORDS, sha256=WORDS), max_size=2).map(tuple),
    "max_sequence_length": st.integers(1, 1024),
    "seed": st.integers(0, 2**63 - 1),
    "generator_device": WORDS,
    "asked": SIZES,
    "effective": SIZES,
    "dtype": WORDS,
    "device": WORDS,
    "attention_backend": WORDS,
    "compiled": st.booleans(),
    "offload": WORDS,
    "versions": st.dictionaries(WORDS, WORDS, max_size=3).map(lambda pairs: tuple(pairs.items())),
    "elsewhere": st.none() | ELSEWHERE,
    "served": st.none() | SERVED,
}
RECIPES = st.builds(Recipe, **BY_FIELD)
RECIPE = Recipe(
    model="tiny",
    model_revision="1",
    model_sha256="ab",
    variant="8step",
    lora=LoraRecipe(source="embedded::8step", sha256="cd", rank=4, scale=1.0, merged=False),
    scheduler=(("shift_terminal", None), ("base_shift", 1.0986), ("use_dynamic_shifting", True)),
    sigmas=(1.0, 0.875),
    steps=8,
    true_cfg_scale=1.0,
    negative_prompt=None,
    prompt="Hello 世界 😊",
    max_sequence_length=512,
    seed=42,
    generator_device="cpu",
    asked=Size(713, 1280),
    effective=Size(704, 1280),
    dtype="float32",
    device="cpu",
    attention_backend="native",
    compiled=False,
    versions=(("torch", "2.14.1"), ("diffusers", "0.42.1")),
)


def test_without_offloading_the_canonical_json_is_what_it_was_before_there_was_the_field() -> None:
    assert "offload" not in RECIPE.canonical()
    assert "offload" not in RECIPE.facts()
    offloaded = replace(RECIPE, offload="group")
    assert offloaded.key() != RECIPE.key()
    assert list(recipe_changes(RECIPE.facts(), offloaded.facts())) == ["offload (none) -> group"]


def test_input_images_are_their_bytes_and_a_recipe_of_text_alone_is_what_it_was() -> None:
    assert "inputs" not in RECIPE.canonical()
    assert RECIPE.prompts == (RECIPE.prompt,)
    one, moved = InputImage(path="/a/x.png", sha256="ef"), InputImage(path="/b/y.png", sha256="ef")
    edit = replace(RECIPE, inputs=(one,), true_cfg_scale=4.0, negative_prompt=" ")
    assert edit.key() != replace(edit, inputs=()).key()
    assert edit.key() == replace(edit, inputs=(moved,)).key()
    assert edit.key() != replace(edit, inputs=(one, one)).key()
    assert edit.facts()["inputs.1"] == "ef"
    assert edit.prompts == tuple(EditPrompt(text=text, inputs=(one,)) for text in (RECIPE.prompt, " "))


def test_without_a_server_the_canonical_json_is_what_it_was_before_there_was_the_field() -> None:
    assert "served" not in RECIPE.canonical()
    assert not any(name.startswith("served") for name in RECIPE.facts())
    assert RECIPE.not_checked == ()
    served = ServedRecipe(api="sglang", version="1", card=(), request="{}", said=(), not_checked=("weights",))
    asked = replace(RECIPE, served=served)
    assert asked.key() != RECIPE.key()
    assert Recipe.from_json(asked.canonical()) == asked
    assert "served.api (none) -> sglang" in recipe_changes(RECIPE.facts(), asked.facts())


def test_the_strategies_cover_every_field() -> None:
    assert list(BY_FIELD) == [field.name for field in fields(Recipe)]


@SLOW_FIRST_DRAW
@given(recipe=RECIPES, field=st.sampled_from(sorted(BY_FIELD)), data=st.data())
def test_the_key_changes_if_and_only_if_a_field_changes_that_decides_the_image(
    recipe: Recipe, field: str, data: st.DataObject
) -> None:
    other = replace(recipe, **{field: data.draw(BY_FIELD[field])})
    same = repr(getattr(other, field)) == repr(getattr(recipe, field))
    if field in ("model", "model_revision"):  # told, and not compared: the parts have hashes
        same = True
    elif field == "lora" and recipe.lora is not None and other.lora is not None:
        same = repr(replace(other.lora, source="")) == repr(replace(recipe.lora, source=""))
    elif field == "inputs":
        same = [image.sha256 for image in other.inputs] == [image.sha256 for image in recipe.inputs]
    elif field == "elsewhere" and recipe.elsewhere is not None and other.elsewhere is not None:
        same = _bytes_of(other.elsewhere) == _bytes_of(recipe.elsewhere)
    assert (other.key() == recipe.key()) is same
    assert (other == recipe) is same


def _bytes_of(image: Elsewhere) -> str:
    """The file's bytes decide, and not its name or what was told of it."""
    return repr(replace(image, file="", told=()))


def test_an_image_made_elsewhere_is_its_files_bytes_and_what_was_told_is_a_fact() -> None:
    made = Elsewhere(source="comfyui", file="a.png", file_sha256="ef", told=(("seed", 42),), not_checked=("seed",))
    recipe = replace(RECIPE, elsewhere=made)
    assert "elsewhere" not in RECIPE.canonical()
    assert recipe.key() != RECIPE.key()
    assert replace(RECIPE, elsewhere=replace(made, file="b.png", told=())).key() == recipe.key()
    assert replace(RECIPE, elsewhere=replace(made, file_sha256="00")).key() != recipe.key()
    assert recipe.facts().items() - RECIPE.facts().items() == {
        ("elsewhere.source", "comfyui"),
        ("elsewhere.file_sha256", "ef"),
        ("told.seed", 42),
    }
    with pytest.raises(RecipeError, match="cfg is inf"):
        replace(made, told=(("cfg", float("inf")),))


@pytest.mark.parametrize("field", ["model", "model_revision"])
def test_without_the_hashes_of_its_parts_a_model_is_its_name_and_revision(field: str) -> None:
    assert "model_parts" not in RECIPE.canonical()
    assert replace(RECIPE, **{field: "another"}).key() != RECIPE.key()


def test_one_part_of_other_bytes_is_another_recipe_and_is_named() -> None:
    one = replace(RECIPE, model_parts=(("vae", "a" * 64), ("transformer", "b" * 64)))
    other = replace(one, model_parts=(("vae", "c" * 64), ("transformer", "b" * 64)))
    assert one.key() != other.key()
    assert other_parts(one.facts(), other.model_parts) == {"vae": ("a" * 64, "c" * 64)}
    assert other_parts(one.facts(), one.model_parts) == other_parts(RECIPE.facts(), one.model_parts) == {}
    assert other_parts(one.facts(), RECIPE.model_parts) == {}
    assert list(recipe_changes(one.facts(), other.facts())) == [f"model.vae {'a' * 40}… -> {'c' * 40}…"]


@SLOW_FIRST_DRAW
@given(recipe=RECIPES)
def test_a_recipe_comes_back_from_its_canonical_json(recipe: Recipe) -> None:
    back = Recipe.from_json(recipe.canonical())
    assert back == recipe
    assert repr(back) == repr(recipe)
    assert back.key() == recipe.key()
    assert hash(back) == hash(recipe)


def test_the_order_of_named_pairs_decides_nothing() -> None:
    turned = replace(RECIPE, scheduler=RECIPE.scheduler[::-1], versions=RECIPE.versions[::-1])
    assert turned.key() == RECIPE.key()
    assert [name for name, _ in RECIPE.versions] == ["diffusers", "torch"]


def test_a_whole_number_is_the_recipe_of_its_decimal() -> None:
    assert replace(RECIPE, true_cfg_scale=1, sigmas=(1, 0.875)).key() == RECIPE.key()


def test_zero_and_false_are_two_configurations() -> None:
    assert replace(RECIPE, scheduler=(("a", 0),)) != replace(RECIPE, scheduler=(("a", False),))


def test_a_recipe_is_no_other_thing() -> None:
    assert RECIPE.canonical() != RECIPE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"surprise": 1}, "surprise: "),
        ({"steps": "8"}, "steps: "),
        ({"steps": 8.0}, "steps: "),
        ({"seed": True}, "seed: "),
        ({"compiled": 0}, "compiled: "),
        ({"prompt": None}, "prompt: "),
        ({"asked": [713, 1280]}, "asked: "),
        ({"asked": {"width": 713, "height": 1280, "depth": 1}}, "asked.depth: "),
        ({"lora": {"source": "x"}}, "lora.sha256: "),
        ({"scheduler": [["shift"]]}, "scheduler.0.1: "),
        ({"scheduler": [["shift", [3]]]}, "scheduler.0.1."),
        ({"scheduler": [["shift", 1], ["shift", 3]]}, "duplicate names in scheduler: shift"),
        ({"sigmas": [float("nan")]}, "sigmas.0: Input should be a finite number"),
        ({"sigmas": ["1.0"]}, "sigmas.0: "),
    ],
)
def test_a_stored_recipe_that_is_not_one_is_refused_by_field(change: dict[str, Any], said: str) -> None:
    record = json.loads(RECIPE.canonical()) | change
    with pytest.raises(RecipeError) as caught:
        Recipe.from_json(json.dumps(record))
    assert said in str(caught.value)


MAY_BE_ABSENT = {"offload", "model_parts", "served", "elsewhere", "inputs", "given_sigmas"}


@pytest.mark.parametrize("field", sorted(BY_FIELD.keys() - MAY_BE_ABSENT))
def test_a_stored_recipe_that_lacks_a_field_is_refused(field: str) -> None:
    record = json.loads(RECIPE.canonical())
    del record[field]
    with pytest.raises(RecipeError, match=f"{field}: "):
        Recipe.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "EOF while parsing"),
        ("[]", "Input should be an object"),
        (RECIPE.canonical()[:-20], "EOF while parsing"),
        (RECIPE.canonical().replace("0.875", "NaN"), "sigmas.1: Input should be a finite number"),
        (RECIPE.canonical().replace("0.875", "-Infinity"), "sigmas.1: Input should be a finite number"),
        (RECIPE.canonical().replace("0.875", "1e999"), "finite"),
        (RECIPE.canonical().replace('"seed":42', '"seed":42,"seed":43'), "duplicate key 'seed'"),
        ("[" * 100_000, "levels"),
    ],
    ids=["cut", "a list", "truncated", "NaN", "infinity", "overflow", "a key twice", "deep"],
)
def test_a_text_that_is_no_recipe_is_refused(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Recipe.from_json(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["true_cfg_scale", "sigmas", "scheduler"])
def test_a_recipe_holds_no_number_that_is_not_finite(field: str, value: float) -> None:
    values: dict[str, Any] = {"true_cfg_scale": value, "sigmas": (1.0, value), "scheduler": (("shift", value),)}
    with pytest.raises(RecipeError, match=f"{field}.* is {value}, not a finite number"):
        replace(RECIPE, **{field: values[field]})


def test_a_lora_has_a_finite_scale() -> None:
    with pytest.raises(RecipeError, match=r"lora\.scale is nan"):
        LoraRecipe(source="x", sha256="y", rank=1, scale=float("nan"), merged=False)


@pytest.mark.parametrize(
    ("scale", "negative", "nfe"), [(4.0, " ", 16), (4.0, "", 16), (4.0, None, 8), (1.0, " ", 8), (1.0, None, 8)]
)
def test_guidance_doubles_the_forwards_only_with_a_negative_prompt(
    scale: float, negative: str | None, nfe: int
) -> None:
    assert replace(RECIPE, true_cfg_scale=scale, negative_prompt=negative).nfe == nfe


@pytest.mark.parametrize(("text", "size"), [("1328x1328", Size(1328, 1328)), ("713x1280", Size(713, 1280))])
def test_a_size_is_read_and_written_alike(text: str, size: Size) -> None:
    assert Size.parse(text) == size
    assert str(size) == text


@pytest.mark.parametrize(
    "text", ["", "1328", "1328X1328", "0x16", "016x16", "1x16", "16x16 ", "-16x16", "１６x16", "16x100000"]
)
def test_what_is_no_size_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
        Size.parse(text)


@given(width=st.integers(10, 99999), height=st.integers(10, 99999))
def test_the_effective_size_is_the_nearest_multiple_of_16_below(width: int, height: int) -> None:
    effective = Size(width, height).effective()
    assert (effective.width % 16, effective.height % 16) == (0, 0)
    assert 0 <= width - effective.width < 16
    assert 0 <= height - effective.height < 16
    assert effective.effective() == effective


def test_what_differs_between_two_recipes_is_named_field_by_field():
    before = replace(RECIPE, versions=(("torch", "2.11.0"), ("peft", "0.17")), steps=4, lora=None)
    now = replace(RECIPE, versions=(("torch", "2.14.1"), ("diffusers", "0.42")), steps=8)
    changes = set(recipe_changes(before.facts(), now.facts()))
    assert {"torch 2.11.0 -> 2.14.1", "peft 0.17 -> (none)", "diffusers (none) -> 0.42", "steps 4 -> 8"} <= changes
    assert any(change.startswith("lora") for change in changes)
    assert not list(recipe_changes(now.facts(), now.facts()))


def test_a_difference_past_what_is_shown_is_still_named():
    assert list(recipe_changes({"prompt": "a" * 50 + "b"}, {"prompt": "a" * 50 + "c"})) == [
        f"prompt differs (both begin with {'a' * 40}…)"
    ]


def test_the_facts_name_every_field_once_and_are_plain_values():
    facts = RECIPE.facts()
    assert {"model", "seed", "torch", "asked", "sigmas", "lora.sha256"} <= set(facts)
    assert all(value is None or isinstance(value, str | int | float | bool) for value in facts.values())
