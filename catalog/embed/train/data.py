"""The texts that the encoder is trained and measured on: requests, and the tools that serve them."""

import json
import re
from pathlib import Path
from typing import NamedTuple

REQUESTS = Path(__file__).with_name("requests.jsonl")


class Pair(NamedTuple):
    """A request and a tool that serves it."""

    tool: str
    request: str
    passage: str  # what is embedded of the tool
    right: set  # every tool that is right for the request


def training_sets(data, requests):
    """Returns name → pairs, and for tools of the haystack the pair whose request is the tool's bare name."""
    haystack = read_lines(data / "haystack/tools.jsonl")
    described, named = from_descriptions(haystack)
    return {
        "haystack": described,
        "seal-tools": labelled(data, "seal-tools"),
        "metatool": labelled(data, "metatool"),
        "acebench": labelled(data, "acebench"),
        "small": labelled(data, "toolalpaca") + labelled(data, "api-bank"),
        "written": written(haystack)[:requests],
    }, named


def from_descriptions(tools):
    """Makes pairs of tools alone. The first sentence of a description is the request for the rest of the definition."""
    described, named = [], {}
    for tool in tools:
        description = re.sub(r"\s+", " ", tool.get("description") or "").strip()
        first, *rest = re.split(r"(?<=[.!?])\s+", description)
        first = first[:200]
        if len(first.split()) < 3 or not first.isascii():
            continue
        right = {tool["id"]}
        described.append(Pair(tool["id"], first, passage({**tool, "description": " ".join(rest)}), right))
        name = words(tool["name"])
        if len(name) > 1:
            text = " ".join(words(tool["server"])) + ". " + description
            named[tool["id"]] = Pair(tool["id"], " ".join(name), text[:900], right)
    return described, named


def labelled(data, name):
    """Makes a pair of each query of a retrieval set and each tool it needs."""
    tools, queries = retrieval_set(data, name)
    passages = {tool["id"]: passage(tool) for tool in tools}
    pairs = []
    for query in queries:
        right = {name + tool for group in gold(query) for tool in group}
        for group in gold(query):
            pairs.append(Pair(name + group[0], query["query"], passages[group[0]], right))
    return pairs


def written(tools):
    """Reads the requests that were written for tools of the haystack."""
    passages = {tool["id"]: passage(tool) for tool in tools}
    return [Pair(r["tool"], r["request"], passages[r["tool"]], {r["tool"]}) for r in read_lines(REQUESTS)]


def retrieval_set(data, name):
    folder = data / "retrieval" / name
    return read_lines(folder / "tools.jsonl"), read_lines(folder / "queries.jsonl")


def gold(query):
    """What a query needs: groups of tools, of each of which one suffices."""
    return [group if isinstance(group, list) else [group] for group in query["gold"]]


def passage(tool):
    """What is embedded of a tool: server and name in plain words, title, description, parameter names."""
    text = " ".join(words(tool["server"])) + " " + " ".join(words(tool["name"]))
    if tool.get("title"):
        text += ". " + cut(tool["title"], 200)
    description = cut(tool.get("description") or "", 800).rstrip(". \n")
    if description:
        text += ". " + description
    names = [" ".join(words(name)) for name in parameters(tool)]
    if names:
        text += ". " + ", ".join(names)
    return cut(text, 1200)


def parameters(tool):
    schema = tool.get("input_schema") or {}
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return sorted(properties) if isinstance(properties, dict) else []


def words(name):
    """Splits getFileByID2, get_file and get-file into lower-case words."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", name)
    name = re.sub(r"(\d)([A-Za-z])", r"\1 \2", name)
    name = re.sub(r"([A-Za-z])(\d)", r"\1 \2", name)
    return [word.lower() for word in re.findall(r"[^\W_]+", name)]


def cut(text, most):
    return text.encode()[:most].decode("utf8", "ignore")


def read_lines(path):
    with open(path, encoding="utf8") as file:
        return [json.loads(line) for line in file if line.strip()]
