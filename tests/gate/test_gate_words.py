"""What goldens and latencies say when something is wrong with them: message, place and remedy, word by word."""

import json
from dataclasses import replace

import pytest

import builders as make
from qiltest.errors import GoldenError
from qiltest.gate import GoldenStore, LatencyStore, Verdict, judge, judge_latency
from qiltest.gate.golden import GoldenExtra, GoldenText
from qiltest.gate.latency import SCHEMA, LatencyGolden
from qiltest.recipe import Size
from qiltest.suite.cases import Limits

COHORT = make.gpu_cohort()
RECORD = make.sample(size=Size(1328, 1328))
AGAIN = "restore it with `git checkout`, or record it again with --qil-update=changed"


@pytest.fixture
def store(tmp_path):
    return GoldenStore(root=tmp_path)


def refused(call, *args):
    with pytest.raises(GoldenError) as error:
        call(*args)
    return error.value


def latency(seconds=2.0):
    return LatencyGolden(schema=SCHEMA, cohort=COHORT, seconds=seconds, fastest=1.9, slowest=2.1, images=3)


def test_a_golden_is_a_small_file_that_people_can_read(store):
    golden = make.golden(2, extra=(GoldenExtra(text="wéi", kind="other", distance=0),))
    path = store.save(golden)
    assert path == store.root / "tiny" / "coffee@1328x1328" / "4step-s42.json"
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n  "schema": 3,\n  "case": "coffee",\n')
    assert text.endswith("}\n")
    assert "wéi" in text
    assert store.load("tiny", RECORD) == golden


def test_a_golden_that_cannot_be_read_names_the_file_and_the_option(store):
    path = store.path("tiny", RECORD)
    path.mkdir(parents=True)
    error = refused(store.load, "tiny", RECORD)
    assert error.what == "the golden cannot be read: Is a directory"
    assert error.where == str(path)
    assert error.remedy == "make the folder of goldens (--qil-golden) and its files readable"


def test_a_golden_that_cannot_be_written_names_the_file_and_the_option(store):
    (store.root / "tiny").write_text("a file where a folder should be")
    error = refused(store.save, make.golden())
    assert error.what.startswith("the golden cannot be written: ")
    assert error.where == str(store.path("tiny", RECORD))
    assert error.remedy == "make its folder writable, or choose another with --qil-golden"


def test_a_model_that_is_no_folders_name_is_refused_with_a_rule(store):
    error = refused(store.folder, "..")
    assert error.what == "model name '..' cannot be a folder of goldens"
    assert error.where == str(store.root)
    assert error.remedy == ("rename its folder: letters, digits, '.', '_' and '-', at most 96, first a letter or digit")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"case": "tea"}, "this golden belongs to another image: case 'tea' instead of 'coffee'"),
        (
            {"seed": 7, "variant": "8step"},
            "this golden belongs to another image: variant '8step' instead of '4step', seed 7 instead of 42",
        ),
        ({"distance": 3}, "invalid golden: distance 3, but its texts and extras add up to 0"),
        ({"length": 0}, "invalid golden: length 0 is below 1"),
        ({"distance_alnum": -1}, "invalid golden: distance_alnum -1 is below 0"),
        ({"texts": []}, "invalid golden: texts: no expected text"),
        (
            {"texts": [{"expected": "a", "read": "", "distance": n} for n in (3, -3)]},
            "invalid golden: texts[1].distance -3 is below 0",
        ),
        ({"image": "../../etc/passwd"}, "invalid golden: image '../../etc/passwd' is not a SHA-256"),
        ({"recipe_key": "A" * 64}, f"invalid golden: recipe_key '{'A' * 64}' is not a SHA-256"),
        ({"noise_floor": -1.0}, "invalid golden: noise_floor -1.0 is below 0"),
        ({"noise_floor": 10.5}, "invalid golden: noise_floor 10.5 is above the length 10"),
        (
            {"extra": [{"text": "x", "kind": "nonsense", "distance": 0}]},
            "invalid golden: extra[0].kind 'nonsense' is not a kind of unexpected text",
        ),
        (
            {"distance": 17, "extra": [{"text": "x y", "kind": "doubled", "distance": 17}]},
            "invalid golden: extra[0].distance 17, but 'x y' (doubled) counts 2",
        ),
        (
            {"distance": 1, "extra": [{"text": "x", "kind": "other", "distance": 1}]},
            "invalid golden: extra[0].distance 1, but 'x' (other) counts 0",
        ),
    ],
)
def test_a_golden_that_is_not_this_images_says_what_is_wrong(store, fields, what):
    path = store.save(make.golden())
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    error = refused(store.load, "tiny", RECORD)
    assert (error.what, error.where, error.remedy) == (what, str(path), AGAIN)


def test_a_damaged_golden_names_its_first_three_faults(store):
    path = store.save(make.golden())
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "seed": "x", "length": None, "model": 1, "size": 2}))
    error = refused(store.load, "tiny", RECORD)
    assert error.what.startswith("invalid golden: size: Input should be a valid string; seed: ")
    assert error.what.count(";") == 2
    path.write_text("{")
    error = refused(store.load, "tiny", RECORD)
    assert error.what.startswith("invalid golden: file: Invalid JSON")
    assert (error.where, error.remedy) == (str(path), AGAIN)


def test_a_removed_golden_is_gone_and_may_be_removed_twice(store):
    path = store.save(make.golden())
    other = store.save(make.golden(seed=43))
    store.remove(make.golden())
    assert not path.exists()
    assert other.exists()
    store.remove(make.golden())
    store.remove(make.golden(case="never"))


def test_a_golden_that_cannot_be_removed_says_so(store):
    path = store.path("tiny", RECORD)
    path.mkdir(parents=True)
    error = refused(store.remove, make.golden())
    assert error.what.startswith("the golden cannot be removed: ")
    assert error.where == str(path)
    assert error.remedy == "make its folder writable"


def test_two_goldens_are_the_same_text_whatever_image_and_recipe_were():
    golden = make.golden()
    assert golden.same_text(replace(golden, recipe_key="c" * 64, recipe={}, image="d" * 64, seed=1))
    for change in (
        {"effective": "1x1"},
        {"reader": "other"},
        {"distance": 1},
        {"distance_alnum": 1},
        {"length": 11},
        {"noise_floor": 1.0},
        {"texts": (GoldenText(expected="x", read="x", distance=0),)},
        {"extra": (GoldenExtra(text="x", kind="other", distance=0),)},
    ):
        assert not golden.same_text(replace(golden, **change))


def judged(distance, golden, *, tolerance=0, absolute=None, noise_floor=None, size=None, **fields):
    score = make.score(distance, **fields)
    limits = Limits(tolerance=tolerance, absolute=absolute)
    return judge(score, golden, limits, case=make.case(), effective=size or make.SIZE, noise_floor=noise_floor)


def test_a_judgement_holds_every_number_that_led_to_it():
    found = judged(2, make.golden(1), tolerance=3, absolute=3, noise_floor=0.5)
    assert (found.verdict, found.reasons) == (Verdict.PASS, ())
    assert (found.distance, found.limit, found.golden_distance, found.noise_floor) == (2, 3, 1, 0.5)


def test_a_failure_names_both_limits_where_both_are_passed():
    found = judged(5, make.golden(1), tolerance=1, absolute=3)
    assert found.verdict is Verdict.FAIL
    assert found.reasons == (
        "distance 5 is above the case's absolute limit 3",
        "distance 5 is above the limit 2 (golden 1 + tolerance 1)",
    )


def test_no_golden_is_new_in_words():
    found = judged(5, None)
    assert (found.verdict, found.limit, found.golden_distance) == (Verdict.NEW, None, None)
    assert found.reasons == ("no golden for this image yet",)


def test_a_golden_of_other_things_says_which():
    other = make.golden(reader="easyocr-1-abc", effective="512x512")
    found = judged(5, other)
    assert found.verdict is Verdict.INCOMPARABLE
    assert found.limit is None
    assert found.reasons == (
        f"the golden was read by easyocr-1-abc, this image by {make.READER.fingerprint}: different readers are not "
        "comparable",
        "the golden's image is 512x512, this one is 256x128",
    )


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["Qwen Tea"], "added 'Qwen Coffee'; removed 'Qwen Tea'"),
        (["Qwen Coffee", "Qwen Tea"], "removed 'Qwen Tea'"),
        (["Qwen Coffee", "Qwen Coffee"], "order"),
    ],
)
def test_a_golden_of_other_texts_says_how_they_changed(texts, told):
    golden = make.golden(texts=tuple(GoldenText(expected=text, read="", distance=0) for text in texts))
    found = judged(0, golden)
    assert found.verdict is Verdict.INCOMPARABLE
    assert found.reasons == (f"the case's expected texts changed since the golden was recorded ({told})",)


def test_a_limit_below_the_readers_own_error_is_an_error_in_words():
    found = judged(1, make.golden(1), noise_floor=1.5)
    assert found.verdict is Verdict.ERROR
    assert found.reasons == (
        "limit 1 is below the OCR noise floor of this case, 1.5: correct text would fail; raise the case's limits",
    )
    assert judged(1, make.golden(1), noise_floor=1.0).verdict is Verdict.PASS


def test_a_latency_within_its_limit_says_nothing_but_its_numbers():
    found = judge_latency(2.1, latency(), gates=True)
    assert (found.verdict, found.seconds, found.golden_seconds, found.gates) == (Verdict.PASS, 2.1, 2.0, True)
    assert found.limit_seconds == pytest.approx(2.16)
    assert found.reasons == ()
    assert judge_latency(2.1, latency(), gates=False).gates is False


def test_a_latency_above_its_limit_says_both_floors():
    found = judge_latency(2.5, latency(), gates=False)
    assert (found.verdict, found.seconds, found.golden_seconds, found.gates) == (Verdict.FAIL, 2.5, 2.0, False)
    assert found.reasons == ("2.500 s is above the limit 2.160 s (golden 2.000 s, past both 8% and 0.05 s)",)


def test_no_latency_golden_names_what_a_cohort_is():
    found = judge_latency(2.5, None, gates=True)
    assert (found.verdict, found.seconds, found.golden_seconds) == (Verdict.INCOMPARABLE, 2.5, None)
    assert (found.limit_seconds, found.gates) == (None, True)
    assert found.reasons == ("no latency golden for this cohort (device, dtype, size, variant, attention, torch)",)


def test_a_loop_that_was_not_timed_is_an_error_with_its_golden():
    found = judge_latency(0.0, latency(), gates=True)
    assert (found.verdict, found.seconds, found.golden_seconds, found.gates) == (Verdict.ERROR, 0.0, 2.0, True)
    assert found.reasons == ("invalid latency 0.0 s: the loop was not timed",)


REMOVE = "restore it with `git checkout`, or remove it and record it again with --qil-update=missing"


def test_a_latency_golden_is_a_small_file_beside_the_models_goldens(store):
    kept = LatencyStore(goldens=store)
    path = kept.save(COHORT, [2.0, 4.0, 3.0])
    assert path == store.root / "tiny" / "latency" / f"4step@1328x1328-{COHORT.key}.json"
    assert path.read_text().startswith('{\n  "schema": 1,\n  "cohort": {\n    "model": "tiny"')
    found = kept.load(COHORT)
    assert (found.seconds, found.fastest, found.slowest, found.images) == (3.0, 2.0, 4.0, 3)
    kept.save(COHORT, [2.0])
    assert kept.load(COHORT).images == 1


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"schema": 2}, "invalid latency golden: its schema or cohort does not match its name"),
        ({"seconds": 5.0}, "invalid latency golden: 5.0 s, fastest 2.0 s, slowest 2.0 s, images: 1"),
        ({"images": 0}, "invalid latency golden: 2.0 s, fastest 2.0 s, slowest 2.0 s, images: 0"),
        ({"fastest": 0.0}, "invalid latency golden: 2.0 s, fastest 0.0 s, slowest 2.0 s, images: 1"),
        ({"seconds": "x"}, "invalid latency golden: seconds: Input should be a valid number"),
        ({"cohort": {}}, "invalid latency golden: cohort.model: Field required"),
    ],
)
def test_a_damaged_latency_golden_says_what_is_wrong(store, fields, what):
    kept = LatencyStore(goldens=store)
    path = kept.save(COHORT, [2.0])
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    error = refused(kept.load, COHORT)
    assert (error.what, error.where, error.remedy) == (what, str(path), REMOVE)
    path.write_text("[")
    assert refused(kept.load, COHORT).what.startswith("invalid latency golden: file: Invalid JSON")


def test_numbers_that_are_no_latencies_are_not_recorded(store):
    kept = LatencyStore(goldens=store)
    error = refused(kept.save, COHORT, [2.0, 0.0])
    assert error.what == "invalid latency golden: latencies must be finite and positive, got [2.0, 0.0]"
    assert error.where == str(kept.path(COHORT))
    assert (
        refused(kept.save, COHORT, []).what == "invalid latency golden: latencies must be finite and positive, got []"
    )
    assert not kept.path(COHORT).exists()


def test_a_latency_golden_that_cannot_be_written_says_why(store):
    (store.root / "tiny").write_text("a file where a folder should be")
    kept = LatencyStore(goldens=store)
    error = refused(kept.save, COHORT, [2.0])
    assert error.what.startswith("the latency golden cannot be written: ")
    assert error.where == str(kept.path(COHORT))
