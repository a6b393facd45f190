"""Client of Tercet, a hybrid retrieval search engine: `tercet serve` answers, this asks.

    client = tercet.Client("http://127.0.0.1:8080")
    client.add("notes", [{"id": "1", "text": "The moon moves the sea."}])
    for hit in client.search("notes", "what makes tides"):
        print(hit.id, hit.score)

Beside it: tercet.langchain, tercet.llama_index, tercet.mteb, for those who have these packages.
"""
from .answers import Answer, AnswerStream, Source
from .client import Client, SearchRequest
from .errors import Busy, NotFound, TercetError, Unreachable
from .results import (AddResult, Collection, Encoding, Highlight, Hit, ModeScore, PairScore,
                      Passage, RerankHit, SearchResult, Verdict)

__all__ = ["AddResult", "Answer", "AnswerStream", "Busy", "Client", "Collection", "Encoding",
           "Highlight", "Hit", "ModeScore", "NotFound", "PairScore", "Passage", "RerankHit",
           "SearchRequest", "SearchResult", "Source", "TercetError", "Unreachable", "Verdict"]
__version__ = "0.1.0"
