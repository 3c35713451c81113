"""Build the recipes of a served model: what is asked, what the server says of itself, what cannot be checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from qiltest.errors import RecipeError
from qiltest.generation.variant_faults import check_numbers, check_variant
from qiltest.recipe import Recipe, Scalar, ServedRecipe, Size
from qiltest.serving.dialect import Ask, Dialect, ServedLora, canonical, refuse_lora
from qiltest.serving.openapi import check_fields
from qiltest.serving.settings import Says
from qiltest.serving.version import SERVING_VERSION
from qiltest.suite.cases import Case
from qiltest.suite.variants import ModelBase, ModelKind, SchedulerKind, Variant

#: tokens of a prompt that are used, as in this process.
_LONGEST = {ModelKind.TINY: 1024, ModelKind.REAL: 512}
#: where the initial noise is made, as in this process.
_NOISE = {ModelKind.TINY: "cpu", ModelKind.REAL: "cuda"}


@dataclass(frozen=True, kw_only=True)
class Served:
    """What is known of a server and its model."""

    #: name of goldens and latencies, `served/…`.
    model: str
    #: the model's name on the server.
    id: str
    kind: ModelKind
    base: ModelBase
    host: str
    version: str
    #: fields of the model's card.
    card: tuple[tuple[str, Scalar], ...]
    #: the fields that the server lists; None where it has no such page.
    fields: frozenset[str] | None
    #: where that page lies, for an error.
    page: str


class ServedRecipes:
    """Builds recipes for one server."""

    def __init__(self, served: Served, dialect: Dialect, says: Says) -> None:
        self._served, self._dialect, self._says = served, dialect, says
        #: what is asked for an image, by its recipe's key.
        self.asks: dict[str, Ask] = {}

    def build(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        """Return an image's recipe. Raises RecipeError where the server cannot be asked for the variant."""
        served, says = self._served, self._says
        check_variant(variant, served.base)
        check_numbers(size, seed)
        self._check_scheduler(variant)
        ask = self._ask(case, size, variant, seed)
        told = dict(served.card)
        recipe = Recipe(
            model=served.model,
            model_revision=says["weights"],
            model_sha256="",
            variant=variant.name,
            lora=None,
            scheduler=(),
            sigmas=(),
            steps=ask.steps,
            true_cfg_scale=ask.true_cfg_scale,
            negative_prompt=ask.negative_prompt,
            prompt=ask.prompt,
            max_sequence_length=ask.max_sequence_length if self._dialect.sends_length() else 0,
            seed=seed,
            generator_device=ask.generator_device,
            asked=size,
            effective=ask.size,
            dtype=says["dtype"] or str(told.get("dit_precision") or ""),
            device=says["device"] or f"server {served.host}",
            attention_backend="",
            compiled=False,
            versions=(("qiltest-serving", str(SERVING_VERSION)),),
            served=ServedRecipe(
                api=str(self._dialect.api),
                version=served.version,
                card=served.card,
                request=canonical(self.request(ask)),
                said=says.pairs,
                not_checked=tuple(self._not_checked(ask)),
            ),
        )
        self.asks[recipe.key()] = ask
        return recipe

    def request(self, ask: Ask) -> dict[str, object]:
        """Return what is sent: the body, and the LoRA that is set before where it is set for the whole server."""
        lora = asdict(ask.lora) if ask.lora is not None and self._dialect.sets_lora else None
        return {"body": self.body(ask), "lora": lora}

    def body(self, ask: Ask) -> dict[str, object]:
        """Return the body of a request. Raises ServerError for a field that the server does not list."""
        body, known, optional = self._dialect.body(ask, self._says), self._served.fields, self._dialect.optional
        kept = {name: value for name, value in body.items() if name not in optional or name in (known or ())}
        if known is not None:
            check_fields(kept, known, where=self._served.page)
        return kept

    def _ask(self, case: Case, size: Size, variant: Variant, seed: int) -> Ask:
        served = self._served
        return Ask(
            model=served.id,
            prompt=variant.prompt(case.prompt, case.language),
            negative_prompt=variant.negative_prompt if variant.true_cfg_scale > 1 else None,
            size=size.effective(),
            steps=variant.steps,
            true_cfg_scale=variant.true_cfg_scale,
            seed=seed,
            generator_device=self._says["generator_device"] or _NOISE[served.kind],
            max_sequence_length=_LONGEST[served.kind],
            lora=self._lora(variant),
        )

    def _check_scheduler(self, variant: Variant) -> None:
        """Raise RecipeError where the variant needs another scheduler than the server has: no request selects one."""
        used = self._says.scheduler
        if variant.sigmas or variant.scheduler is SchedulerKind.SETTINGS:
            raise RecipeError(
                "it has a scheduler or sigmas of its own, which no request can ask a server for",
                where=f"variant {variant.name}",
                remedy="generate it in this process, or leave it out with --qil-variant",
            )
        if variant.scheduler is used:
            return
        if variant.scheduler is SchedulerKind.LIGHTNING:
            raise RecipeError(
                "it needs Lightning's scheduler, which no request can select, and the server is taken to have the "
                "model's own",
                where=f"variant {variant.name}",
                remedy=self._dialect.lightning,
            )
        raise RecipeError(
            f"it needs the model's own scheduler, and the server has {used}, as --qil-server-says",
            where=f"variant {variant.name}",
            remedy="ask a server with the model's own scheduler for it, or leave it out with --qil-variant",
        )

    def _lora(self, variant: Variant) -> ServedLora | None:
        """Return the LoRA that the server is asked for; None where it needs none, or has it since its start."""
        name, started = variant.name, self._says["lora"]
        if started and started != name:
            raise RecipeError(
                f"the server has the LoRA of {started} in every image, as --qil-server-says",
                where=f"variant {name}",
                remedy=f"select --qil-variant={started}, or start a server without it",
            )
        if started or not variant.loras:
            return None
        if not self._dialect.takes_lora:
            raise refuse_lora(self._dialect.api, name)
        path = self._says.lora_path(name)
        if not path:
            raise RecipeError(
                "where its LoRA lies on the server is not known",
                where=f"variant {name}",
                remedy=f"say it: --qil-server-says lora.{name}=PATH, or lora={name} if the server was started with it",
            )
        return ServedLora(name=name, path=path)

    def _not_checked(self, ask: Ask) -> Iterable[str]:
        yield from self._dialect.not_checked(self._says, ask.lora)
        if self._served.fields is None:
            yield "fields of the request (no /openapi.json)"
