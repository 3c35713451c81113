"""What the history keeps of a run and its images, what it refuses, and which earlier runs count."""

import json
from dataclasses import replace

import pytest

import builders
from qiltest.gate.verdict import Verdict
from qiltest.recipe import Elsewhere
from qiltest.runs import history as module
from qiltest.runs.aggregate import ErrorRate
from qiltest.runs.history import HISTORY, before, past_of, read, record
from qiltest.runs.records import CaseResult, StoredImage


def result(seed=42, *, variant="4step", **fields):
    known = {"sample": builders.sample(seed, variant=variant), "recipe": builders.recipe(variant=variant, seed=seed)}
    return CaseResult(**{**known, **fields})


def told(seed, file_sha256="f" * 64, **facts):
    elsewhere = Elsewhere(
        source="comfy", file=f"{seed}.png", file_sha256=file_sha256, told=tuple(sorted(facts.items())), not_checked=()
    )
    return result(seed, recipe=builders.recipe(seed=seed, elsewhere=elsewhere))


@pytest.fixture
def night(tmp_path):
    """A maker of runs: `night("name", result, …)`."""

    def made(name, *results, **fields):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True, exist_ok=True)
        return builders.run(name, path=folder, results=results, **fields)

    return made


def only(run):
    (sample,) = past_of(run).samples.values()
    return sample


def test_the_facts_of_a_session_have_the_names_that_a_changed_version_is_told_by(night):
    run = night("r", commit="c0ffee", driver="570", versions=(("torch", "2.14.1"),))
    assert past_of(run).facts == {
        "commit": "c0ffee",
        "device": "a CPU",
        "driver": "570",
        "reader": builders.READER.fingerprint,
        "qiltest-reading": builders.READER.code,
        "torch": "2.14.1",
        "qiltest": "0.1.0",
    }


def test_an_image_is_kept_with_the_first_digits_of_its_recipe_image_and_golden(night):
    recipe = builders.recipe()
    image = StoredImage(path=None, sha256="0123456789abcdef" * 4)
    whole = result(recipe=recipe, image=image, golden=builders.golden(image="fedcba9876543210" * 4))
    sample = only(night("r", whole))
    assert (sample.recipe, sample.image, sample.golden) == (recipe.key()[:12], "0123456789ab", "fedcba987654")
    bare = only(night("r", result(recipe=None, error="lost")))
    assert (bare.recipe, bare.image, bare.golden) == ("", "", "")


@pytest.mark.parametrize(
    ("fields", "accepted"),
    [
        ({}, False),
        ({"golden_recorded": True}, True),
        ({"latency_recorded": True}, True),
        ({"golden_recorded": True, "error": "lost"}, False),
    ],
)
def test_an_image_is_accepted_where_its_golden_or_its_latency_was_recorded(night, fields, accepted):
    assert only(night("r", result(**fields))).accepted is accepted


def test_a_sample_that_the_run_does_not_have_has_the_facts_of_the_session_alone(night):
    entry = past_of(night("r", result()))
    assert entry.facts_of("nobody") == entry.facts
    assert entry.facts_of(result().id)["steps"] == 1


def test_rates_are_pooled_over_the_images_that_were_scored(night):
    def scored(seed, distance, length):
        return result(seed, score=replace(builders.score(distance), length=length))

    entry = past_of(night("r", scored(1, 1, 10), scored(2, 2, 20), scored(3, 0, 0), result(4)))
    assert entry.rates() == {"4step": ErrorRate(distance=3, length=30, count=2)}
    half = replace(entry.samples[scored(1, 1, 10).id], distance=None)
    assert replace(entry, samples={"x": half}).rates() == {}


def test_an_image_without_a_recipe_does_not_hide_its_variants_facts(night):
    entry = past_of(night("r", result(1, recipe=None, error="lost"), result(2), result(3, recipe=None, error="lost")))
    assert entry.variants["4step"]["steps"] == 1


def test_a_variant_keeps_what_is_told_alike_of_all_its_images_made_elsewhere(night):
    one, two = told(1, sampler="euler", node="a"), told(2, sampler="euler", node="b")
    facts = past_of(night("r", one, two, result(3, recipe=None, error="lost"))).variants["4step"]
    assert facts["told.sampler"] == "euler"
    assert "told.node" not in facts


def test_a_history_that_is_no_plain_file_is_an_error_of_the_system_with_its_path(night):
    run = night("r", result())
    path = run.path.parent / HISTORY
    path.mkdir()
    with pytest.raises(OSError, match="it is not a plain file") as error:
        record(run)
    assert (error.value.errno, error.value.strerror, error.value.filename) == (22, "it is not a plain file", str(path))


def test_a_number_that_is_not_finite_is_never_recorded(night):
    run = night("r", result(timing=builders.timing(float("nan"))))
    with pytest.raises(ValueError, match="not JSON compliant"):
        record(run)
    assert not (run.path.parent / HISTORY).exists() or not (run.path.parent / HISTORY).read_bytes()


def test_a_whole_line_is_followed_by_the_next_one_without_a_gap(night):
    for name in ("a", "b", "c"):
        path = record(night(name, result()))
    assert path.read_bytes().count(b"\n") == 3
    assert [entry.run for entry in read(path)[0]] == ["a", "b", "c"]


def test_a_writer_waits_no_longer_than_its_patience_for_another_one(night, monkeypatch):
    asked = []

    class Lock:
        def __init__(self, path, timeout):
            asked.append((path.name, timeout))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(module, "FileLock", Lock)
    record(night("r", result()))
    assert asked == [(f".{HISTORY}.lock", 30)]


@pytest.mark.parametrize("limit", ["_MAX_BRACKETS", "_MAX_NAMES"])
def test_a_line_of_more_brackets_or_names_than_a_run_has_is_not_read(night, monkeypatch, limit):
    path = record(night("r", result()))
    line = path.read_bytes()
    own = {"_MAX_BRACKETS": line.count(b"{") + line.count(b"["), "_MAX_NAMES": line.count(b'":')}[limit]
    monkeypatch.setattr(module, limit, own)
    assert len(read(path)[0]) == 1
    monkeypatch.setattr(module, limit, own - 1)
    assert read(path) == ((), 1)


def test_brackets_of_lists_count_as_those_of_records(night, monkeypatch):
    path = record(night("r", result()))
    entry = json.loads(path.read_bytes())
    path.write_text(json.dumps({**entry, "facts": {"x": [[[[]]]]}}) + "\n")
    calls = []
    monkeypatch.setattr(module, "decode", lambda *_: calls.append(1))
    monkeypatch.setattr(module, "_MAX_BRACKETS", path.read_bytes().count(b"{") + 3)
    assert read(path) == ((), 1)
    assert calls == []


def test_runs_that_began_at_the_same_moment_count_as_earlier_ones(night):
    record(night("a", result()))
    assert [entry.run for entry in before(night("b", result()))] == ["a"]
    later = night("c", result(), started="2026-11-24T02:00:00+00:00")
    record(later)
    assert [entry.run for entry in before(night("b", result()))] == ["a"]


def test_a_history_that_grew_is_read_again(night):
    now = night("z", result())
    for number, name in enumerate(("a", "b", "c"), start=1):
        record(night(name, result()))
        assert len(before(now)) == number


def test_a_failed_image_is_kept_as_failed(night):
    judgement = builders.judgement(Verdict.FAIL)
    assert only(night("r", result(judgement=judgement))).status == "FAIL"
