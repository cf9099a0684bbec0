"""Measures search on sets that nothing is trained on: recall@5 and nDCG@10 of BM25, of vectors, and of both together."""

import argparse
import collections
import math
import os
import re
from pathlib import Path

import numpy as np

from data import cut, gold, parameters, passage, retrieval_set, words
from model import Tokenizer, embed, read_base, read_params

SETS = ["agentdojo", "bfcl-multiturn", "nestful", "restbench-tmdb", "restbench-spotify", "mcpproxy-golden"]
VECTORS = 1.5  # weight of the vectors' scores where that of BM25's is 1
TOKENS = 96


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--params", type=Path, help="file that train.py wrote (default: the base as it is)")
    parser.add_argument("--data", type=Path, default=os.environ.get("REMIT_EVAL_DATA"),
                        help="folder with retrieval/ (default: $REMIT_EVAL_DATA)")
    parser.add_argument("--sets", nargs="+", default=SETS, metavar="SET", help="default: " + " ".join(SETS))
    parser.add_argument("--limit", type=int, default=100, help="queries of a set, at most (default: %(default)s)")
    args = parser.parse_args()
    if args.data is None:
        parser.error("give --data or set REMIT_EVAL_DATA")

    params = read_params(args.params) if args.params else read_base(args.base)
    tokenizer = Tokenizer(args.base)

    def vectors(texts):
        return embed(params, tokenizer, texts, TOKENS)

    print(f"{'recall@5 / nDCG@10':20s} {'BM25':>11s} {'vectors':>11s} {'both':>11s}")
    results = []
    for name in args.sets:
        results.append(measure(vectors, *retrieval_set(args.data, name), args.limit))
        show(name, results[-1])
    show("mean", np.mean(results, 0))


def show(name, result):
    print(f"{name:20s} " + " ".join(f"{recall:.3f}/{ndcg:.3f}" for recall, ndcg in result), flush=True)


def measure(vectors, tools, queries, limit):
    """Returns recall@5 and nDCG@10 for BM25, vectors and both."""
    if len(queries) > limit:
        chosen = np.random.RandomState(7).choice(len(queries), limit, False)
        queries = [queries[i] for i in sorted(chosen)]
    bm25 = BM25(tools)
    passages = vectors([passage(tool) for tool in tools])
    results = []
    for query, own in zip(queries, embed_parts(vectors, queries)):
        by_vectors = scaled(own @ passages.T, lambda s: (s - s.min()) / max((s - s.min()).max(), 1e-9))
        by_words = scaled(np.array([bm25.scores(part) for part in parts(query)]), lambda s: s / max(s.max(), 1e-9))
        both = by_words + VECTORS * by_vectors
        results.append([metrics(scores, tools, query) for scores in (by_words, by_vectors, both)])
    return np.mean(results, 0)


def embed_parts(vectors, queries):
    counts = [len(parts(query)) for query in queries]
    flat = vectors([part for query in queries for part in parts(query)])
    return np.split(flat, np.cumsum(counts)[:-1])


def parts(query):
    """A query as a whole and, if it has several, its sentences."""
    sentences = [s.strip() for s in re.split(r"(?<=[.!?;])\s+|\n+", query["query"]) if len(s.split()) > 1]
    return [query["query"], *(sentences if len(sentences) > 1 else [])]


def scaled(scores, scale):
    """Half is the score for the whole query, half the best that a sentence gives."""
    if len(scores) == 1:
        return scale(scores[0])
    return 0.5 * scale(scores[0]) + 0.5 * scale(scores[1:].max(0))


def metrics(scores, tools, query):
    groups = gold(query)
    open_groups = list(groups)
    recall = gain = 0
    for rank, i in enumerate(np.argsort(-scores, kind="stable")[:10]):
        found = next((group for group in open_groups if tools[i]["id"] in group), None)
        if found is not None:
            open_groups.remove(found)
            gain += 1 / math.log2(rank + 2)
            recall += rank < 5
    best = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(groups))))
    return recall / len(groups), gain / best


class BM25:
    """BM25 over the fields of a tool, weighted."""

    K1, B = 1.8, 0.7

    def __init__(self, tools):
        documents = [self.count(tool) for tool in tools]
        lengths = np.array([sum(d.values()) for d in documents])
        self.terms = {term: i for i, term in enumerate(dict.fromkeys(t for d in documents for t in d))}
        counts = np.zeros((len(tools), len(self.terms)))
        for row, document in enumerate(documents):
            for term, count in document.items():
                counts[row, self.terms[term]] = count
        having = (counts > 0).sum(0)
        rarity = np.log(1 + (len(tools) - having + 0.5) / (having + 0.5))
        room = self.K1 * (1 - self.B + self.B * lengths / lengths.mean())
        self.weights = rarity * counts * (self.K1 + 1) / (counts + room[:, None])

    def count(self, tool):
        fields = (
            (1.5, tool["server"]),
            (3, tool["name"]),
            (1, cut(tool.get("description") or "", 8000)),
            (0.6, " ".join(parameters(tool))),
        )
        counts = collections.Counter()
        for weight, text in fields:
            for word in words(text):
                counts[stem(word)] += weight
        return counts

    def scores(self, text):
        asked = {self.terms[s] for s in map(stem, words(text)) if s in self.terms}
        return self.weights[:, sorted(asked)].sum(1)


def stem(word):
    for suffix in ("ations", "ation", "ings", "ing", "ies", "es", "ed", "s"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


if __name__ == "__main__":
    main()
