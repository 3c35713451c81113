"""A small JSON to a webhook: the standard library's client, because one POST needs no more.

The address is a secret: it comes from the environment and is written nowhere. It is https, or this machine.
"""

from __future__ import annotations

import ipaddress
import json
import threading
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from qiltest.notify.findings import fails, job_link
from qiltest.report.headline import counts_of, verdict_of
from qiltest.runs.records import Run
from qiltest.runs.streaks import streaks
from qiltest.text.escape import one_line

VARIABLE = "QILTEST_WEBHOOK"
#: seconds that one step of the connection may take, and all of it.
_STEP, _ALL = 10, 20
#: names of a list, and characters of a text.
_NAMED, _SHOWN = 50, 500


def record_of(run: Run) -> dict[str, object]:
    """Return what is sent: the verdict, how many images there are of each, and which are new, recurring and fixed."""
    status, headline, _ = verdict_of(run)
    found: dict[str, list[str]] = {}
    for streak in streaks(run):
        found.setdefault(str(streak.standing), []).append(one_line(streak.sample))
    shown = one_line(headline, _SHOWN)
    return {
        # what chat services show
        "text": f"qiltest {status.value}: {shown} ({one_line(run.model, 100)})",
        "run": run.id,
        "started": run.started,
        "model": one_line(run.model, 200),
        "device": one_line(run.device_name or run.device, 200),
        "commit": run.commit,
        "verdict": status.value,
        "headline": shown,
        "counts": {status.value: number for status, number in counts_of(run)},
        "failing": [one_line(result.id) for result in run.results if fails(result)][:_NAMED],
        "since_when": {standing: names[:_NAMED] for standing, names in found.items()},
        "link": job_link(),
    }


def refused(url: str) -> str:
    """Return why an address is not used, or ""; the address itself is never in the answer."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the webhook's address cannot be read"
    if not host or port == 0:
        return "the webhook's address names no host"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_here(host)):
        return ""
    return "the webhook's address is neither https nor this machine"


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def post(url: str, record: Mapping[str, object]) -> str:
    """Send a record and return why that failed, or ""; it takes at most 20 seconds and raises nothing."""
    why = refused(url)
    if why:
        return why
    answer: list[str] = []
    # of its own, because a server that answers a byte at a time holds each step within its limit
    sender = threading.Thread(target=lambda: answer.append(_post(url, record)), daemon=True)
    sender.start()
    sender.join(_ALL)
    return answer[0] if answer else f"the webhook did not answer within {_ALL} s"


def _post(url: str, record: Mapping[str, object]) -> str:
    body = json.dumps(record, allow_nan=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "qiltest"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - checked above
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if _is_here(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_STEP) as answer:
            return "" if answer.status < 300 else f"the webhook answered {answer.status}"
    except HTTPError as error:
        return f"the webhook answered {error.code}"
    except URLError as error:
        reason = error.reason
        return f"the webhook cannot be reached: {reason.strerror if isinstance(reason, OSError) else 'no answer'}"
    except (OSError, HTTPException, ValueError) as error:
        return f"the webhook cannot be reached: {type(error).__name__}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: where the answer leads was checked by nobody."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Return no further request, so that the answer itself is an error."""
