"""Answers by the chat model of a server that has one (docs/answers.md)."""
from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterator, Tuple

from .errors import Unreachable, error_of
from .results import Json
from .transport import Stream


@dataclass(frozen=True)
class Source:
    """What [number] in an answer means: bytes begin to end of the text of document `id`."""
    number: int
    id: str
    title: str
    text: str
    begin: int
    end: int
    score: float

    @staticmethod
    def of(raw: Json) -> "Source":
        return Source(int(raw["number"]), raw["id"], raw["title"], raw["text"], int(raw["begin"]),
                      int(raw["end"]), raw["score"])


@dataclass(frozen=True)
class Answer:
    answer: str
    sources: "list[Source]"
    cited: "list[int]"  # numbers of sources
    finish: str  # "stop", "length" or "no_sources"
    model: str
    took_ms: "dict[str, float]"
    raw: Json = field(repr=False, compare=False)

    @staticmethod
    def of(answer: str, sources: "list[Source]", raw: Json) -> "Answer":
        return Answer(answer, sources, raw["cited"], raw["finish"], raw["model"], raw["took_ms"],
                      raw)


class AnswerStream:
    """Words as they come, by iterating; `sources` is there before them, `result` behind the last.
    To stop early, leave its with block, or close(): the model stops, too."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._events = _events(stream)
        self.sources: list[Source] = []
        self.result: "Answer | None" = None
        for name, data in self._events:
            if name == "sources":
                self.sources = [Source.of(source) for source in data["sources"]]
                break

    def __enter__(self) -> "AnswerStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.result:
            self._stream.close()

    def __iter__(self) -> Iterator[str]:
        words = []
        for name, data in self._events:
            if name == "delta":
                words.append(data["text"])
                yield data["text"]
            elif name == "error":
                raise error_of(data["error"])
            elif name == "done":
                self.result = Answer.of("".join(words), self.sources, data)
        if not self.result:
            raise Unreachable("broken_off", "the answer broke off")

    def whole(self) -> Answer:
        """The rest of it, all at once."""
        for _ in self:
            pass
        assert self.result
        return self.result


def _events(stream: Stream) -> Iterator[Tuple[str, Any]]:
    """Those that the server sends: a name, and one line of JSON. Comments are passed over."""
    name = ""
    for line in stream.lines():
        if line.startswith(b"event: "):
            name = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])
