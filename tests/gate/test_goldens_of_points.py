"""From scores to goldens, and from goldens to what nobody uses."""

import json
from dataclasses import replace

import pytest

import builders as make
from qiltest.errors import GoldenError
from qiltest.gate.golden import SCHEMA, Golden, GoldenExtra, GoldenStore, GoldenText, golden_from
from qiltest.gate.unused import unused_goldens
from qiltest.recipe import Size
from qiltest.scoring import Extra, ExtraKind
from qiltest.suite.load import Suite

SAMPLE = make.sample(size=Size(1328, 1328))
RECIPE = make.recipe(asked=Size(250, 130), effective=Size(240, 128))


def test_the_golden_of_a_scored_image_holds_each_field():
    extra = Extra(text="Qwen", kind=ExtraKind.DOUBLED, line=1, distance=4, of="Qwen Coffee")
    score = replace(make.score(2), extra=(extra,), distance=6, distance_alnum=5, length=11)
    made = golden_from(SAMPLE, model="tiny", recipe=RECIPE, score=score, noise_floor=0.5, image="f" * 64)
    assert made == Golden(
        schema=SCHEMA,
        case="coffee",
        size="1328x1328",
        variant="4step",
        seed=42,
        model="tiny",
        effective="240x128",
        reader=make.READER.fingerprint,
        distance=6,
        distance_alnum=5,
        length=11,
        noise_floor=0.5,
        texts=(GoldenText(expected="Qwen Coffee", read="as read", distance=2),),
        extra=(GoldenExtra(text="Qwen", kind="doubled", distance=4),),
        recipe_key=RECIPE.key(),
        recipe=RECIPE.facts(),
        image="f" * 64,
    )
    assert type(made.extra[0].kind) is str


def test_the_golden_of_a_point_is_found_or_none(tmp_path):
    store = GoldenStore(root=tmp_path)
    path = store.save(make.golden(2))
    assert store.load("tiny", SAMPLE) == make.golden(2)
    for other in ({"case": "tea"}, {"size": Size(1, 1)}, {"variant": "8step"}, {"seed": 1}):
        assert store.load("tiny", replace(SAMPLE, **other)) is None
    assert store.load("random", SAMPLE) is None
    path.write_text("{")
    with pytest.raises(GoldenError):
        store.load("tiny", SAMPLE)


def suite():
    return Suite(cases=(make.case(size=Size(1328, 1328), tiny=make.SIZE),), variants=(make.variant(),))


def test_goldens_that_nobody_can_use_are_named_with_the_reason(tmp_path):
    store = GoldenStore(root=tmp_path)
    store.save(make.golden())
    store.save(make.golden(seed=7))
    other = [
        store.save(make.golden(case="tea")),
        store.save(make.golden(size="256x128")),
        store.save(make.golden(variant="8step")),
    ]
    strange = other[0].parent.parent / "coffee@1328x1328" / "notes.json"
    strange.write_text(json.dumps({}))
    tail = "\n  -> remove the file, or restore the case or variant it belongs to"
    assert sorted(unused_goldens(store, "tiny", suite())) == sorted(
        [
            f"unused golden {other[0]}: the suite has no case tea@1328x1328{tail}",
            f"unused golden {other[1]}: the suite has no case coffee@256x128{tail}",
            f"unused golden {other[2]}: variants.toml has no variant 8step{tail}",
            f"unused golden {strange}: its name is not VARIANT-sSEED.json{tail}",
        ]
    )
    assert list(unused_goldens(store, "random", suite())) == []
