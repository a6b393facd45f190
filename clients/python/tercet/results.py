"""Answers as values. `raw` is the JSON that one was made of; a newer server's members are there."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Union

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Collection:
    name: str
    documents: int
    passages: int
    chunk_tokens: int  # longer texts are cut into passages of so many; 0: they are not
    chunk_overlap: int
    bytes: int
    segments: int
    model: Optional[str]  # None: documents bring their representations
    analyzer: str
    modes: "list[str]"
    raw: Json = field(repr=False, compare=False)

    @staticmethod
    def of(raw: Json) -> "Collection":
        documents = int(raw["documents"])
        return Collection(raw["name"], documents, int(raw.get("passages", documents)),
                          int(raw.get("chunk_tokens", 0)), int(raw.get("chunk_overlap", 0)),
                          int(raw["bytes"]), int(raw["segments"]), raw["model"], raw["analyzer"],
                          raw["modes"], raw)


@dataclass(frozen=True)
class Verdict:
    """What became of one document, in the order in which they were given."""
    id: Optional[str]  # None: the document had no readable one
    status: str  # "stored", "unchanged" or "failed"
    error: Optional[str] = None

    @staticmethod
    def of(raw: Json) -> "Verdict":
        return Verdict(raw.get("id"), raw["status"], raw.get("error"))


@dataclass(frozen=True)
class AddResult:
    stored: int
    unchanged: int
    failed: int
    rows: "list[Verdict]"

    def __add__(self, other: "AddResult") -> "AddResult":
        return AddResult(self.stored + other.stored, self.unchanged + other.unchanged,
                         self.failed + other.failed, self.rows + other.rows)

    @staticmethod
    def of(raw: Json) -> "AddResult":
        return AddResult(int(raw["stored"]), int(raw["unchanged"]), int(raw["failed"]),
                         [Verdict.of(row) for row in raw["rows"]])


@dataclass(frozen=True)
class ModeScore:
    """One mode's share of a hit's score. The reranker has no `contribution`: it decides alone."""
    raw: float
    normalized: float
    rank: int
    contribution: Optional[float] = None

    @staticmethod
    def of(raw: Json) -> "ModeScore":
        return ModeScore(raw["raw"], raw["normalized"], int(raw["rank"]), raw.get("contribution"))


@dataclass(frozen=True)
class Passage:
    """The part of a document that was found, in bytes of its text in UTF-8."""
    begin: int
    end: int
    index: int
    of: int


@dataclass(frozen=True)
class Highlight:
    """begin and end: bytes of the hit's own title or text in UTF-8."""
    field: str
    begin: int
    end: int
    score: float
    source: str

    @staticmethod
    def of(raw: Json) -> "Highlight":
        return Highlight(raw["field"], int(raw["begin"]), int(raw["end"]), raw["score"],
                         raw["source"])


@dataclass(frozen=True)
class Hit:
    id: str
    score: float
    title: str
    text: str  # of the whole document; "" when the search asked for none
    fields: "dict[str, Any]"
    scores: "dict[str, ModeScore]"  # by mode, and "rerank"
    passage: Optional[Passage]  # None: the collection has no passages
    highlights: "list[Highlight]"
    raw: Json = field(repr=False, compare=False)

    @property
    def passage_text(self) -> str:
        """The passage's own words; the document's where there are no passages."""
        if self.passage is None:
            return self.text
        return slice_bytes(self.text, self.passage.begin, self.passage.end)

    @staticmethod
    def of(raw: Json) -> "Hit":
        passage = raw.get("passage")
        return Hit(raw["id"], raw["score"], raw.get("title", ""), raw.get("text", ""),
                   raw.get("fields", {}),
                   {mode: ModeScore.of(score) for mode, score in raw.get("scores", {}).items()},
                   Passage(passage["begin"], passage["end"], passage["index"], passage["of"])
                   if passage else None,
                   [Highlight.of(one) for one in raw.get("highlights", [])], raw)


def slice_bytes(text: str, begin: int, end: int) -> str:
    """Ranges are in bytes of UTF-8, strings of Python in characters."""
    return text.encode()[begin:end].decode(errors="replace")


@dataclass(frozen=True)
class SearchResult:
    hits: "list[Hit]"
    total_candidates: int
    modes: "list[str]"
    fusion: str
    weights: "dict[str, float]"
    retrieval: "dict[str, str]"  # of the modes that proposed candidates: "exact" or "approximate"
    filtered_to: Optional[int]  # documents that pass the filter
    facets: "dict[str, Any]"
    rerank: Optional[Json]  # {"model","asked","scored","deadline_reached"}
    took_ms: "dict[str, float]"
    raw: Json = field(repr=False, compare=False)

    @staticmethod
    def of(raw: Json) -> "SearchResult":
        return SearchResult([Hit.of(hit) for hit in raw["hits"]], int(raw["total_candidates"]),
                            raw["modes"], raw["fusion"], raw["weights"], raw.get("retrieval", {}),
                            raw.get("filtered_to"), raw.get("facets", {}), raw.get("rerank"),
                            raw["took_ms"], raw)


@dataclass(frozen=True)
class Encoding:
    """What a text became, in the modes that were asked for (None: not asked)."""
    dense: Optional["list[float]"]
    sparse: Optional["dict[str, float]"]  # by token id, or by word where there is no sparse head
    multi: Optional["list[list[float]]"]
    tokens: int

    @staticmethod
    def of(raw: Json) -> "Encoding":
        return Encoding(raw.get("dense"), raw.get("sparse"), raw.get("multi"), int(raw["tokens"]))


@dataclass(frozen=True)
class PairScore:
    """The relevance of a passage to a query; what needs a sparse head is None without one."""
    dense: Optional[float]
    sparse: Optional[float]
    colbert: Optional[float]
    sparse_dense: Optional[float]
    colbert_sparse_dense: Optional[float]

    @staticmethod
    def of(raw: Json) -> "PairScore":
        return PairScore(raw.get("dense"), raw.get("sparse"), raw.get("colbert"),
                         raw.get("sparse+dense"), raw.get("colbert+sparse+dense"))


@dataclass(frozen=True)
class RerankHit:
    index: int  # into the documents that were given
    score: float  # from 0 to 1

    @staticmethod
    def of(raw: Json) -> "RerankHit":
        return RerankHit(int(raw["index"]), raw["relevance_score"])


Weights = Union[Mapping[str, float], "list[float]", "tuple[float, float, float]"]
