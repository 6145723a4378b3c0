"""Greedy tokens of a Llama in a GGUF file, by numpy in 64-bit floats: an independent engine for the tests of the native one.

usage: llama_greedy.py MODEL.gguf PROMPT COUNT > llama_greedy.json

Reads Q4_1, Q8_0 and F32 tensors, the vocabulary and the merges. Prints the prompt's tokens, the likeliest next token COUNT times,
and by how much its logit exceeds the second one's. Needs numpy and regex.
"""

import json
import struct
import sys

import numpy as np
import regex


def read_gguf(path):
    data = np.memmap(path, dtype=np.uint8, mode="r")
    at = 0

    def take(form):
        nonlocal at
        size = struct.calcsize("<" + form)
        (value,) = struct.unpack("<" + form, data[at : at + size].tobytes())
        at += size
        return value

    def text():
        nonlocal at
        length = take("Q")
        value = data[at : at + length].tobytes().decode("utf-8", "surrogateescape")
        at += length
        return value

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            inner, count = take("I"), take("Q")
            return [value(inner) for _ in range(count)]
        return take({0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}[kind])

    assert take("I") == 0x46554747 and take("I") in (2, 3)
    tensors, entries = take("Q"), take("Q")
    facts = {}
    for _ in range(entries):
        name = text()
        facts[name] = value(take("I"))
    infos = []
    for _ in range(tensors):
        name, dims = text(), take("I")
        shape = [take("Q") for _ in range(dims)][::-1]
        infos.append((name, shape, take("I"), take("Q")))
    base = -(-at // 32) * 32
    return facts, {name: floats(data, base + offset, shape, kind) for name, shape, kind, offset in infos}


def floats(data, at, shape, kind):
    count = int(np.prod(shape))
    if kind == 0:
        return np.frombuffer(data[at : at + 4 * count].tobytes(), "<f4").reshape(shape).astype(np.float64)
    blocks = count // 32
    if kind == 3:  # Q4_1: scale, minimum, 16 bytes of two nibbles
        raw = np.frombuffer(data[at : at + 20 * blocks].tobytes(), np.uint8).reshape(blocks, 20)
        scale, least = (raw[:, i : i + 2].copy().view("<f2").astype(np.float64) for i in (0, 2))
        nibbles = np.concatenate([raw[:, 4:] & 15, raw[:, 4:] >> 4], axis=1)
        return (nibbles * scale + least).reshape(shape)
    if kind == 8:  # Q8_0: scale, 32 bytes
        raw = np.frombuffer(data[at : at + 34 * blocks].tobytes(), np.uint8).reshape(blocks, 34)
        scale = raw[:, :2].copy().view("<f2").astype(np.float64)
        return (raw[:, 2:].view(np.int8) * scale).reshape(shape)
    raise ValueError(f"tensor type {kind}")


def byte_letters():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, more = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + more)
            more += 1
    return letters


def tokenize(facts, prompt):
    tokens = facts["tokenizer.ggml.tokens"]
    ids = {token: i for i, token in enumerate(tokens)}
    ranks = {tuple(merge.split(" ")): i for i, merge in enumerate(facts["tokenizer.ggml.merges"])}
    special = [t for t, kind in zip(tokens, facts["tokenizer.ggml.token_type"]) if kind in (3, 4)]
    letters = byte_letters()
    splitter = regex.compile(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    out = []
    for piece in regex.split("(" + "|".join(map(regex.escape, special)) + ")", prompt):
        if piece in special:
            out.append(ids[piece])
            continue
        for part in regex.split(r"(\p{N})", piece):  # digits stand alone
            for word in splitter.findall(part):
                symbols = [letters[b] for b in word.encode()]
                while len(symbols) > 1:
                    pairs = [(ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(symbols, symbols[1:]))]
                    rank, i = min(pairs)
                    if rank == 1 << 30:
                        break
                    symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
                out += [ids[s] for s in symbols]
    return out


def main():
    facts, w = read_gguf(sys.argv[1])
    prompt, count = sys.argv[2].replace("\\n", "\n"), int(sys.argv[3])
    blocks, heads, kv = (facts["llama." + k] for k in ("block_count", "attention.head_count", "attention.head_count_kv"))
    width, eps = facts["llama.embedding_length"], facts["llama.attention.layer_norm_rms_epsilon"]
    size = width // heads
    turn = facts["llama.rope.freq_base"] ** (-np.arange(0, size, 2) / size)

    def norm(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight

    def rotate(x, position):  # neighbouring pairs
        cos, sin = np.cos(position * turn), np.sin(position * turn)
        even, odd = x[:, 0::2], x[:, 1::2]
        return np.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)

    keys = [[] for _ in range(blocks)]
    values = [[] for _ in range(blocks)]

    def step(token, position):
        x = w["token_embd.weight"][token]
        for b in range(blocks):
            p = f"blk.{b}."
            h = norm(x, w[p + "attn_norm.weight"])
            q = rotate((w[p + "attn_q.weight"] @ h).reshape(heads, size), position)
            keys[b].append(rotate((w[p + "attn_k.weight"] @ h).reshape(kv, size), position))
            values[b].append((w[p + "attn_v.weight"] @ h).reshape(kv, size))
            k, v = np.array(keys[b]), np.array(values[b])
            heads_out = []
            for head in range(heads):
                group = head // (heads // kv)
                score = k[:, group] @ q[head] / np.sqrt(size)
                weight = np.exp(score - score.max())
                heads_out.append(weight / weight.sum() @ v[:, group])
            x = x + w[p + "attn_output.weight"] @ np.concatenate(heads_out)
            h = norm(x, w[p + "ffn_norm.weight"])
            gate = w[p + "ffn_gate.weight"] @ h
            x = x + w[p + "ffn_down.weight"] @ (gate / (1 + np.exp(-gate)) * (w[p + "ffn_up.weight"] @ h))
        x = norm(x, w["output_norm.weight"])
        return w.get("output.weight", w["token_embd.weight"]) @ x

    prompt_tokens = tokenize(facts, prompt)
    for position, token in enumerate(prompt_tokens):
        logits = step(token, position)
    answer, margins = [], []
    inverse = {letter: byte for byte, letter in byte_letters().items()}
    texts = []
    for i in range(count):
        second, first = np.argsort(logits)[-2:]
        answer.append(int(first))
        margins.append(round(float(logits[first] - logits[second]), 4))
        token = facts["tokenizer.ggml.tokens"][first]
        texts.append(bytes(inverse[c] for c in token).decode("utf-8", "replace"))
        logits = step(first, len(prompt_tokens) + i)
    json.dump({"prompt": prompt_tokens, "tokens": answer, "margins": margins, "texts": texts}, sys.stdout)
    print()


main()
