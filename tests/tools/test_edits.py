"""The embedded editing model's training data and its two frames (`tools/tiny_edit`)."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2Tokenizer

from qiltest.generation.sources import EMBEDDED

TOOLS = Path(__file__).parents[2] / "tools"
BOTH = (TOOLS / "tiny_edit", TOOLS / "tiny_model")


@pytest.fixture(scope="module")
def edits():
    """Import a module of the editing model's training; none stays behind under its plain name."""
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = map(str, BOTH)
    yield importlib.import_module
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and Path(sys.modules[name].__file__).parent in BOTH:
            del sys.modules[name]


@pytest.fixture(scope="module")
def tokenizer(edits):
    return edits("edit_models").build_edit_tokenizer()


@pytest.fixture(scope="module")
def words(edits, tokenizer):
    data = edits("edit_data")
    return data.Words(*edits("edit_models").encode_map(tokenizer, data.characters()))


@pytest.fixture(scope="module")
def many(edits):
    """Two hundred edits of one canvas, fifty of each kind."""
    tasks_module = edits("edit_tasks")
    tasks = tasks_module.Tasks(np.random.default_rng(0), (0.75, 0.25))
    found = []
    for kind in tasks_module.Kind:
        made = (tasks.edit(384, 192, kind=kind) for _ in range(5000))
        found += [edit for edit, _ in zip((edit for edit in made if edit), range(50), strict=False)]
    assert len(found) == 200
    return found


def test_every_token_of_the_text_to_image_model_has_its_number_in_the_editing_models_tokenizer(tokenizer):
    known = Qwen2Tokenizer.from_pretrained(EMBEDDED / "tokenizer").get_vocab()
    assert known.items() <= tokenizer.get_vocab().items()


def test_an_instruction_within_the_template_has_the_ids_that_the_pipelines_tokenizer_gives(edits, tokenizer, words):
    models, suffix = edits("edit_models"), edits("tokenizer").SUFFIX
    for prompt in ("Replace “A b” with “3.14😊”. Keep the rest.", "把文字‘删掉’换成‘缩小’。", ' Enlarge "Qwen".   '):
        assert words.whole(prompt) == tokenizer(models.PREFIX + models.PICTURE + prompt + suffix).input_ids
    assert len(words.prefix) == models.PREFIX_TOKENS


def test_an_edit_changes_the_lines_of_one_row_and_no_others(many):
    for edit in many:
        before = {line.row: line for line in edit.before}
        after = {line.row: line for line in edit.after}
        changed = {row for row in before.keys() | after.keys() if before.get(row) != after.get(row)}
        assert changed <= {edit.row}, edit.prompt


def test_quoted_texts_stand_in_the_prompt_where_the_edit_says(many):
    for edit in many:
        assert edit.prompt[slice(*edit.old)] == edit.before[edit.named].text
        if edit.new is not None:
            assert edit.prompt[slice(*edit.new)] == edit.after[edit.made].text


def test_new_text_fits_the_canvas_at_every_one_of_its_places(many):
    for edit in many:
        if edit.made is not None:
            line = edit.after[edit.made]
            assert line.col + line.width + edit.places - 1 <= 384 // 16, edit.prompt


def test_a_text_of_another_size_keeps_its_left_edge_where_it_fits_so_that_chance_decides_nothing(edits, many):
    restyled = [edit for edit in many if edit.kind is edits("edit_tasks").Kind.RESTYLE]
    moved = 0
    for edit in restyled:
        before, after = edit.before[edit.named], edit.after[edit.made]
        assert edit.places == 1
        assert (before.wide, before.row, before.text) == (not after.wide, after.row, after.text)
        assert after.col == before.col or (after.col < before.col and after.col + after.width == 384 // 16 - 1)
        moved += after.col != before.col
    assert {edit.before[edit.named].wide for edit in restyled} == {False, True}
    assert moved < len(restyled) / 2


def test_added_text_stands_where_nothing_stood(many):
    for edit in many:
        rows = [row for line in edit.after for row in (line.row, line.row + 1)]
        assert len(set(rows)) == len(rows), edit.prompt
        assert max(rows, default=0) < 192 // 16


def test_a_batch_has_its_buckets_length_and_targets_that_differ_from_the_source_in_the_changed_rows_alone(edits, words):
    data = edits("edit_data").EditBatches(seed=0, words=words, budget=600)
    tasks = edits("edit_tasks").Tasks(np.random.default_rng(1), (0.75, 0.25))
    for number, bucket in enumerate(data.buckets):
        batch = data.batch(tasks, number)
        assert batch["ids"].shape == (bucket.size, len(words.prefix) + bucket.tokens)
        differs = (batch["source"] != batch["target"]).any(-1)
        assert not (differs & (batch["line"] == 0)).any()
        assert ((batch["right"] < batch["room"]) & (batch["right"] >= 0)).all()


def test_rows_that_an_edit_leaves_alone_are_the_inputs_latents_at_every_place(edits, words, atlas):
    flow, image, models = edits("edit_flow"), edits("image"), edits("edit_models")
    data = edits("edit_data").EditBatches(seed=0, words=words, budget=400, shapes=1)
    batch = data.batch(edits("edit_tasks").Tasks(np.random.default_rng(2), (0.75, 0.25)), 0)
    vae = edits("models").build_vae()
    models.take_vae(vae)
    session = SimpleNamespace(
        vae=vae.requires_grad_(False), painter=image.Painter(atlas, data.glyphs, "cpu"), device="cpu"
    )
    edits("flow").take_statistics(session)
    source = flow.source_latents(session, batch)
    kept = batch["line"].repeat_interleave(batch["source"].shape[2], 1) == 0
    own = edits("flow").packed(source)
    for place in flow.places(session, batch, source):
        assert torch.equal(place[kept], own[kept])
        assert not torch.equal(place[~kept], own[~kept])


def test_a_training_that_was_killed_knows_the_seconds_that_each_stage_had(edits, tmp_path):
    train = edits("train_edit")
    train.Progress(tmp_path / "progress.json").keep("base", 61.5)
    again = train.Progress(tmp_path / "progress.json")
    assert (again.spent("base"), again.spent("8step")) == (61.5, 0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_stored_inputs_come_back_with_their_edits_and_pixels(edits, tmp_path):
    evaluate = edits("evaluate_edit")
    args = SimpleNamespace(count=8, seed=3)
    some = next(evaluate.blocks(8, 3))[1][2:5]
    pixels = np.random.default_rng(0).integers(0, 256, (192, 256, 3), np.uint8)
    evaluate.store_inputs(tmp_path / "inputs.zip", args, [(job, Image.fromarray(pixels)) for job in some])
    found = evaluate.stored_inputs(tmp_path / "inputs.zip")
    assert [job for job, _ in found] == some
    assert all((np.asarray(image) == pixels).all() for _, image in found)
    args.seed = 4
    evaluate.store_inputs(tmp_path / "other.zip", args, [(job, Image.fromarray(pixels)) for job in some])
    with pytest.raises(SystemExit, match="made by other code"):
        evaluate.stored_inputs(tmp_path / "other.zip")
