"""Show by small images that a server does what it is asked: an answer of 200 says nothing of a parameter.

Each probe is made once per session, before the first image that depends on it, and compares two images that differ in
one parameter. Where the same request twice gives other pixels, as with some kernels, a parameter must change far more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qiltest.errors import AnswerError, ServerError
from qiltest.generation.images import BLANK_BELOW, spread
from qiltest.serving.dialect import Ask, ServedLora
from qiltest.serving.settings import FIXABLE, Says
from qiltest.suite.variants import SchedulerKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

#: steps of a probe's image; the model's own scheduler divides by zero with one.
STEPS = 2
#: guidance that is compared with none, and with half of it.
SCALE = 4.0
#: two negative prompts that ask for something else.
_NEGATIVE, _OTHER_NEGATIVE = " ", "a dark red wall, night, rust"
#: the least that a second step changes without a terminal, as a share of what a third one does, over two seeds. On the
#: embedded model 0.14 to 0.24 with Qwen-Image's terminal, 0.63 to 7.8 with Lightning's scheduler (docs/measurements).
_TERMINAL = 0.4
#: how often its own unsteadiness an effect must be.
_CLEAR = 4.0
_IGNORED = "the server ignores it: use a version that takes it, or another --qil-server-api"


class Probes:
    """The probes of one server."""

    def __init__(self, generate: Callable[[Ask], Pixels], says: Says) -> None:
        """`generate` makes one image, with the LoRA that is asked for."""
        self._generate, self._says = generate, says
        self._base: Ask | None = None
        self._made: dict[Ask, Pixels] = {}
        self._found: dict[str, ServerError | None] = {}
        #: mean difference, in 8-bit units, of two images of one request.
        self._unsteady = 0.0
        #: what is unusual, to be told with the next image.
        self.notes: list[str] = []

    def require(self, ask: Ask) -> None:
        """Make the probes on which an image depends, those that were not made yet. Raises ServerError, AnswerError."""
        if self._base is None:
            self._base = replace(ask, steps=STEPS, true_cfg_scale=1.0, negative_prompt=None, lora=None)
        for name, probe in self._of(ask):
            if name not in self._found:
                self._found[name] = probe()
            error = self._found[name]
            if error is not None:
                raise error

    @property
    def count(self) -> int:
        """Images that were made so far."""
        return len(self._made)

    def _of(self, ask: Ask) -> Iterator[tuple[str, Callable[[], ServerError | None]]]:
        yield "repeat", self._repeat
        fixed = self._says.fixed
        if "seed" not in fixed:
            yield "seed", self._seed
        if "num_inference_steps" not in fixed:
            yield "steps", self._steps
        if not {"guidance_scale", "negative_prompt"} & fixed:
            yield "guidance", self._guidance
        if ask.negative_prompt is not None:
            if "guidance_scale" not in fixed:
                yield "scale", self._scale
            if "negative_prompt" not in fixed:
                yield "negative prompt", self._negative
        if self._says.scheduler is SchedulerKind.LIGHTNING and "num_inference_steps" not in fixed:
            yield "scheduler", self._scheduler
        lora = ask.lora
        if lora is not None:
            yield f"LoRA {lora.name}", lambda: self._lora(lora)

    @property
    def _plain(self) -> Ask:
        assert self._base is not None
        return self._base

    @property
    def _other_seed(self) -> Ask:
        return replace(self._plain, seed=self._plain.seed + 1)

    def _guided(self, scale: float = SCALE, negative: str = _NEGATIVE) -> Ask:
        return replace(self._plain, true_cfg_scale=scale, negative_prompt=negative)

    def _image(self, ask: Ask) -> Pixels:
        if ask not in self._made:
            self._made[ask] = self._generate(ask)
        return self._made[ask]

    def _same(self, first: Ask, second: Ask) -> bool:
        return not difference(self._image(first), self._image(second)) > _CLEAR * self._unsteady

    def _repeat(self) -> ServerError | None:
        self._unsteady = difference(self._image(self._plain), self._generate(self._plain))
        if self._unsteady and "seed" in self._says.fixed:
            left = [name for name in FIXABLE if name not in self._says.fixed]
            return _random(iter(FIXABLE)) if left else None
        if self._unsteady:
            self.notes.append(
                f"the server gives other pixels for the same request: mean difference {self._unsteady:.2f} of 255"
            )
        return None

    def _seed(self) -> ServerError | None:
        if not self._same(self._plain, self._other_seed):
            return None
        if self._unsteady:
            what = "seed has no effect: one seed twice gives images as different as two seeds"
        else:
            what = "seed has no effect: two seeds give the same image"
        return _error(what, _IGNORED)

    def _steps(self) -> ServerError | None:
        if self._same(self._plain, replace(self._plain, steps=STEPS + 1)):
            what = f"num_inference_steps has no effect: {STEPS} and {STEPS + 1} steps give the same image"
            return _error(what, _IGNORED)
        return None

    def _guidance(self) -> ServerError | None:
        if self._same(self._guided(1.0), self._guided()):
            what = f"the guidance scale has no effect: CFG 1 and {SCALE:g} with a negative prompt give the same image"
            return _error(what, f"{_IGNORED}; images without guidance may be made with the server's own")
        return None

    def _scale(self) -> ServerError | None:
        if self._same(self._guided(SCALE / 2), self._guided()):
            return _error(f"the guidance scale has no effect: CFG {SCALE / 2:g} and {SCALE:g} are the same", _IGNORED)
        return None

    def _negative(self) -> ServerError | None:
        if self._same(self._guided(negative=_OTHER_NEGATIVE), self._guided()):
            return _error(f"negative_prompt has no effect: two of them give the same image at CFG {SCALE:g}", _IGNORED)
        return None

    def _scheduler(self) -> ServerError | None:
        """Tell a scheduler with a terminal, as Qwen-Image's own, by its images of one, two and three steps.

        Its last sigma is 0.02: one step divides by zero, unless that is caught, and then is nearly the image of two
        steps. Lightning's last sigma is 0.75 of two steps and 0.6 of three.
        """
        what = "the server's scheduler is not Lightning's"
        remedy = "serve Lightning's scheduler config (docs/guide/served-model.md), or do not say scheduler=lightning"
        second = third = 0.0
        for plain in (self._plain, self._other_seed):
            two, three = self._image(plain), self._image(replace(plain, steps=STEPS + 1))
            try:
                one = self._image(replace(plain, steps=1))
            except AnswerError as error:
                return _error(f"{what}: it cannot generate in one step ({error.what})", remedy)
            if not spread(one) >= BLANK_BELOW:
                return _error(f"{what}: in one step it generates a blank image", remedy)
            second, third = second + difference(one, two), third + difference(two, three)
        if not second >= _TERMINAL * third:
            return _error(f"{what}: its last step changes next to nothing, as one at sigma 0.02 does", remedy)
        return None

    def _lora(self, lora: ServedLora) -> ServerError | None:
        with_it = replace(self._plain, lora=lora)
        if self._same(self._plain, with_it):
            return _error(f"LoRA {lora.name} has no effect", f"check that {lora.path} is its file, on the server")
        for other in [ask for ask in self._made if ask.lora not in {None, lora} and ask.steps == STEPS]:
            if self._same(other, with_it):
                what = f"LoRA {lora.name} gives the image of {other.lora.name if other.lora else ''}"
                return _error(what, "the server confuses its LoRAs: give each a path of its own, and restart it")
        again = self._generate(self._plain)
        if difference(again, self._image(self._plain)) > _CLEAR * self._unsteady:
            what = f"LoRA {lora.name} is still in use after it: the same request without it gives another image"
            return _error(what, "restart the server; one that keeps a LoRA can serve only that: say lora=VARIANT")
        return None


def difference(first: Pixels, second: Pixels) -> float:
    """Return the mean absolute difference in 8-bit units; that of images of two sizes is 255."""
    if first.shape != second.shape:
        return 255.0
    return float(np.abs(first.astype(np.int16) - second.astype(np.int16)).mean())


def _error(what: str, remedy: str) -> ServerError:
    return ServerError(what, where="probe of the server", remedy=remedy)


def _random(ignored: Iterator[str]) -> ServerError:
    """Return the error of a server that draws a seed itself for each request."""
    return _error(
        "the server takes another seed for each request, so that no image shows whether a parameter has an effect",
        f"if it is to be judged all the same, say --qil-server-says fixed={','.join(ignored)}",
    )
