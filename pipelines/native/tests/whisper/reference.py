"""Computes what the tests of the Whisper model compare with: `python reference.py > reference.json`.

Needs numpy alone and shares no code with the model: mel filters, spectrogram, network, decoding rules, windows and times
of words are written again here, in double precision, after the papers and OpenAI's published method. The network is a tiny
one with made-up weights; its shape and the rule for its weights are all that the tests take over.
"""

import json
import sys

import numpy as np

CONFIG = {
    "model_type": "whisper",
    "num_mel_bins": 80,
    "max_source_positions": 50,
    "d_model": 16,
    "encoder_attention_heads": 2,
    "encoder_layers": 2,
    "encoder_ffn_dim": 32,
    "vocab_size": 101,
    "max_target_positions": 32,
    "decoder_attention_heads": 4,
    "decoder_layers": 2,
    "decoder_ffn_dim": 48,
}
GENERATION = {
    "is_multilingual": True,
    "suppress_tokens": [5, 6],
    "begin_suppress_tokens": [1, 40],
    "max_initial_timestamp_index": 20,
    "alignment_heads": [[0, 1], [1, 0], [1, 3]],
}
TEXT = ["Ġ" + letter for letter in "abcdefghijklmnopqrst"] + list("abcdefghijklmnopqrs") + ["."]
SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
]
EOT, SOT, LANGUAGES, TRANSCRIBE, NOSPEECH, NOTIMES, TIMES = 40, 41, [42, 43], 45, 48, 49, 50


def noise(name, count):
    """-1 to 1, the same for the same name everywhere: FNV-1a of the name, then a mix of 32 bits."""
    mask = 0xFFFFFFFF
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & mask
    h = (seed + np.arange(count, dtype=np.uint64) * 2654435761) & mask
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & mask
    h ^= h >> np.uint64(13)
    h = (h * np.uint64(3266489917)) & mask
    h ^= h >> np.uint64(16)
    return h.astype(np.float64) / 2**31 - 1


def shapes():
    d, c = CONFIG["d_model"], CONFIG
    found = {}

    def linear(name, rows, columns, bias=True):
        found[name + ".weight"] = [rows, columns]
        if bias:
            found[name + ".bias"] = [rows]

    def norm(name):
        found[name + ".weight"] = [d]
        found[name + ".bias"] = [d]

    def attention(name):
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"]:
            linear(f"{name}.{part}", d, d, part != "k_proj")

    for side, inner in [("encoder", c["encoder_ffn_dim"]), ("decoder", c["decoder_ffn_dim"])]:
        base = f"model.{side}"
        for layer in range(c[f"{side}_layers"]):
            name = f"{base}.layers.{layer}"
            attention(name + ".self_attn")
            norm(name + ".self_attn_layer_norm")
            if side == "decoder":
                attention(name + ".encoder_attn")
                norm(name + ".encoder_attn_layer_norm")
            linear(name + ".fc1", inner, d)
            linear(name + ".fc2", d, inner)
            norm(name + ".final_layer_norm")
        norm(base + ".layer_norm")
    found["model.encoder.conv1.weight"] = [d, c["num_mel_bins"], 3]
    found["model.encoder.conv1.bias"] = [d]
    found["model.encoder.conv2.weight"] = [d, d, 3]
    found["model.encoder.conv2.bias"] = [d]
    found["model.encoder.embed_positions.weight"] = [c["max_source_positions"], d]
    found["model.decoder.embed_tokens.weight"] = [c["vocab_size"], d]
    found["model.decoder.embed_positions.weight"] = [c["max_target_positions"], d]
    return found


def weight(name, shape):
    values = noise(name, int(np.prod(shape))).reshape(shape)
    if "norm" in name and name.endswith("weight"):
        values = 1 + 0.2 * values
    elif name.endswith("bias"):
        values = 0.2 * values
    elif len(shape) == 3:
        values = values * 0.3
    elif "embed" not in name:
        values = values * 0.6
    return values.astype(np.float32).astype(np.float64)


SHAPES = shapes()
W = {name: weight(name, shape) for name, shape in SHAPES.items()}


def signal(seconds):
    at = np.arange(int(seconds * 16000))
    t = at / 16000
    sweep = 0.4 * np.sin(2 * np.pi * (300 + 900 * t) * t) * (np.sin(2 * np.pi * 1.7 * t) > -0.3)
    return (sweep + 0.2 * np.sin(2 * np.pi * 2500 * t) + 0.02 * noise("signal", len(at))).astype(np.float32)


def mel_filters(bins):
    def to_hz(m):
        return np.where(m < 15, m * 200 / 3, 1000 * np.exp((m - 15) * np.log(6.4) / 27))

    top = 15 + np.log(8000 / 1000) * 27 / np.log(6.4)
    hz = to_hz(np.linspace(0, top, bins + 2))
    lines = np.linspace(0, 8000, 201)
    ramps = hz[:, None] - lines[None, :]
    width = np.diff(hz)
    lower = -ramps[:-2] / width[:-1, None]
    upper = ramps[2:] / width[1:, None]
    return np.maximum(0, np.minimum(lower, upper)) * (2 / (hz[2:] - hz[:-2]))[:, None]


def spectrogram(samples, frames, bins=80):
    samples = np.asarray(samples, dtype=np.float64)[: frames * 160]
    samples = np.pad(samples, (0, frames * 160 - len(samples)))
    samples = np.pad(samples, 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    cut = np.stack([samples[f * 160 : f * 160 + 400] * window for f in range(frames)])
    power = np.abs(np.fft.rfft(cut)) ** 2
    logs = np.log10(np.maximum(mel_filters(bins) @ power.T, 1e-10))
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def erf(x):
    # Abramowitz and Stegun's series would do for six digits; this integral does for twelve
    nodes, weights = np.polynomial.legendre.leggauss(64)
    half = x[..., None] / 2
    return (2 / np.sqrt(np.pi) * half * weights * np.exp(-((half * (nodes + 1)) ** 2))).sum(-1)


def gelu(x):
    clipped = np.clip(x / np.sqrt(2), -6, 6)
    return x * 0.5 * (1 + erf(clipped))


def layer_norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * W[name + ".weight"] + W[name + ".bias"]


def linear(x, name):
    return x @ W[name + ".weight"].T + W.get(name + ".bias", 0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(x, other, name, heads, causal=False):
    def apart(y):
        return y.reshape(len(y), heads, -1).transpose(1, 0, 2)

    q, k, v = (apart(linear(y, f"{name}.{p}_proj")) for y, p in [(x, "q"), (other, "k"), (other, "v")])
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    if causal:
        scores = scores + np.triu(np.full((len(x), len(x)), -np.inf), 1)
    looks = softmax(scores)
    seen = (looks @ v).transpose(1, 0, 2).reshape(len(x), -1)
    return linear(seen, name + ".out_proj"), looks


def feed_forward(x, name):
    return linear(gelu(linear(layer_norm(x, name + ".final_layer_norm"), name + ".fc1")), name + ".fc2")


def convolution(x, name, stride):
    padded = np.pad(x, ((0, 0), (1, 1)))
    kernel = W[name + ".weight"]
    places = range(0, padded.shape[1] - 2, stride)
    out = [np.tensordot(kernel, padded[:, p : p + 3], 2) for p in places]
    return np.stack(out, 1) + W[name + ".bias"][:, None]


def encode(mel):
    x = gelu(convolution(mel, "model.encoder.conv1", 1))
    x = gelu(convolution(x, "model.encoder.conv2", 2)).T + W["model.encoder.embed_positions.weight"]
    for layer in range(CONFIG["encoder_layers"]):
        name = f"model.encoder.layers.{layer}"
        y = layer_norm(x, name + ".self_attn_layer_norm")
        x = x + attention(y, y, name + ".self_attn", CONFIG["encoder_attention_heads"])[0]
        x = x + feed_forward(x, name)
    return layer_norm(x, "model.encoder.layer_norm")


def decode(tokens, encoded):
    """Logits after each token, and each layer's attention to the sound. Without any memory, on purpose."""
    x = W["model.decoder.embed_tokens.weight"][tokens] + W["model.decoder.embed_positions.weight"][: len(tokens)]
    heads, looks = CONFIG["decoder_attention_heads"], []
    for layer in range(CONFIG["decoder_layers"]):
        name = f"model.decoder.layers.{layer}"
        y = layer_norm(x, name + ".self_attn_layer_norm")
        x = x + attention(y, y, name + ".self_attn", heads, causal=True)[0]
        y = layer_norm(x, name + ".encoder_attn_layer_norm")
        heard, look = attention(y, encoded, name + ".encoder_attn", heads)
        looks.append(look)
        x = x + heard
        x = x + feed_forward(x, name)
    x = layer_norm(x, "model.decoder.layer_norm")
    return x @ W["model.decoder.embed_tokens.weight"].T, looks


def log_softmax(x):
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def filtered(logits, sampled):
    logits = logits.copy()
    logits[GENERATION["suppress_tokens"]] = -np.inf
    logits[EOT + 1 : TIMES] = -np.inf
    if not sampled:
        logits[GENERATION["begin_suppress_tokens"]] = -np.inf
        logits[:TIMES] = -np.inf
        logits[TIMES + GENERATION["max_initial_timestamp_index"] + 1 :] = -np.inf
    last_was = len(sampled) >= 1 and sampled[-1] >= TIMES
    before_was = len(sampled) < 2 or sampled[-2] >= TIMES
    if last_was:
        if before_was:
            logits[TIMES:] = -np.inf
        else:
            logits[:EOT] = -np.inf
    times = [t for t in sampled if t >= TIMES]
    if times:
        least = times[-1] if last_was and not before_was else times[-1] + 1
        logits[TIMES:least] = -np.inf
    logs = log_softmax(logits)
    time = np.log(np.exp(logs[TIMES:]).sum())
    if time > logs[:TIMES].max():
        logits[:TIMES] = -np.inf
    return log_softmax(logits)


def write(encoded, language):
    start, _ = decode([SOT], encoded)
    no_speech = softmax(start[-1])[NOSPEECH]
    if language is None:
        language = LANGUAGES[int(np.argmax(start[-1][LANGUAGES]))]
    prompt, sampled, likelihood = [SOT, language, TRANSCRIBE], [], 0.0
    margin = np.inf
    while len(sampled) < CONFIG["max_target_positions"] // 2:
        with np.errstate(divide="ignore"):
            logs = filtered(decode(prompt + sampled, encoded)[0][-1], sampled)
        token = int(np.argmax(logs))
        ordered = np.sort(logs)
        margin = min(margin, ordered[-1] - ordered[-2])
        likelihood += logs[token]
        if token == EOT:
            break
        sampled.append(token)
    assert margin > 1e-3, "too close a choice to compare"
    return sampled, likelihood / (len(sampled) + 1), no_speech, language


def cut(tokens, frames):
    """Parts (start, end, text) in steps, and the frames to go on by."""
    steps = frames // 2
    is_time = [t >= TIMES for t in tokens]
    time = lambda t: min(t - TIMES, steps)
    text = lambda ts: [t for t in ts if t < EOT]
    ended = is_time[-2:] == [False, True]
    pairs = [i for i in range(1, len(tokens)) if is_time[i - 1] and is_time[i]]
    if not pairs:
        times = [time(t) for t in tokens if t >= TIMES]
        start = time(tokens[0]) if tokens and is_time[0] else 0
        end = times[-1] if times and times[-1] > start else steps
        return ([[start, end, text(tokens)]] if text(tokens) else []), frames
    if ended:
        pairs.append(len(tokens))
    parts, last = [], 0
    for pair in pairs:
        piece = tokens[last:pair]
        if text(piece):
            parts.append([time(piece[0]), time(piece[-1]), text(piece)])
        last = pair
    advance = frames if ended else time(tokens[last - 1]) * 2
    return parts, min(max(advance, 10), frames)


def align(text, encoded, language, steps):
    """For each token of the text and for the end, the step at which it starts."""
    prompt = [SOT, language, TRANSCRIBE, NOTIMES, *text, EOT]
    looks = decode(prompt, encoded)[1]
    looks = np.stack([looks[layer][head][:, :steps] for layer, head in GENERATION["alignment_heads"]])
    looks = looks / looks.sum(-1, keepdims=True)
    looks = (looks - looks.mean(1, keepdims=True)) / (looks.std(1, keepdims=True) + 1e-12)
    padded = np.pad(looks, ((0, 0), (0, 0), (3, 3)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=-1)
    matrix = np.median(windows, -1).mean(0)[3:-1]
    rows, columns = matrix.shape
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0, 0] = 0
    trace = np.zeros((rows + 1, columns + 1), dtype=int)
    for j in range(1, columns + 1):
        for i in range(1, rows + 1):
            options = [cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1]]
            if options[0] < options[1] and options[0] < options[2]:
                step = 0
            elif options[1] < options[0] and options[1] < options[2]:
                step = 1
            else:
                step = 2
            cost[i, j] = options[step] - matrix[i - 1, j - 1]
            trace[i, j] = step
    i, j, first = rows, columns, [0] * rows
    while i > 0 and j > 0:
        first[i - 1] = j - 1
        i, j = [(i - 1, j - 1), (i - 1, j), (i, j - 1)][trace[i, j]]
    return first


def transcribe(samples):
    at, language, found = 0, None, []
    window = 2 * CONFIG["max_source_positions"]
    while at * 160 < len(samples):
        rest = samples[at * 160 :]
        frames = min(-(-len(rest) // 160), window)
        encoded = encode(spectrogram(rest[: window * 160], window))
        tokens, likelihood, no_speech, spoken = write(encoded, language)
        if no_speech > 0.6 and likelihood < -1:
            at += frames
            continue
        language = spoken
        parts, advance = cut(tokens, frames)
        text = [t for part in parts for t in part[2]]
        starts = align(text, encoded, language, max(frames // 2, 1)) if text else []
        found.append({"at": at, "parts": parts, "tokens": tokens, "starts": starts})
        at += advance
    return found


def rounded(values, digits=5):
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()


def main():
    filters = {}
    for bins in (80, 128):
        table = mel_filters(bins)
        rows = {row: rounded(table[row], 8) for row in (0, 1, bins // 2, bins - 1)}
        filters[bins] = {"sums": rounded(table.sum(1), 8), "rows": rows}
    short = signal(0.75)
    mel = spectrogram(short, 100)
    encoded = encode(mel)
    tokens = [SOT, 42, TRANSCRIBE, 53, 3, 27, 9, 60]
    logits, _ = decode(tokens, encoded)
    written, likelihood, no_speech, language = write(encoded, None)
    json.dump(
        {
            "config": CONFIG,
            "generation": GENERATION,
            "text": TEXT,
            "special": SPECIAL,
            "shapes": SHAPES,
            "filters": filters,
            "mel128": rounded(spectrogram(short, 100, 128)[::16, ::9]),
            "mel": rounded(mel[::5, ::3]),
            "encoded": rounded(encoded),
            "tokens": tokens,
            "logits": rounded(logits),
            "written": {
                "tokens": written,
                "likelihood": round(float(likelihood), 5),
                "no_speech": round(float(no_speech), 6),
                "language": language,
            },
            "long": transcribe(signal(3.3)),
        },
        sys.stdout,
        separators=(",", ":"),
    )
    print()


main()
