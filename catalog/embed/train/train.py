"""Fine-tunes the encoder: a request and a tool that serves it move together, the other tools of the batch move away."""

import argparse
import os
import random
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from data import training_sets
from model import Tokenizer, embed, encode, pad, read_base, read_params, round_up, write_params


class Round(NamedTuple):
    steps: int
    rate: float  # learning rate at its highest
    requests: int  # how many of requests.jsonl, from its start
    written: float  # their share of the batches


ROUNDS = {1: Round(420, 6e-5, 2499, 0.35), 2: Round(380, 5e-5, 4899, 0.5)}

# How the other sets share the rest of the batches.
SHARES = {"haystack": 0.38, "seal-tools": 0.2, "metatool": 0.2, "acebench": 0.14, "small": 0.08}

TEMPERATURE = 0.05
REQUEST_TOKENS = 48
PASSAGE_TOKENS = 80
WARM_UP = 30  # steps
NEAR = 16  # passages that count as near
CLUSTER = 6  # pairs of a batch that are near each other


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--data", type=Path, default=os.environ.get("REMIT_EVAL_DATA"),
                        help="folder with haystack/ and retrieval/ (default: $REMIT_EVAL_DATA)")
    parser.add_argument("--out", type=Path, required=True, help="folder for round1.safetensors and round2.safetensors")
    parser.add_argument("--round", type=int, choices=ROUNDS,
                        help="only this one; 2 starts from round1.safetensors in --out (default: both)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64, help="pairs in a batch (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="steps of a round, for a trial (default: %s)"
                        % ", ".join(f"{r.steps} in round {n}" for n, r in ROUNDS.items()))
    args = parser.parse_args()
    if args.data is None:
        parser.error("give --data or set REMIT_EVAL_DATA")
    args.out.mkdir(parents=True, exist_ok=True)

    tokenizer = Tokenizer(args.base)
    base = read_base(args.base)
    near = {}
    for number in [args.round] if args.round else ROUNDS:
        plan = ROUNDS[number]
        if args.steps:
            plan = plan._replace(steps=args.steps)
        params = base if number == 1 else read_params(args.out / f"round{number - 1}.safetensors")
        sets, named = training_sets(args.data, plan.requests)
        print(f"round {number}:", {name: len(pairs) for name, pairs in sets.items()}, flush=True)
        for name, pairs in sets.items():
            # What is near among the written requests' tools is up to the model that the round starts from.
            if name == "written" or name not in near:
                near[name] = neighbours(params if name == "written" else base, tokenizer, pairs)
        batches = Batches(args.seed, args.batch, shares(plan), sets, named, near)
        params = train(params, tokenizer, batches, plan)
        write_params(params, args.out / f"round{number}.safetensors")


def shares(plan):
    return {**{name: share * (1 - plan.written) for name, share in SHARES.items()}, "written": plan.written}


def neighbours(params, tokenizer, pairs):
    """For each pair: for each of the passages nearest to its own, the rows that have it."""
    rows = {}
    for i, pair in enumerate(pairs):
        rows.setdefault(pair.passage, []).append(i)
    passages = list(rows)
    vectors = embed(params, tokenizer, passages, REQUEST_TOKENS)
    near = {}
    for start in range(0, len(passages), 2048):
        likeness = vectors[start : start + 2048] @ vectors.T
        nearest = np.argpartition(-likeness, min(NEAR, len(passages) - 1), 1)[:, :NEAR]
        for offset, found in enumerate(nearest):
            near[passages[start + offset]] = [rows[passages[i]] for i in found]
    return [near[pair.passage] for pair in pairs]


class Batches:
    """Draws batches of pairs. A batch is of one set, in clusters of tools that are easily mistaken for each other."""

    def __init__(self, seed, size, shares, sets, named, near):
        self.random = random.Random(seed)
        self.size = size
        self.shares = shares
        self.sets = sets
        self.named = named
        self.near = near

    def draw(self):
        """Returns the set's name, requests, passages and what to add to the scores of each request and passage."""
        name = self.random.choices(list(self.shares), list(self.shares.values()))[0]
        pairs = self.pick(name)
        requests = [p.request.lower() if self.random.random() < 0.3 else p.request for p in pairs]
        return name, requests, [p.passage for p in pairs], also_right(pairs)

    def pick(self, name):
        pairs, near = self.sets[name], self.near[name]
        by_name = self.random.random() < 0.2 and name == "haystack"
        picked = {}
        while len(picked) < self.size:
            i = self.random.randrange(len(pairs))
            around = self.random.sample(near[i], min(10, len(near[i])))
            cluster = [i] + [self.random.choice(rows) for rows in around]
            fresh = [j for j in dict.fromkeys(cluster) if j not in picked]
            for j in fresh[: min(CLUSTER, self.size - len(picked))]:
                picked[j] = self.named.get(pairs[j].tool, pairs[j]) if by_name else pairs[j]
        return list(picked.values())


def also_right(pairs):
    """Takes the passages out of a request's row that are right for it too, so that they do not count as wrong."""
    mask = np.zeros((len(pairs), len(pairs)), np.float32)
    for i, one in enumerate(pairs):
        for j, other in enumerate(pairs):
            if i != j and (other.tool in one.right or other.tool == one.tool):
                mask[i, j] = -1e4
    return mask


def loss(params, request_ids, request_mask, passage_ids, passage_mask, mask):
    """InfoNCE both ways: the passage among the batch's passages, and the request among its requests."""
    requests = encode(params, request_ids, request_mask)
    passages = encode(params, passage_ids, passage_mask)
    scores = requests @ passages.T / TEMPERATURE + mask
    own = jnp.arange(len(scores))
    to_passage = -jax.nn.log_softmax(scores, 1)[own, own].mean()
    to_request = -jax.nn.log_softmax(scores, 0)[own, own].mean()
    return 0.7 * to_passage + 0.3 * to_request


@jax.jit
def adam(params, mean, square, t, rate, *batch):
    """One step of Adam with the gradient's norm clipped to 1."""
    value, gradient = jax.value_and_grad(loss)(params, *batch)
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda g: g * jnp.minimum(1, 1 / norm), gradient)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)

    def move(p, m, s):
        return p - rate * (m / (1 - 0.9**t)) / (jnp.sqrt(s / (1 - 0.999**t)) + 1e-8)

    return jax.tree.map(move, params, mean, square), mean, square, value


def train(params, tokenizer, batches, plan):
    mean = jax.tree.map(jnp.zeros_like, params)
    square = jax.tree.map(jnp.zeros_like, params)
    losses, start = {}, time.time()
    for t in range(1, plan.steps + 1):
        name, requests, passages, mask = batches.draw()
        requests, passages = tokenizer(requests, REQUEST_TOKENS), tokenizer(passages, PASSAGE_TOKENS)
        rate = plan.rate * min(1, t / WARM_UP) * max(0.02, 1 - t / plan.steps)
        batch = *pad(requests, round_up(requests)), *pad(passages, round_up(passages)), mask
        params, mean, square, value = adam(params, mean, square, float(t), rate, *batch)
        losses.setdefault(name, []).append(float(value))
        if t % 25 == 0 or t == plan.steps:
            recent = {name: round(float(np.mean(values[-10:])), 3) for name, values in losses.items()}
            print(f"step {t}, {(time.time() - start) / t:.2f} s each, loss {recent}", flush=True)
    return params


if __name__ == "__main__":
    main()
