"""What can go wrong, as the server says it."""
from __future__ import annotations

import json
from typing import Optional


class TercetError(Exception):
    """code: a word for programs; message: a sentence; field: the member of the request at fault;
    status: of HTTP. `field` and `status` are None where there is none."""

    def __init__(self, code: str, message: str, field: Optional[str] = None,
                 status: Optional[int] = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code, self.message, self.field, self.status = code, message, field, status


class NotFound(TercetError):
    """No such collection or document."""


class Busy(TercetError):
    """A 503, also after all tries: the server's queue is full, or another process writes."""


class Unreachable(TercetError):
    """No answer at all: no connection, none in time, or one that broke off."""


def error_from(status: int, body: bytes) -> TercetError:
    """From an answer: ours, {"error":{"code","message","field"}}, or whatever stands between."""
    kind = {404: NotFound, 503: Busy}.get(status, TercetError)
    try:
        said = json.loads(body)
        error = said.get("error")
        if isinstance(error, dict):
            return kind(str(error["code"]), str(error["message"]), error.get("field"), status)
        if "message" in said:  # as the rerank routes say it
            return kind(str(error or "error"), str(said["message"]), None, status)
    except (ValueError, KeyError, AttributeError):
        pass
    return kind("http", f"status {status}: {body[:200].decode(errors='replace')}", None, status)


def error_of(error: "dict[str, object]") -> TercetError:
    """From an "error" member alone: one search of a batch, one event of a stream."""
    field = error.get("field")
    return TercetError(str(error.get("code", "error")), str(error.get("message", "")),
                       None if field is None else str(field))
