"""Tercet as a search model of MTEB; needs mteb 2.

    with TercetSearch.start("build/tercet", "--model", "BAAI/bge-m3") as search:
        mteb.evaluate(search, mteb.get_tasks(tasks=["SciFact"]))

or TercetSearch(tercet.Client(url)) for a server that runs. Every task's corpus becomes a collection
of its own, which the next one replaces.
"""
from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from mteb.models.model_meta import ModelMeta

from .client import Client

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import (CorpusDatasetType, EncodeKwargs, QueryDatasetType,
                            RetrievalOutputType, TopRankedDocumentsType)

ASKERS_N = 16  # searches under way: those that wait together are encoded together
IDS_FIELD = "mteb_id"  # of tasks that say which documents to rank
CANDIDATES_MAX = 10_000


class TercetSearch:
    """mteb's SearchProtocol.

    k: at most so many hits, where MTEB asks for 1,000; candidates grow with it, and what they are
    has a small share in how scores are normalised. `tercet eval` asks for 101, so k=101 gives its
    figures. search: more of Client.search, such as modes=["dense"] or candidates=400."""

    def __init__(self, client: Client, *, k: Optional[int] = None, name: str = "tercet/tercet",
                 revision: str = "1", **search: Any) -> None:
        self.client, self.k, self.options = client, k, search
        self.collection = ""
        self._name, self._revision = name, revision
        self._server: Optional["subprocess.Popen[str]"] = None
        self._data: Optional["tempfile.TemporaryDirectory[str]"] = None

    @staticmethod
    def start(program: str, *options: str, **settings: Any) -> "TercetSearch":
        """Starts `program serve` with these options over an empty folder, until close()."""
        data = tempfile.TemporaryDirectory(prefix="tercet-mteb-")
        server = subprocess.Popen(
            [program, "serve", "--data", data.name, "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, text=True)
        assert server.stdout
        said = ""
        for line in server.stdout:
            said += line
            address = re.search(r"https?://\S+", line)
            if address:
                search = TercetSearch(Client(address.group(0), timeout=600), **settings)
                search._server, search._data = server, data
                return search
        server.wait()
        data.cleanup()
        raise RuntimeError(f"{program} serve ended with {server.returncode}: {said}")

    def __enter__(self) -> "TercetSearch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends a server that start() started; elsewhere, removes the last collection."""
        if self._server:
            self._server.terminate()
            self._server.communicate()
        elif self.collection:
            self.client.delete_collection(self.collection)
        self.collection = ""
        self.client.close()
        if self._data:
            self._data.cleanup()

    @property
    def mteb_model_meta(self) -> ModelMeta:
        return ModelMeta.create_empty(overwrites={
            "name": self._name, "revision": self._revision, "model_type": ["hybrid"],
            "framework": ["API"], "experiment_kwargs": {"k": self.k, **self.options}})

    def index(self, corpus: CorpusDatasetType, *, task_metadata: TaskMetadata, hf_split: str,
              hf_subset: str, encode_kwargs: EncodeKwargs, num_proc: Optional[int] = None,
              **kwargs: Any) -> None:
        del encode_kwargs, num_proc, kwargs
        if self.collection:
            self.client.delete_collection(self.collection)
        self.collection = collection_name(task_metadata.name, hf_subset, hf_split)
        self.client.create_collection(self.collection)
        self.client.delete(self.collection, all=True)  # of a run that was broken off
        documents = (document(row, "rank" in task_metadata.type.lower()) for row in corpus)
        for verdicts in self.client.add_in_batches(self.collection, documents):
            if verdicts.failed:
                failed = next(row for row in verdicts.rows if row.status == "failed")
                raise RuntimeError(f"{verdicts.failed} documents were refused; {failed.id}: "
                                   f"{failed.error}")

    def search(self, queries: QueryDatasetType, *, task_metadata: TaskMetadata, hf_split: str,
               hf_subset: str, top_k: int, encode_kwargs: EncodeKwargs,
               top_ranked: Optional[TopRankedDocumentsType] = None, num_proc: Optional[int] = None,
               **kwargs: Any) -> RetrievalOutputType:
        del task_metadata, hf_split, hf_subset, encode_kwargs, num_proc, kwargs
        k = min(top_k, self.k or top_k)

        def ask(query: Mapping[str, Any]) -> Tuple[str, Dict[str, float]]:
            options = {"k": k, "text": False, **self.options}
            if top_ranked is not None:
                ids = list(top_ranked[query["id"]])
                options.update(filter={IDS_FIELD: {"$in": ids}},
                               candidates=min(len(ids), CANDIDATES_MAX) or 1)
            result = self.client.search(self.collection, query_text(query), **options)
            if result.rerank:  # its order is not that of the scores, and MTEB sorts by those
                return query["id"], {hit.id: float(-i) for i, hit in enumerate(result.hits)}
            return query["id"], {hit.id: hit.score for hit in result.hits}

        with ThreadPoolExecutor(ASKERS_N) as askers:
            answers: Iterator[Tuple[str, Dict[str, float]]] = askers.map(ask, queries)
            return dict(answers)


def collection_name(*parts: str) -> str:
    """Letters, digits, "_" and "-", 64 at most; two that differ stay different."""
    whole = "-".join(parts)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return "mteb-" + re.sub(r"[^A-Za-z0-9_-]", "_", whole)[:48] + "-" + digest


def document(row: Mapping[str, Any], with_id: bool) -> Dict[str, Any]:
    text: Dict[str, Any] = {"id": row["id"], "text": row["text"], "title": row.get("title") or ""}
    if with_id:
        text["fields"] = {IDS_FIELD: row["id"]}
    return text


def query_text(query: Mapping[str, Any]) -> str:
    """With its instruction behind it, as mteb's own encoders read it."""
    text = query["text"]
    if not isinstance(text, str):
        raise TypeError("a conversation is no query: this reads texts only")
    parts: List[str] = [text, query.get("instruction") or ""]
    return " ".join(part for part in parts if part)
