"""SGLang's diffusion server: the same address with its extensions; a LoRA is set for the whole server.

It keeps parameters that it does not know and ignores them, and sends a JPEG where no format is named. Written from the
schema of 0.5.23 (`ImageGenerationsRequest`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from qiltest.errors import AnswerError, ServerError
from qiltest.serving.dialect import STRENGTH, Ask, Dialect, ServedLora, Took, one_diffusion, told_seconds, told_version
from qiltest.serving.settings import Api, Says

if TYPE_CHECKING:
    from qiltest.serving.client import Answer, Client

_SET, _UNMERGE, _LIST = "/v1/set_lora", "/v1/unmerge_lora_weights", "/v1/list_loras"
_LEFT = "another client may set LoRAs on the same server: leave it alone while a session runs"


class SGLang(Dialect):
    """SGLang's dialect."""

    api: ClassVar[Api] = Api.SGLANG
    sets_lora: ClassVar[bool] = True
    lightning: ClassVar[str] = (
        "SGLang 0.5.23 computes the shift of Qwen-Image in its code, so it cannot generate this recipe; only a server "
        "that was changed to do so may be said to, with --qil-server-says scheduler=lightning"
    )
    optional: ClassVar[frozenset[str]] = frozenset({"enhance_prompt", "enable_teacache", "enable_upscaling"})

    def body(self, ask: Ask, says: Says) -> dict[str, Any]:
        """Return the request; without guidance there is no negative prompt."""
        length = {"max_sequence_length": ask.max_sequence_length}
        return {**one_diffusion(ask), **length, **dict.fromkeys(sorted(self.optional), False)}

    def version(self, client: Client) -> str:
        """Return what `/server_info` says, "" for nothing."""
        return told_version(client, "/server_info")

    def sends_length(self) -> bool:
        """Return True: `max_sequence_length`."""
        return True

    def took(self, answer: Answer) -> Took:
        """Return the seconds of the server's whole work on the request, else what was waited."""
        value = answer.value.get("inference_time_s") if isinstance(answer.value, dict) else None
        return told_seconds(value, answer, "request") or super().took(answer)

    def switch(self, client: Client, lora: ServedLora | None) -> None:
        """Set or take away the LoRA of the whole server, and see that it is so. Raises ServerError and AnswerError."""
        if lora is None:
            if _active(client):
                client.post(_UNMERGE, {"target": "all"})
                _see(client, "")
            return
        name = nickname(lora)
        body = {"lora_nickname": name, "lora_path": lora.path, "target": "all", "strength": STRENGTH}
        client.post(_SET, body)
        _see(client, name)


def nickname(lora: ServedLora) -> str:
    """Return the name of a LoRA on the server: another for another path, because a known name is not loaded again."""
    return f"qiltest-{lora.name}-{hashlib.sha256(lora.path.encode()).hexdigest()[:8]}"


def _see(client: Client, name: str) -> None:
    """Raise ServerError unless the server says that it uses this LoRA alone, at its strength; "" for none."""
    seen = _active(client)
    wanted = [(name, STRENGTH)] if name else []
    if seen != wanted:
        shown = ", ".join(f"{one} at {strength}" for one, strength in seen) or "no LoRA"
        raise ServerError(
            f"the server uses {shown}, {f'{name} at {STRENGTH}' if name else 'no LoRA'} was set",
            where=_LIST,
            remedy=_LEFT,
        )


def _active(client: Client) -> list[tuple[str, float]]:
    """Return (nickname, strength) of the LoRAs that are in use; none where the server was started without LoRAs."""
    try:
        found = client.get(_LIST)
    except AnswerError:  # "Lora is not enabled"; setting one then says so
        return []
    active = found.get("active") if isinstance(found, dict) else None
    if found is not None and not isinstance(active, dict):
        raise ServerError("the server does not say which LoRA it uses", where=_LIST, remedy="see its version")
    modules = list((active or {}).values())
    used = {
        (str(one.get("nickname")), _number(one.get("strength")))
        for module in modules
        for one in (module if isinstance(module, list) else [])
        if isinstance(one, dict)
    }
    return sorted(used)


def _number(value: Any) -> float:  # noqa: ANN401 -- JSON
    """Return a strength that the server tells, 0 where it tells none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
