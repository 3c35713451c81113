"""What a run says that it could not check."""

import builders as make
from qiltest.engine.notes import run_notes
from qiltest.recipe import LoraRecipe
from qiltest.suite.variants import ModelBase

FOUR = make.variant("4step", base_model="Qwen/Qwen-Image")
EIGHT = make.variant("8step", base_model="Qwen/Qwen-Image", steps=8)


def notes(base, *variants, **sources):
    loras = {
        name: LoraRecipe(source=source, sha256="0" * 64, rank=4, scale=1.0, merged=False)
        for name, source in sources.items()
    }
    recipes = [make.recipe(variant=variant.name, lora=loras.get(variant.name)) for variant in variants]
    return list(run_notes(base, {variant.name: variant for variant in variants}, recipes))


def test_an_unknown_base_is_noted_with_the_option_that_says_it():
    (note,) = notes(ModelBase(model="/models/mine"), FOUR, EIGHT, make.variant("own"))
    assert note == (
        "base not checked: nothing tells which base model /models/mine is, but 4step, 8step are for Qwen/Qwen-Image; "
        "--qil-base=ID says it"
    )


def test_a_known_base_the_embedded_model_and_variants_of_any_base_need_no_note():
    assert notes(ModelBase(model="/models/mine", id="Qwen/Qwen-Image"), FOUR) == []
    assert notes(ModelBase(model="tiny"), FOUR) == []
    assert notes(ModelBase(model="/models/mine"), make.variant("own")) == []


def test_a_base_model_that_the_catalogue_does_not_know_is_noted_with_the_nearest():
    typo = make.variant("typo", base_model="Qwen/Qwen-Image-2521")
    (note,) = notes(ModelBase(model="tiny"), FOUR, typo)
    assert note == (
        "variant typo: its base_model Qwen/Qwen-Image-2521 is not in the catalogue "
        '(did you mean "Qwen/Qwen-Image-2512"?)'
        "; correct it in variants.toml, unless it is a model of your own"
    )


def test_a_model_and_a_folder_of_ones_own_need_no_note():
    own = make.variant("own", base_model="me/fine-tuned")
    assert notes(ModelBase(model="me/fine-tuned"), own) == []
    assert notes(ModelBase(model="/models/x", id="me/fine-tuned"), own) == []
    assert notes(ModelBase(model="tiny"), make.variant("folder", base_model="/models/mine")) == []


def test_a_lora_whose_name_is_of_another_release_is_noted():
    known = ModelBase(model="Qwen/Qwen-Image", id="Qwen/Qwen-Image")
    (note,) = notes(known, FOUR, **{"4step": "/loras/Qwen-Image-Edit-Lightning-4steps-V1.0.safetensors"})
    assert note.startswith("variant 4step: by its name, a hint (")
    (note,) = notes(known, FOUR, **{"4step": "/loras/mine-8steps.safetensors"})
    assert "speak of 8 steps" in note
