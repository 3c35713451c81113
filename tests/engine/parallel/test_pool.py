"""Workers that die at each step, hang, differ, or are all gone: each image is delivered once, and none in silence."""

import threading
import time

import pytest

from builders import case, variant
from fake_generator import FakeGenerator
from fake_workers import Fakes
from qiltest.engine.loops import Timed
from qiltest.engine.parallel.generator import WorkersGenerator
from qiltest.engine.parallel.orders import Arrival, Limits
from qiltest.engine.parallel.pool import WorkerPool
from qiltest.engine.parallel.records import Place, Setup
from qiltest.errors import DeviceError, GenerationError, ModelError, WorkersLostError

CASE, VARIANTS = case(), (variant("base", steps=8), variant("4step"))


class Session:
    """What a session does with a pool: recipes, orders, and what is delivered."""

    def __init__(self, fakes, workers=2, *, limits=None, rounds=1):
        setup = Setup(
            open_generator=FakeGenerator, timed=Timed(rounds=rounds, warms_up=False, device=None)
        )  # fmt: skip
        places = [Place(number=number, beside=workers - 1) for number in range(1, workers + 1)]
        self.pool = WorkerPool(places, setup, fakes, limits=limits)
        self.generator = WorkersGenerator(self.pool)
        self.fakes = fakes
        self.delivered: dict[int, list[object]] = {}
        self._all = threading.Condition()

    def recipes(self, seeds):
        asked = [(one, seed) for one in VARIANTS for seed in range(seeds)]
        return {
            number: self.generator.recipe(CASE, CASE.resolutions[0].size, one, seed)
            for number, (one, seed) in enumerate(asked)
        }

    def run(self, seeds=2, *, seconds=20):
        """Generate 2 variants x seeds; what is delivered for each."""
        recipes = self.recipes(seeds)
        self.generator.prepare(["p"])
        self.generator.begin(self.deliver)
        self.generator.order(recipes)
        with self._all:
            assert self._all.wait_for(lambda: len(self.delivered) == len(recipes), seconds), self.delivered
        self.generator.close()
        assert {number: len(found) for number, found in self.delivered.items()} == dict.fromkeys(recipes, 1)
        return {number: found[0] for number, found in sorted(self.delivered.items())}

    def deliver(self, number, arrival):
        with self._all:
            self.delivered.setdefault(number, []).append(arrival)
            self._all.notify_all()


def images(found):
    assert all(isinstance(one, Arrival) for one in found.values()), found
    return {number: one.image.sha256 for number, one in found.items()}


@pytest.fixture(scope="module")
def alone():
    """The images of a single worker without faults."""
    return images(Session(Fakes(), workers=1).run())


@pytest.fixture(autouse=True)
def _no_thread_left():
    before = threading.active_count()
    yield
    for _ in range(200):
        if threading.active_count() <= before:
            return
        time.sleep(0.01)
    raise AssertionError(threading.enumerate())


def test_two_workers_make_the_images_of_one_and_say_who_made_them(alone):
    session = Session(Fakes(lambda: FakeGenerator(wait=0.03)))
    found = session.run()
    assert images(found) == alone
    assert {one.made_on.worker for one in found.values()} == {1, 2}
    assert {one.beside for one in found.values()} == {1}
    assert all(one.notes == () for one in found.values())
    assert session.pool.notices == []


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "hello"),
        (1, "recipe"),
        (1, "surroundings"),
        (1, "prepare"),
        (2, "hello"),
        (2, "surroundings"),
        (2, "prepare"),
    ],
)
def test_a_worker_that_dies_before_its_first_image_is_replaced(alone, number, name):
    session = Session(Fakes(lambda: FakeGenerator(wait=0.03), faults={(number, name, 1): "die"}))
    found = session.run()
    assert images(found) == alone
    assert session.pool.notices == [f"worker {number} died (killed by SIGSEGV) and was replaced"]
    assert all(one.notes == () for one in found.values())


@pytest.mark.parametrize("name", ["make", "image"])
def test_an_image_whose_worker_dies_over_it_is_generated_again_and_says_so(alone, name):
    session = Session(Fakes(lambda: FakeGenerator(wait=0.03), faults={(1, name, 1): "die"}))
    found = session.run()
    assert images(found) == alone
    noted = {number: one for number, one in found.items() if one.notes}
    # an image on its way dies with its worker, and so may the one after it
    assert 1 <= len(noted) <= 2
    for one in noted.values():
        assert one.notes == ("worker 1 died over it (killed by SIGSEGV); generated again",)
    assert session.pool.notices == ["worker 1 died (killed by SIGSEGV) and was replaced"]


def test_an_image_over_which_two_workers_die_is_an_error_of_its_own(alone):
    session = Session(Fakes(faults={(1, "make", 1): "die", (1, "make", 2): "die"}), workers=1)
    found = session.run()
    (error,) = [one for one in found.values() if not isinstance(one, Arrival)]
    assert isinstance(error, GenerationError)
    assert error.what == (
        "generated twice without an image: worker 1 died over it (killed by SIGSEGV), "
        "worker 1 died over it (killed by SIGSEGV)"
    )
    good = {number: one.image.sha256 for number, one in found.items() if one is not error}
    assert good.items() < alone.items()
    assert len(good) == 3


def test_a_worker_that_hangs_is_ended_and_what_it_answers_later_is_dropped(alone):
    limits = Limits(start=20, image=0.3, more=0.3)
    session = Session(Fakes(faults={(1, "make", 1): "hang"}), workers=1, limits=limits)
    found = session.run()
    assert images(found) == alone
    assert session.pool.notices == ["worker 1 died (it had no image after 0 s, and was ended) and was replaced"]


def test_a_worker_that_hangs_while_its_image_travels_is_ended(alone):
    limits = Limits(start=20, image=20, more=0.3)
    session = Session(Fakes(faults={(1, "image", 1): "hang"}), workers=1, limits=limits)
    assert images(session.run()) == alone
    assert session.pool.notices == ["worker 1 died (it did not answer in time, and was ended) and was replaced"]


def test_a_worker_whose_device_is_lost_is_replaced(alone):
    session = Session(Fakes(faults={(1, "make", 2): "lost"}), workers=1)
    assert images(session.run()) == alone
    (notice,) = session.pool.notices
    assert notice == "worker 1 died (the device failed while denoising: CUDA error) and was replaced"
    assert len(session.fakes.started) == 2
    assert session.fakes.started[0].ended


def test_a_place_that_makes_no_image_is_given_up_and_the_others_go_on(alone):
    faults = {(2, "make", nth): "die" for nth in range(1, 9)}
    session = Session(Fakes(lambda: FakeGenerator(wait=0.05), faults=faults))
    found = session.run(seeds=6)
    lost = [one for one in found.values() if not isinstance(one, Arrival)]
    assert lost == []
    assert {one.made_on.worker for one in found.values()} == {1}
    assert session.pool.notices[-1] == "worker 2 died (killed by SIGSEGV) and was given up"
    assert len(session.pool.notices) == 3


def test_where_none_can_be_started_its_reason_and_remedy_are_told():
    class Once(Fakes):
        def __call__(self, place, setup):
            if self.started:
                raise DeviceError("the head node has not answered for 40 s", remedy="start the cluster again")
            return super().__call__(place, setup)

    found = Session(Once(faults={(1, "make", 2): "die"}), workers=1).run()
    lost = [str(one) for one in found.values() if isinstance(one, WorkersLostError)]
    assert len(lost) >= 2
    assert set(lost) == {
        "no worker is left: worker 1 died (killed by SIGSEGV; none could be started in its place: "
        "the head node has not answered for 40 s) and was given up\n  -> start the cluster again"
    }


@pytest.mark.parametrize("name", ["hello", "make"])
def test_without_a_worker_every_image_says_that_none_is_left(name):
    faults = {(number, name, nth): "die" for number in (1, 2) for nth in range(1, 9)}
    session = Session(Fakes(faults=faults))
    if name == "hello":
        with pytest.raises(WorkersLostError, match="no worker is left"):
            session.recipes(1)
        session.generator.close()
        return
    found = session.run(seeds=6)
    lost = [one for one in found.values() if isinstance(one, WorkersLostError)]
    # each worker died three times, over as many images or fewer
    assert len(lost) >= 12 - 6
    assert "repeat the command to resume" in str(lost[0])
    assert all(isinstance(one, WorkersLostError | GenerationError) for one in found.values())


def test_a_worker_in_other_surroundings_generates_nothing_and_ends_the_session():
    session = Session(Fakes(lambda: FakeGenerator(wait=0.05), surroundings={2: {"torch": "2.11.0", "driver": "570"}}))
    found = session.run(seeds=4)
    errors = {str(one) for one in found.values() if not isinstance(one, Arrival)}
    assert len(errors) == 1
    assert "worker 2 on " in (said := errors.pop())
    assert "is not as worker 1: driver 570 instead of unknown, torch 2.11.0 instead of 2.14.1" in said
    assert {type(one) for one in found.values()} <= {Arrival, ModelError}
    assert (2, "make") not in session.fakes.calls


def test_a_replacement_in_other_surroundings_is_refused_too():
    fakes = Fakes(
        lambda: FakeGenerator(wait=0.05), faults={(2, "make", 1): "die"}, surroundings={3: {"device": "H100"}}
    )
    found = Session(fakes).run(seeds=4)
    errors = [one for one in found.values() if not isinstance(one, Arrival)]
    assert errors
    assert all("device H100 instead of cpu" in str(error) for error in errors)


def test_an_error_of_an_image_is_its_own_and_the_worker_goes_on():
    session = Session(Fakes(lambda: FakeGenerator(broken=frozenset({1}))), workers=1)
    found = session.run()
    assert [type(one) for one in found.values()] == [Arrival, GenerationError, Arrival, GenerationError]
    assert str(found[1]) == "seed 1 holds NaN\n  -> use bfloat16"
    assert len(session.fakes.started) == 1


def test_a_model_that_cannot_be_used_ends_the_session():
    session = Session(Fakes(faults={(1, "make", 2): "model"}), workers=1)
    found = session.run()
    assert [type(one) for one in found.values()].count(Arrival) == 1
    assert {str(one) for one in found.values() if isinstance(one, ModelError)} == {"worker 1: the weights are damaged"}


def test_one_worker_of_a_host_encodes_at_a_time():
    class Slow(FakeGenerator):
        now = most = 0

        def prepare(self, prompts):
            Slow.now += 1
            Slow.most = max(Slow.most, Slow.now)
            time.sleep(0.05)
            Slow.now -= 1

    session = Session(Fakes(lambda: Slow(wait=0.05)), workers=3)
    session.run(seeds=4)
    assert Slow.most == 1
    assert session.fakes.calls.count((1, "prepare")) == 1


def test_loops_are_timed_until_their_cohort_has_enough_of_them():
    found = Session(Fakes(), workers=1, rounds=None).run(seeds=3)
    # three loops of the first image of a cohort, one of each other
    assert [len(one.denoising.loops) for one in found.values()] == [3, 1, 1, 3, 1, 1]
    assert all(loop.latents is None for one in found.values() for loop in one.denoising.loops)


def test_closing_while_images_are_made_ends_the_workers_and_delivers_nothing_more():
    session = Session(Fakes(lambda: FakeGenerator(wait=0.2)))
    recipes = session.recipes(8)
    session.generator.begin(session.deliver)
    session.generator.order(recipes)
    time.sleep(0.05)
    begin = time.monotonic()
    session.generator.close()
    assert time.monotonic() - begin < 2
    assert all(worker.ended for worker in session.fakes.started)
    delivered = len(session.delivered)
    time.sleep(0.3)
    assert len(session.delivered) == delivered == 0


def test_an_image_ordered_after_the_end_has_the_error_at_once():
    session = Session(Fakes(faults={(1, "make", 1): "model"}), workers=1)
    recipes = session.recipes(1)
    session.run(seeds=1)
    session.generator.order({7: recipes[0]})
    assert isinstance(session.delivered[7][0], ModelError)


def test_a_test_that_calls_the_generator_itself_is_told():
    session = Session(Fakes(), workers=1)
    (recipe, *_) = session.recipes(1).values()
    with pytest.raises(GenerationError, match="--qil-workers"):
        session.generator.denoise(recipe)
    session.generator.close()


def test_what_workers_do_is_heard_without_waiting_for_them():
    session = Session(Fakes(lambda: FakeGenerator(wait=0.4)), workers=2)
    recipes = session.recipes(1)
    assert {one.image for one in session.generator.working()} == {None}
    session.generator.begin(session.deliver)
    session.generator.order(recipes)
    heard = set()
    deadline = time.monotonic() + 10
    while len(session.delivered) < len(recipes) and time.monotonic() < deadline:
        begin = time.monotonic()
        heard |= set(session.generator.working())
        assert time.monotonic() - begin < 0.2
        time.sleep(0.01)
    assert {one.image for one in heard} >= {0, 1}
    steps = {(one.image, one.done, one.of) for one in heard if one.of}
    # the loop of the 8-step image has its first steps behind it, and each worker tells of its own image
    assert {of for image, _, of in steps if image == 0} == {8}
    assert {of for image, _, of in steps if image == 1} == {4}
    assert len({done for image, done, _ in steps if image == 0}) > 2
    session.generator.close()
    assert session.generator.working() == ()


def test_a_worker_that_does_not_say_how_far_it_is_keeps_its_image_in_sight():
    session = Session(Fakes(lambda: FakeGenerator(wait=0.3), faults={(1, "progress", 1): "hang"}), workers=1)
    recipes = session.recipes(1)
    session.generator.begin(session.deliver)
    session.generator.order(recipes)
    seen = []
    deadline = time.monotonic() + 10
    while not seen and time.monotonic() < deadline:
        seen = [one for one in session.generator.working() if one.image is not None]
        time.sleep(0.01)
    assert [(one.done, one.of) for one in seen] == [(0, 0)]
    session.generator.close()
