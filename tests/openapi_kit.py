"""What a server's OpenAPI description says of an answer, and whether an answer is so; for
tests/each_answer.py. Knows the keywords that the description uses in answers, and no others."""
import re

KEYWORDS = {"description", "default", "$ref", "type", "enum", "properties", "required",
            "additionalProperties", "items", "anyOf", "oneOf", "minimum", "maximum"}
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
    and value == int(value),
}


class Description:
    def __init__(self, document):
        self.document = document
        self.operations = {f"{method.upper()} {path}": operation
                           for path, item in document["paths"].items()
                           for method, operation in item.items()}

    def followed(self, value):
        while "$ref" in value:
            found = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value

    def own(self, operation):
        """The statuses that an operation names by itself."""
        return {int(status) for status in self.operations[operation]["responses"]
                if status != "default"}

    def everybodys(self, operation):
        """Those that "default" tells in its words."""
        default = self.followed(self.operations[operation]["responses"]["default"])
        return {int(word) for word in re.findall(r"\b[1-5]\d\d\b", default["description"])}

    def statuses(self, operation):
        return self.own(operation) | self.everybodys(operation)

    def faults(self, operation, answer):
        """What is wrong with a served.Answer; empty: it is as described."""
        if answer.status not in self.statuses(operation):
            return [f"the status {answer.status} is not described"]
        responses = self.operations[operation]["responses"]
        response = self.followed(responses.get(str(answer.status)) or responses["default"])
        faults = [f"no {name} header" for name, header in response.get("headers", {}).items()
                  if self.followed(header).get("required") and not answer.headers[name]]
        kind, content = answer.headers["Content-Type"], response.get("content")
        if not content:
            return faults + (["a body, or a type"] if kind or answer.body else [])
        if kind not in content:
            return faults + [f"the type {kind}"]
        value = answer.json() if kind == "application/json" else answer.body.decode()
        return faults + self.misfits(value, content[kind]["schema"], "body")

    def misfits(self, value, schema, at):
        schema = self.followed(schema)
        unknown = schema.keys() - KEYWORDS
        if unknown:
            return [f"{at}: openapi_kit.py does not know {unknown}"]
        types = schema.get("type", list(TYPES))
        if not any(TYPES[kind](value) for kind in ([types] if isinstance(types, str) else types)):
            return [f"{at} is no {types}"]
        found = []
        for word, enough in (("anyOf", lambda n: n > 0), ("oneOf", lambda n: n == 1)):
            fit = [not self.misfits(value, each, at) for each in schema.get(word, [])]
            if fit and not enough(sum(fit)):
                found.append(f"{at} fits {sum(fit)} of {word}")
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{at} is none of {schema['enum']}")
        if "minimum" in schema and value < schema["minimum"]:
            found.append(f"{at} is {value}")
        if "maximum" in schema and value > schema["maximum"]:
            found.append(f"{at} is {value}")
        if isinstance(value, dict):
            found += self.member_misfits(value, schema, at)
        if isinstance(value, list) and "items" in schema:
            for i, each in enumerate(value):
                found += self.misfits(each, schema["items"], f"{at}[{i}]")
        return found

    def member_misfits(self, value, schema, at):
        """Stricter than JSON Schema: where members are described, all of them are to be."""
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties", not known)
        found = [f"{at} has no {name}" for name in schema.get("required", []) if name not in value]
        for name, each in value.items():
            if name in known:
                found += self.misfits(each, known[name], f"{at}.{name}")
            elif rest is False:
                found.append(f"{at}.{name} is not described")
            elif isinstance(rest, dict):
                found += self.misfits(each, rest, f"{at}.{name}")
        return found
