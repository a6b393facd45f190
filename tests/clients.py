#!/usr/bin/env python3
"""Clients of other servers, as pip installs them, against ours: a new base URL and nothing else.

usage: clients.py TERCET [PYTHON]

PYTHON has the clients (tools/setup.sh test makes it: .cache/clients/bin/python). Without it, or
without one client, what needs it is left out; when nothing is left, the test is skipped (77).
"""
import base64
import os
import struct
import sys
import tempfile

if len(sys.argv) > 2:
    if not os.path.exists(sys.argv[2]):
        print(f"no clients: {sys.argv[2]} is missing (tools/setup.sh test makes it)")
        sys.exit(77)
    os.execv(sys.argv[2], [sys.argv[2], *sys.argv[:2]])

from served import SKIP, Server, check, random_model  # noqa: E402

TERCET = sys.argv[1]
DIM = 384
TEXTS = ["the tides follow the moon", "disk pages", "a violin"]


def close(a, b):
    return len(a) == len(b) and all(abs(x - y) < 1e-6 for x, y in zip(a, b))


def check_openai(url, expected):
    import openai
    client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    for encoding in ("float", openai.NOT_GIVEN):  # by default it asks for base64 and decodes
        answer = client.embeddings.create(model="any", input=TEXTS, encoding_format=encoding)
        check(all(close(row.embedding, vector) for row, vector in zip(answer.data, expected)),
              f"openai: the vectors, {encoding!s:.9}")
    coded = client.embeddings.create(model="any", input=TEXTS[0], encoding_format="base64")
    check(close(struct.unpack(f"<{DIM}f", base64.b64decode(coded.data[0].embedding)), expected[0]),
          "openai: base64")
    check(answer.usage.prompt_tokens == answer.usage.total_tokens > 0, "openai: usage")
    one = client.embeddings.create(model="any", input=TEXTS[1])
    check(close(one.data[0].embedding, expected[1]), "openai: one text")
    check([model.id for model in client.models.list().data][0] == one.model, "openai: models")
    for wrong, param in (({"input": [[1, 2], [3]]}, "input"), ({"input": ""}, "input"),
                         ({"input": "a", "dimensions": 64}, "dimensions")):
        try:
            client.embeddings.create(model="any", **wrong)
            check(False, f"openai: {wrong} is refused")
        except openai.BadRequestError as error:
            check(error.param == param and error.code and error.type == "invalid_request_error",
                  f"openai: {wrong} is refused by name")
    try:
        client.embeddings.create(model="any", input=["a"] * 1025)
        check(False, "openai: 1,025 texts are refused")
    except openai.APIStatusError as error:
        check(error.status_code == 413 and "1024" in error.message, "openai: too many texts")


def check_langchain_openai(url, expected):
    from langchain_openai import OpenAIEmbeddings
    client = OpenAIEmbeddings(base_url=url + "/v1", api_key="none", model="any",
                              check_embedding_ctx_length=False)
    check(all(close(*both) for both in zip(client.embed_documents(TEXTS), expected)),
          "langchain-openai: documents")
    check(close(client.embed_query(TEXTS[2]), expected[2]), "langchain-openai: a query")


def check_huggingface_hub(url, expected):
    from huggingface_hub import InferenceClient
    vectors = InferenceClient(model=url + "/embed").feature_extraction(TEXTS[0], normalize=True,
                                                                       truncate=True)
    check(close(list(vectors[0]), expected[0]), "huggingface_hub: feature extraction")


def check_llama_index(url, expected):
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
    client = TextEmbeddingsInference(model_name="any", base_url=url, timeout=60,
                                     query_instruction="", text_instruction="")
    check(all(close(*both) for both in zip(client.get_text_embedding_batch(TEXTS), expected)),
          "llama-index: text-embeddings-inference")


def check_cohere(url, _):
    import cohere
    answers = [
        cohere.Client(api_key="none", base_url=url).rerank(
            model="any", query="the sea", documents=TEXTS, top_n=2, return_documents=True),
        cohere.ClientV2(api_key="none", base_url=url).rerank(
            model="any", query="the sea", documents=TEXTS, top_n=2),
    ]
    check(answers[0].results[0].document.text == TEXTS[answers[0].results[0].index],
          "cohere: the document comes back")
    check([hit.index for hit in answers[0].results] == [hit.index for hit in answers[1].results] and
          len(answers[1].results) == 2 and
          1 > answers[1].results[0].relevance_score > answers[1].results[1].relevance_score > 0,
          "cohere: the best two, by both of its clients")
    try:
        cohere.ClientV2(api_key="none", base_url=url).rerank(model="any", query="a", documents=[])
        check(False, "cohere: no documents are refused")
    except cohere.errors.BadRequestError as error:
        check("documents" in error.body["message"], "cohere: no documents are refused by name")


def main():
    clients = {"openai": check_openai, "langchain_openai": check_langchain_openai,
               "huggingface_hub": check_huggingface_hub, "llama_index": check_llama_index,
               "cohere": check_cohere}
    done = []
    with tempfile.TemporaryDirectory() as folder:
        reranker = random_model(TERCET, "v2-m3", folder + "/reranker")
        with Server(TERCET, folder + "/data", "--reranker", reranker) as server:
            expected = server.post("/embed", {"inputs": TEXTS})
            check([len(vector) for vector in expected] == [DIM] * 3, "what is expected")
            for name, run in clients.items():
                try:
                    __import__(name)
                except ImportError:
                    print(f"left out: {name} is not installed")
                    continue
                run(server.url, expected)
                done.append(name)
    print("with " + ", ".join(done) if done else "no client is installed")
    sys.exit(0 if done else SKIP)


main()
