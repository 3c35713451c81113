"""From scores to goldens, from goldens to what nobody uses, and pairs that say what keeps them apart."""

import json
from dataclasses import replace

import pytest

from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Pair, Pairing
from qiltest.comparison.statistics import rate_interval
from qiltest.gate.golden import SCHEMA, Golden, GoldenExtra, GoldenStore, GoldenText, golden_from, unused_goldens
from qiltest.gate.verdict import golden_of
from qiltest.recipe import Recipe, Size
from qiltest.scoring import Extra, ExtraKind
from qiltest.suite.cases import Case, ExpectedText, Limits, Resolution
from qiltest.suite.load import Suite
from qiltest.suite.selection import Point
from qiltest.suite.variants import SchedulerKind, Variant

POINT = Point(case="coffee", size=Size(1328, 1328), variant="4step", seed=42)
RECIPE = Recipe(
    model="tiny",
    model_revision="embedded",
    model_sha256="1" * 64,
    variant="4step",
    lora=None,
    scheduler=(),
    sigmas=(1.0,),
    steps=1,
    true_cfg_scale=1.0,
    negative_prompt=None,
    prompt="p",
    max_sequence_length=512,
    seed=42,
    generator_device="cpu",
    asked=Size(250, 130),
    effective=Size(240, 128),
    dtype="float32",
    device="cpu",
    attention_backend="native",
    compiled=False,
    versions=(),
)


def test_the_golden_of_a_scored_picture_holds_each_field(make):
    extra = Extra(text="Qwen", kind=ExtraKind.DOUBLED, line=1, distance=4, of="Qwen Coffee")
    score = replace(make.score(2), extra=(extra,), distance=6, distance_alnum=5, length=11)
    made = golden_from(POINT, model="tiny", recipe=RECIPE, score=score, noise_floor=0.5, picture="f" * 64)
    assert made == Golden(
        schema=SCHEMA,
        case="coffee",
        size="1328x1328",
        variant="4step",
        seed=42,
        model="tiny",
        effective="240x128",
        reader=make.reader.fingerprint,
        distance=6,
        distance_alnum=5,
        length=11,
        noise_floor=0.5,
        texts=(GoldenText(expected="Qwen Coffee", read="as read", distance=2),),
        extra=(GoldenExtra(text="Qwen", kind="doubled", distance=4),),
        recipe_key=RECIPE.key(),
        recipe=RECIPE.facts(),
        picture="f" * 64,
    )
    assert type(made.extra[0].kind) is str


def test_the_golden_of_a_point_is_found_or_none(tmp_path, make):
    store = GoldenStore(root=tmp_path)
    path = store.save(make.golden(2))
    assert golden_of(store, "tiny", POINT) == make.golden(2)
    for other in ({"case": "tea"}, {"size": Size(1, 1)}, {"variant": "8step"}, {"seed": 1}):
        assert golden_of(store, "tiny", replace(POINT, **other)) is None
    assert golden_of(store, "random", POINT) is None
    path.write_text("{")
    assert golden_of(store, "tiny", POINT) is None


def suite():
    size = Size(1328, 1328)
    case = Case(
        id="coffee",
        title="Coffee",
        prompt="p",
        language="en",
        report_table=None,
        texts=(ExpectedText(text="Qwen Coffee"),),
        resolutions=(Resolution(size=size, tiny=Size(256, 128)),),
        limits=Limits(tolerance=0),
    )
    variant = Variant(
        name="4step",
        title="Four",
        steps=4,
        true_cfg_scale=1.0,
        negative_prompt=None,
        scheduler=SchedulerKind.LIGHTNING,
        prompt_suffix=(),
    )
    return Suite(cases=(case,), variants=(variant,))


def test_goldens_that_nobody_can_use_are_named_with_the_reason(tmp_path, make):
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
    tail = "\n  -> remove the file, or bring back what it is for"
    assert sorted(unused_goldens(store, "tiny", suite())) == sorted(
        [
            f"unused golden {other[0]}: the suite has no case tea@1328x1328{tail}",
            f"unused golden {other[1]}: the suite has no case coffee@256x128{tail}",
            f"unused golden {other[2]}: variants.toml has no variant 8step{tail}",
            f"unused golden {strange}: its name is not VARIANT-sSEED.json{tail}",
        ]
    )
    assert list(unused_goldens(store, "random", suite())) == []


def test_a_pair_without_characters_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^tea@1x1-s3: distances 0 and 1 of 0 characters$"):
        Pair(case="tea", size="1x1", seed=3, before=0, after=1, length=0)
    with pytest.raises(ValueError, match=r"^tea@1x1-s3: distances -1 and 1 of 5 characters$"):
        Pair(case="tea", size="1x1", seed=3, before=-1, after=1, length=5)
    assert Pair(case="tea", size="1x1", seed=3, before=0, after=2, length=1).change == 2


def test_the_same_picture_cannot_be_paired_twice():
    pair = Pair(case="tea", size="1x1", seed=3, before=0, after=1, length=5)
    with pytest.raises(ValueError, match=r"^a picture of 8step or 4step is paired twice$"):
        Pairing(before="8step", after="4step", pairs=(pair, pair))


def test_exact_texts_are_counted_in_mcnemars_four_cells():
    cells = [(0, 0)] * 4 + [(0, 1)] * 3 + [(1, 0)] * 2 + [(1, 1)]
    pairs = tuple(
        Pair(case="tea", size="1x1", seed=n, before=old, after=new, length=10) for n, (old, new) in enumerate(cells)
    )
    found = compare([Pairing(before="a", after="b", pairs=pairs)], alpha=0.1, resamples=99)
    exact = found.comparisons[0].exact
    assert (exact.both, exact.broken, exact.mended, exact.neither) == (4, 3, 2, 1)
    assert (found.alpha, found.comparisons[0].interval.confidence) == (0.1, pytest.approx(0.9))


def test_an_interval_of_units_without_characters_names_what_it_was_given():
    with pytest.raises(ValueError, match=r"^no interval for \[1, 2\] edits of \[0, 0\] characters$"):
        rate_interval([1, 2], [0, 0], confidence=0.95, resamples=9)
