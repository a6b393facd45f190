"""A retriever for LangChain; needs langchain-core.

    retriever = TercetRetriever(client=tercet.Client(url), collection="notes", k=5)
    documents = retriever.invoke("what makes tides", filter={"lang": "en"})
"""
from __future__ import annotations

from typing import Any, Dict

from langchain_core.callbacks import (AsyncCallbackManagerForRetrieverRun,
                                      CallbackManagerForRetrieverRun)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import run_in_executor
from pydantic import ConfigDict, Field

from .client import Client
from .results import Hit


class TercetRetriever(BaseRetriever):
    """The metadata of a document: its fields, and "id", "title", "score", "scores" (each mode's raw
    score) and, where the collection has passages, "passage", whose words are the content."""

    client: Client
    collection: str
    k: int = 10
    search: Dict[str, Any] = Field(default_factory=dict)
    """More of Client.search: {"filter": {..}, "modes": [..], "rerank": {..}}. What invoke() is
    given beside the query goes over it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun,
                                **search: Any) -> "list[Document]":
        result = self.client.search(self.collection, query,
                                    **{"k": self.k, **self.search, **search})
        return [_document(hit) for hit in result.hits]

    async def _aget_relevant_documents(
            self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **search: Any
    ) -> "list[Document]":
        return await run_in_executor(None, self._get_relevant_documents, query,
                                     run_manager=run_manager.get_sync(), **search)


def _document(hit: Hit) -> Document:
    metadata: Dict[str, Any] = {
        **hit.fields, "id": hit.id, "title": hit.title, "score": hit.score,
        "scores": {mode: score.raw for mode, score in hit.scores.items()}}
    if hit.passage:
        metadata["passage"] = (hit.passage.begin, hit.passage.end)
    return Document(page_content=hit.passage_text, metadata=metadata, id=hit.id)
