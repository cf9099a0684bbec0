"""Writes what the rest of catalog/embed reads: model.safetensors and vocab.txt for convert, golden.json for the tests."""

import argparse
import base64
import json
from pathlib import Path

import numpy as np

from model import POSITIONS, Tokenizer, encode, pad, read_base, read_params, write_params

TEXTS = Path(__file__).parent.parent / "testdata/texts.json"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--params", type=Path, help="file that train.py wrote (default: the base as it is)")
    parser.add_argument("--texts", type=Path, default=TEXTS, help="texts of golden.json (default: ../testdata/texts.json)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    params = read_params(args.params) if args.params else read_base(args.base)
    tokenizer = Tokenizer(args.base)
    write_params(params, args.out / "model.safetensors")
    (args.out / "vocab.txt").write_text("\n".join(tokenizer.vocabulary()) + "\n", encoding="utf8")
    rows = [golden(params, tokenizer, text) for text in json.loads(args.texts.read_text(encoding="utf8"))]
    (args.out / "golden.json").write_text(json.dumps(rows, ensure_ascii=False, indent=0), encoding="utf8")


def golden(params, tokenizer, text):
    tokens = tokenizer([text], POSITIONS)[0]
    vector = np.asarray(encode(params, *pad([tokens])))[0]
    return {"Text": text, "Tokens": tokens, "Vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}


if __name__ == "__main__":
    main()
