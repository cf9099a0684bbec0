"""The encoder in JAX: the arithmetic that catalog/embed does in Go.

Parameters are a flat dict under the names that catalog/embed/convert reads, dense layers as inputs × outputs.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tokenizers
from safetensors.numpy import load_file, save_file

HEADS = 12
LAYERS = (0, 2, 5)  # what is kept of the base model's six
POSITIONS = 128

PARTS = {
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "ffn1",
    "output.dense": "ffn2",
    "output.LayerNorm": "norm2",
}


def read_base(folder):
    """Takes the parameters out of a BERT model as sentence-transformers stores it."""
    raw = load_file(Path(folder) / "model.safetensors")
    raw = {name.removeprefix("bert."): t.astype(np.float32) for name, t in raw.items() if t.dtype != np.int64}
    segment = raw["embeddings.token_type_embeddings.weight"][0]
    params = {
        "embedding": raw["embeddings.word_embeddings.weight"],
        "positions": raw["embeddings.position_embeddings.weight"][:POSITIONS] + segment,
        "norm.scale": raw["embeddings.LayerNorm.weight"],
        "norm.bias": raw["embeddings.LayerNorm.bias"],
    }
    for to, layer in enumerate(LAYERS):
        prefix = f"encoder.layer.{layer}."
        attention = [f"{prefix}attention.self.{part}." for part in ("query", "key", "value")]
        params[f"{to}.qkv"] = np.concatenate([raw[a + "weight"].T for a in attention], 1)
        params[f"{to}.qkv.bias"] = np.concatenate([raw[a + "bias"] for a in attention])
        for theirs, ours in PARTS.items():
            weight = raw[f"{prefix}{theirs}.weight"]
            if ours.startswith("norm"):
                params[f"{to}.{ours}.scale"] = weight
            else:
                params[f"{to}.{ours}"] = weight.T
            params[f"{to}.{ours}.bias"] = raw[f"{prefix}{theirs}.bias"]
    return jax.tree.map(jnp.asarray, params)


def read_params(path):
    return jax.tree.map(jnp.asarray, load_file(path))


def write_params(params, path):
    save_file({name: np.ascontiguousarray(t, np.float32) for name, t in params.items()}, path)


def encode(params, ids, mask):
    """Turns rows of token ids into unit vectors. mask is 1 where a row has a token and 0 where it is padded."""
    rows, length = ids.shape
    x = normalise(params, "norm", params["embedding"][ids] + params["positions"][:length])
    width = x.shape[-1]
    hidden = (1 - mask)[:, None, None, :] * -1e9

    def split(y):
        return y.reshape(rows, length, HEADS, width // HEADS).transpose(0, 2, 1, 3)

    for layer in range(len(LAYERS)):
        q, k, v = jnp.split(dense(params, f"{layer}.qkv", x), 3, -1)
        scores = split(q) @ split(k).transpose(0, 1, 3, 2) / np.sqrt(width // HEADS)
        mixed = jax.nn.softmax(scores + hidden, -1) @ split(v)
        mixed = mixed.transpose(0, 2, 1, 3).reshape(rows, length, width)
        x = normalise(params, f"{layer}.norm1", x + dense(params, f"{layer}.out", mixed))
        wide = jax.nn.gelu(dense(params, f"{layer}.ffn1", x), approximate=False)
        x = normalise(params, f"{layer}.norm2", x + dense(params, f"{layer}.ffn2", wide))
    mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)


def dense(params, name, x):
    # One matrix product over all tokens is much faster on a CPU than one per row.
    flat = x.reshape(-1, x.shape[-1]) @ params[name] + params[name + ".bias"]
    return flat.reshape(*x.shape[:-1], -1)


def normalise(params, name, x):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-12) * params[name + ".scale"] + params[name + ".bias"]


encode_compiled = jax.jit(encode)


class Tokenizer:
    """The base model's tokenizer."""

    def __init__(self, folder):
        self.inner = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.inner.no_padding()
        self.inner.no_truncation()

    def __call__(self, texts, most):
        """Returns a row of ids per text, at most that long; the first and the last are always the frame's."""
        rows = [encoding.ids for encoding in self.inner.encode_batch(list(texts))]
        return [[row[0], *row[1:-1][: most - 2], row[-1]] for row in rows]

    def vocabulary(self):
        pieces = self.inner.get_vocab()
        return sorted(pieces, key=pieces.get)


def pad(rows, length=None):
    length = length or max(map(len, rows))
    ids = np.zeros((len(rows), length), np.int32)
    mask = np.zeros((len(rows), length), np.float32)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def round_up(rows):
    """The length to pad to. Few different lengths mean few compilations."""
    return -(-max(map(len, rows)) // 16) * 16


def embed(params, tokenizer, texts, most, batch=64):
    rows = tokenizer(texts, most)
    vectors = np.zeros((len(rows), params["embedding"].shape[1]), np.float32)
    order = np.argsort([len(row) for row in rows])
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        chunk = [rows[i] for i in chosen]
        length = round_up(chunk)
        chunk += [rows[chosen[0]]] * (batch - len(chosen))  # always the same shape
        vectors[chosen] = np.asarray(encode_compiled(params, *pad(chunk, length)))[: len(chosen)]
    return vectors
