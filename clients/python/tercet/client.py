"""The routes of a server as methods. What each member means: docs/http-api.md."""
from __future__ import annotations

import json
import ssl
from typing import (Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Tuple,
                    TypedDict, TypeVar, Union)
from urllib.parse import quote

from .answers import Answer, AnswerStream
from .errors import NotFound, TercetError, error_of
from .results import (AddResult, Collection, Encoding, Hit, PairScore, RerankHit, SearchResult,
                      Weights)
from .transport import Transport

BATCH_ROWS_MAX = 512  # documents a request: on disk within seconds, and so are its verdicts
BATCH_BYTES_MAX = 8 << 20  # the server takes 32 MiB
SEARCHES_MAX = 64  # of one request
TEXTS_MAX = 256  # of one request; the server takes 1,024, but an answer has limits of its own
Item = TypeVar("Item")


class SearchRequest(TypedDict, total=False):
    """Exactly one of query, like, and ready-made representations (dense, sparse, multi); a query
    may stand beside those, for rerank and highlight."""
    query: Optional[str]
    dense: Optional[Sequence[float]]
    sparse: Optional[Mapping[str, float]]
    multi: Optional[Sequence[Sequence[float]]]
    like: Optional[str]
    k: Optional[int]
    offset: Optional[int]
    modes: Optional[Sequence[str]]
    weights: Optional[Weights]
    fusion: Optional[str]
    candidates: Optional[int]
    exact: Optional[bool]
    sparse_mass: Optional[float]
    filter: Optional[Mapping[str, Any]]
    facets: Optional[Sequence[str]]
    facet_limit: Optional[int]
    rerank: Optional[Mapping[str, Any]]
    highlight: Union[None, bool, Mapping[str, Any]]
    explain: Optional[bool]
    text: Optional[bool]


class Client:
    """A server. Any number of threads may use one client; its connections are kept.

    timeout: seconds without a byte from the server. retries: how often a 503 is asked again, after
    what Retry-After says and some more, 10 s at most each; everything else is raised at once."""

    def __init__(self, url: str = "http://127.0.0.1:8080", api_key: Optional[str] = None, *,
                 timeout: float = 60.0, retries: int = 5,
                 tls: Optional[ssl.SSLContext] = None) -> None:
        self._transport = Transport(url, api_key, timeout, retries, tls)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that are kept; the next request makes a new one."""
        self._transport.close()

    def health(self) -> bool:
        """True: it runs. Raises Unreachable where nothing answers."""
        return bool(self._transport.ask("GET", "/health")["status"] == "ok")

    # ---- collections ----

    def collections(self) -> "list[Collection]":
        answer = self._transport.ask("GET", "/v1/collections")
        return [Collection.of(one) for one in answer["collections"]]

    def collection(self, name: str) -> Collection:
        return Collection.of(self._transport.ask("GET", path(name)))

    def create_collection(self, name: str, *, chunk_tokens: Optional[int] = None,
                          chunk_overlap: Optional[int] = None,
                          analyzer: Optional[str] = None) -> Collection:
        """Makes it; one that is there stays as it is. chunk_tokens: texts of more tokens are cut into
        passages (docs/passages.md). add() makes a collection by itself, without."""
        body = given(chunk_tokens=chunk_tokens, chunk_overlap=chunk_overlap, analyzer=analyzer)
        return Collection.of(self._transport.ask("PUT", path(name), body or None))

    def create_collection_of_vectors(self, name: str, *, dense_dim: Optional[int] = None,
                                     multi_dim: Optional[int] = None,
                                     analyzer: Optional[str] = None,
                                     chunk_tokens: Optional[int] = None) -> Collection:
        """Makes one without a model: documents and queries bring "dense" and "multi" of so many
        numbers. analyzer: words:en or the like (texts are searched by their words as well), head
        (they bring "sparse", weights of numbered tokens) or none."""
        body = given(dense_dim=dense_dim, multi_dim=multi_dim, analyzer=analyzer,
                     chunk_tokens=chunk_tokens)
        return Collection.of(self._transport.ask("PUT", path(name), {"model": None, **body}))

    def delete_collection(self, name: str) -> None:
        self._transport.ask("DELETE", path(name))

    # ---- documents ----

    def add(self, collection: str, documents: Iterable[Mapping[str, Any]], *,
            wait: Optional[str] = None) -> AddResult:
        """Stores {"id","text","title","fields"}; one of the same id is replaced. When it returns,
        they are on disk; wait="searchable" waits until they can be found as well. One that the
        server does not want is a verdict, not an exception."""
        total = AddResult(0, 0, 0, [])
        for verdicts in self.add_in_batches(collection, documents, wait=wait):
            total += verdicts
        return total

    def add_in_batches(self, collection: str, documents: Iterable[Mapping[str, Any]], *,
                       wait: Optional[str] = None) -> Iterator[AddResult]:
        """The same, with the verdicts of each batch as soon as it is on disk: for more documents
        than fit in memory, and for who wants to go on after a failure."""
        where = path(collection, "documents") + (f"?wait={quote(wait)}" if wait else "")
        for batch in batches(documents):
            yield AddResult.of(self._transport.ask("POST", where, ndjson=batch))

    def get(self, collection: str, id: str) -> Hit:
        """A document: `id`, `title`, `text` and `fields` of a Hit. NotFound where there is none."""
        document = self._transport.ask("GET", path(collection, "documents", id))
        return Hit.of({**document, "score": 0.0})

    def delete(self, collection: str, ids: Union[None, str, Iterable[str]] = None, *,
               filter: Optional[Mapping[str, Any]] = None, all: bool = False) -> int:
        """Deletes one id, several, what passes a filter, or all of them. How many there were."""
        if (ids is not None) + (filter is not None) + all != 1:
            raise ValueError("delete: one of ids, filter and all")
        if ids is None:
            body = {"all": True} if all else {"filter": filter}
            answer = self._transport.ask("POST", path(collection, "documents", "delete"), body)
            return int(answer["deleted"])
        deleted = 0
        for id in [ids] if isinstance(ids, str) else ids:
            try:
                answer = self._transport.ask("DELETE", path(collection, "documents", id))
            except NotFound:
                self.collection(collection)  # raises where it is the collection that is missing
                continue
            deleted += int(answer["deleted"])
        return deleted

    # ---- search ----

    def search(self, collection: str, query: Optional[str] = None, *, k: Optional[int] = None,
               offset: Optional[int] = None, modes: Optional[Sequence[str]] = None,
               weights: Optional[Weights] = None, fusion: Optional[str] = None,
               candidates: Optional[int] = None, exact: Optional[bool] = None,
               sparse_mass: Optional[float] = None, filter: Optional[Mapping[str, Any]] = None,
               facets: Optional[Sequence[str]] = None, facet_limit: Optional[int] = None,
               dense: Optional[Sequence[float]] = None,
               sparse: Optional[Mapping[str, float]] = None,
               multi: Optional[Sequence[Sequence[float]]] = None, like: Optional[str] = None,
               rerank: Optional[Mapping[str, Any]] = None,
               highlight: Union[None, bool, Mapping[str, Any]] = None,
               explain: Optional[bool] = None, text: Optional[bool] = None) -> SearchResult:
        """None leaves a member to the server."""
        request = SearchRequest(
            query=query, k=k, offset=offset, modes=modes, weights=weights, fusion=fusion,
            candidates=candidates, exact=exact, sparse_mass=sparse_mass, filter=filter,
            facets=facets, facet_limit=facet_limit, dense=dense, sparse=sparse, multi=multi,
            like=like, rerank=rerank, highlight=highlight, explain=explain, text=text)
        return SearchResult.of(
            self._transport.ask("POST", path(collection, "search"), given(**request)))

    def search_batch(self, collection: str, searches: Sequence[SearchRequest]
                     ) -> "list[Union[SearchResult, TercetError]]":
        """Many searches, 64 a request; each gets its result or its own error, in their order."""
        results: list[Union[SearchResult, TercetError]] = []
        for begin in range(0, len(searches), SEARCHES_MAX):
            body = {"searches": [given(**one) for one in searches[begin:begin + SEARCHES_MAX]]}
            answer = self._transport.ask("POST", path(collection, "search", "batch"), body)
            results += [error_of(one["error"]) if "error" in one else SearchResult.of(one)
                        for one in answer["results"]]
        return results

    # ---- answers ----

    def answer(self, collection: str, question: str, **search: Any) -> Answer:
        """What the server's chat model makes of the best passages; search: as of search(), such as
        k=5 or filter={..}. A TercetError says so where there is no such model (status 422)."""
        with self.stream_answer(collection, question, **search) as stream:
            return stream.whole()

    def stream_answer(self, collection: str, question: str, **search: Any) -> AnswerStream:
        """The same, word by word."""
        body = given(question=question, stream=True, **search)
        return AnswerStream(self._transport.open("POST", path(collection, "answer"), body))

    # ---- the models themselves ----

    def encode(self, texts: Sequence[str], *, modes: Optional[Sequence[str]] = None,
               input_type: Optional[str] = None, truncate: Optional[bool] = None
               ) -> "list[Encoding]":
        """input_type: "query" or "passage" puts the model's instruction in front."""
        return self._in_parts(
            texts, "/v1/encode", "encodings", Encoding.of,
            lambda part: given(texts=part, modes=modes, input_type=input_type, truncate=truncate))

    def score(self, pairs: Sequence[Tuple[str, str]], *, weights: Optional[Weights] = None
              ) -> "list[PairScore]":
        """(query, passage) pairs."""
        return self._in_parts(
            pairs, "/v1/score", "scores", PairScore.of,
            lambda part: given(pairs=[{"query": query, "passage": passage}
                                      for query, passage in part], weights=weights))

    def rerank(self, query: str, documents: Sequence[str], *, top_n: Optional[int] = None
               ) -> "list[RerankHit]":
        """By the server's cross-encoder, best first."""
        body = given(query=query, documents=list(documents), top_n=top_n)
        answer = self._transport.ask("POST", "/v1/rerank", body)
        return [RerankHit.of(hit) for hit in answer["results"]]

    def _in_parts(self, items: Sequence[Any], where: str, member: str,
                  read: "Callable[[Mapping[str, Any]], Item]",
                  body_of: "Callable[[list[Any]], object]") -> "list[Item]":
        results: list[Item] = []
        for begin in range(0, len(items), TEXTS_MAX):
            body = body_of(list(items[begin:begin + TEXTS_MAX]))
            results += map(read, self._transport.ask("POST", where, body)[member])
        return results


def path(*parts: str) -> str:
    return "/v1/collections/" + "/".join(quote(part, safe="") for part in parts)


def given(**members: object) -> "dict[str, object]":
    """Without those that are None."""
    return {name: value for name, value in members.items() if value is not None}


def batches(documents: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Bodies of NDJSON, each within both limits. A document larger than a body goes alone: it is
    for the server to refuse."""
    lines: list[bytes] = []
    size = 0
    for document in documents:
        line = json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        if lines and (size + len(line) > BATCH_BYTES_MAX or len(lines) == BATCH_ROWS_MAX):
            yield b"".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield b"".join(lines)
