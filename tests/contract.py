#!/usr/bin/env python3
"""The HTTP contract may grow, and nothing else: what query/openapi.json promises is held against
what it promised at each release (tests/frozen/http-VERSION.txt, a fact a line).

usage: contract.py OPENAPI FROZEN...
       contract.py OPENAPI --freeze > tests/frozen/http-VERSION.txt

A client of a release goes on working while every route, parameter and member that it may send is
taken, of every type and value that was taken; nothing more is asked for; and what an answer always
had it still has, of no type that it did not have.
"""
import copy
import json
import sys

DEPTH_MAX = 12  # schemas name one another


def resolve(document, schema):
    while "$ref" in schema:
        at = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            at = at[name]
        schema = {**at, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def facts_of_schema(document, schema, where, verb, facts, depth=0):
    """verb: "takes" of what is sent, "gives" of what is answered."""
    if depth > DEPTH_MAX:
        return
    schema = resolve(document, schema)
    for kind in ("oneOf", "anyOf", "allOf"):
        for part in schema.get(kind, []):
            facts_of_schema(document, part, where, verb, facts, depth + 1)
    types = schema.get("type", [])
    for name in [types] if isinstance(types, str) else types:
        facts.add(f"{where} {verb} {name}")
    for value in schema.get("enum", []):
        facts.add(f"{where} {verb} {json.dumps(value)}")
    for name in schema.get("required", []):
        facts.add(f"{where}.{name} {'must' if verb == 'takes' else 'always'}")
    for name, member in schema.get("properties", {}).items():
        facts_of_schema(document, member, f"{where}.{name}", verb, facts, depth + 1)
    if "items" in schema:
        facts_of_schema(document, schema["items"], where + "[]", verb, facts, depth + 1)
    if isinstance(schema.get("additionalProperties"), dict):
        facts_of_schema(document, schema["additionalProperties"], where + ".*", verb, facts,
                        depth + 1)


def facts_of(document):
    facts = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path}"
            facts.add(f"{route} there")
            for parameter in operation.get("parameters", []):
                parameter = resolve(document, parameter)
                where = f"{route} {parameter['in']}:{parameter['name']}"
                facts_of_schema(document, parameter["schema"], where, "takes", facts)
                if parameter.get("required"):
                    facts.add(f"{where} must")
            body = operation.get("requestBody", {})
            if body.get("required"):
                facts.add(f"{route} body must")
            for kind, content in body.get("content", {}).items():
                facts.add(f"{route} body takes {kind}")
                facts_of_schema(document, content.get("schema", {}), f"{route} body", "takes",
                                facts)
            for status, response in operation["responses"].items():
                facts.add(f"{route} {status} there")
                if status >= "400":
                    continue  # errors have one form, which tests/each_answer.py looks at
                for content in resolve(document, response).get("content", {}).values():
                    facts_of_schema(document, content.get("schema", {}), f"{route} {status}",
                                    "gives", facts)
    return facts


def breaches(then, now):
    """What a client of then would notice."""
    def split(facts, verb):
        return {fact for fact in facts if f" {verb}" in fact}
    routes = {fact.removesuffix(" there") for fact in then if fact.endswith(" there")}
    for verb in ("there", "takes ", "always"):
        for fact in split(then, verb) - split(now, verb):
            yield f"gone: {fact}"
    for fact in split(now, "must") - split(then, "must"):
        if " ".join(fact.split()[:2]) in routes:
            yield f"asked for since: {fact}"
    given = {fact.rsplit(" gives ", 1)[0] for fact in split(then, "gives ")}
    for fact in split(now, "gives ") - split(then, "gives "):
        if fact.rsplit(" gives ", 1)[0] in given:
            yield f"not known to clients: {fact}"


def would_be_seen(document, facts):
    """The test of the test: each of these is a breach."""
    def changed(change):
        other = copy.deepcopy(document)
        change(other)
        return list(breaches(facts, facts_of(other)))
    schemas = "components", "schemas"

    def at(other, *names):
        for name in names:
            other = other[name]
        return other
    for what, change in (
            ("a route goes", lambda d: d["paths"].pop("/health")),
            ("a status goes", lambda d: at(d, "paths", "/v1/collections/{c}", "get",
                                           "responses").pop("404")),
            ("a member of a request goes", lambda d: at(d, *schemas, "SearchRequest",
                                                        "properties").pop("candidates")),
            ("a member of a request is asked for", lambda d: at(d, *schemas, "SearchRequest")
             .setdefault("required", []).append("k")),
            ("a member of an answer may be missing", lambda d: at(d, *schemas, "Hit",
                                                                  "required").remove("id")),
            ("a member of an answer has another type", lambda d: at(d, *schemas, "Hit",
                                                                    "properties", "id")
             .update(type="integer"))):
        if not changed(change):
            sys.exit(f"FAILED {what}, and nobody sees it")
        print(f"ok    it is seen when {what}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    now = facts_of(document)
    if sys.argv[2:] == ["--freeze"]:
        print("\n".join(sorted(now)))
        return
    would_be_seen(document, now)
    found = 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            then = set(file.read().split("\n")) - {""}
        for breach in sorted(breaches(then, now)):
            found += 1
            print(f"FAILED {path}: {breach}")
        print(f"{len(then)} facts of {path} hold" if not found else f"{found} breaches")
    sys.exit(found > 0 or not sys.argv[2:])


main()
