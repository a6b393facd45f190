"""A retriever for LlamaIndex; needs llama-index-core.

    retriever = TercetRetriever(tercet.Client(url), "notes", k=5)
    nodes = retriever.retrieve("what makes tides")
"""
from __future__ import annotations

import asyncio
from typing import Any, Dict, Optional

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from .client import Client
from .results import Hit


class TercetRetriever(BaseRetriever):
    """A node's metadata: the document's fields, and "title", "scores" (each mode's raw score) and,
    where the collection has passages, "passage", whose words are the node's text. None of it but
    fields and title goes to a language model."""

    def __init__(self, client: Client, collection: str, *, k: int = 10,
                 callback_manager: Optional[CallbackManager] = None, **search: Any) -> None:
        """search: more of Client.search, such as filter={..} or modes=[..]."""
        self._client, self._collection, self._search = client, collection, {"k": k, **search}
        super().__init__(callback_manager)

    def _retrieve(self, query_bundle: QueryBundle) -> "list[NodeWithScore]":
        result = self._client.search(self._collection, query_bundle.query_str, **self._search)
        return [NodeWithScore(node=_node(hit), score=hit.score) for hit in result.hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> "list[NodeWithScore]":
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._retrieve, query_bundle)


def _node(hit: Hit) -> TextNode:
    metadata: Dict[str, Any] = {
        **hit.fields, "title": hit.title,
        "scores": {mode: score.raw for mode, score in hit.scores.items()}}
    if hit.passage:
        metadata["passage"] = (hit.passage.begin, hit.passage.end)
    ours = ["scores", "passage"]
    return TextNode(id_=hit.id, text=hit.passage_text, metadata=metadata,
                    excluded_llm_metadata_keys=ours, excluded_embed_metadata_keys=ours)
