"""The generator: requests in flight, LoRAs of the whole server, warming up, and what belongs to another one."""

from __future__ import annotations

import pytest

from qiltest.errors import RecipeError
from qiltest.generation.records import LOOP
from served_asks import LIGHTNING, LORA, OTHER_LORA, PLAIN, SIZE, asked, image


def run(generator, recipes):
    """All images, as a session asks for them."""
    generator.expect(recipes)
    return [generator.decode(generator.denoise(recipe)) for recipe in recipes]


def test_several_in_flight_give_the_same_images_and_their_latency_is_of_a_cohort_of_its_own(standin, opened):
    server = standin(seconds=0.05)
    alone = opened(server)
    own = run(alone, [asked(alone, seed=seed) for seed in range(9)])
    assert server.most == 1
    several = opened(server, concurrency=3)
    made = run(several, [asked(several, seed=seed) for seed in range(9)])
    assert [one.png for one in made] == [one.png for one in own]
    assert server.most == 3
    assert {(one.timing.kind, one.timing.concurrency) for one in own} == {("wall", 1)}
    assert {(one.timing.kind, one.timing.concurrency) for one in made} == {("wall", 3)}
    speeds = several.speeds()
    assert [(row.concurrency, row.images) for row in speeds.rows] == [(1, 3), (3, 9)]
    assert (speeds.compared, speeds.changed) == (3, 0)


def test_images_that_batching_changed_are_counted(standin, opened):
    generator = opened(standin("vllm-omni", "batched", seconds=0.02), concurrency=4)
    run(generator, [asked(generator, seed=seed) for seed in range(8)])
    speeds = generator.speeds()
    assert speeds.compared == 3
    assert speeds.changed >= 2


def test_no_two_loras_are_in_flight_at_once(standin, opened):
    server = standin("sglang", scheduler="lightning", seconds=0.005)
    generator = opened(server, *LIGHTNING, concurrency=3)
    recipes = [asked(generator, variant, seed) for variant in (LORA, OTHER_LORA) for seed in range(5)]
    made = run(generator, recipes)
    single = opened(standin("sglang", scheduler="lightning"), *LIGHTNING)
    assert [one.png for one in made] == [one.png for one in run(single, recipes_of(single))]
    paths = {order.lora for order in server.orders if order.steps == LORA.steps}
    assert paths == {"/loras/4.safetensors"}


def recipes_of(generator):
    return [asked(generator, variant, seed) for variant in (LORA, OTHER_LORA) for seed in range(5)]


def test_an_image_that_was_not_expected_is_made_all_the_same(standin, opened):
    generator = opened(standin(), concurrency=2)
    assert image(generator, PLAIN).recipe.effective == SIZE


def test_an_error_is_that_of_its_own_image(standin, opened, monkeypatch):
    server = standin()
    generator = opened(server, concurrency=2)
    recipes = [asked(generator, seed=seed) for seed in range(6)]
    generator.expect(recipes)
    generator.denoise(recipes[0])
    paint = server.paint

    def broken(order):
        if order.seed == 4:
            raise ValueError("seed 4 is broken")
        return paint(order)

    server.paint = broken
    for recipe in recipes[1:]:
        if recipe.seed == 4:
            with pytest.raises(Exception, match="seed 4 is broken"):
                generator.denoise(recipe)
        else:
            generator.denoise(recipe)


def test_warming_up_asks_for_few_steps_of_the_size_and_records_nothing(standin, opened):
    server = standin()
    generator = opened(server)
    generator.warm_up(asked(generator))
    assert {order.steps for order in server.orders} == {2, 3}  # of the probes and of warming up
    assert generator.speeds().rows == ()


def test_a_recipe_of_another_generator_is_refused(standin, opened):
    first, second = opened(standin("vllm-omni")), opened(standin("sglang"))
    with pytest.raises(RecipeError, match="built for another generator"):
        second.denoise(asked(first))


def test_a_served_image_has_no_latents_no_steps_and_no_forwards(standin, opened):
    made = image(opened(standin()))
    assert (made.latents, made.timing.step_seconds, made.timing.forwards) == (None, (), 0)
    assert made.timing.kind != LOOP


def test_the_probes_are_made_once_and_cost_what_the_guide_says(standin, opened):
    server = standin("vllm-omni", scheduler="lightning")
    generator = opened(server, *LIGHTNING)
    image(generator, LORA)
    first = len(server.orders)
    assert first == 6 + 3 + 2 + 1
    image(generator, LORA, seed=7)
    assert len(server.orders) == first + 1
    image(generator, OTHER_LORA)
    assert len(server.orders) == first + 1 + 2 + 1  # with the LoRA, without it again, and the image
