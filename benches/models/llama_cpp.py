"""The rival of the benchmark: llama.cpp answers the same question from the same file, greedily.

Prints one line of JSON: tokens, seconds for them, tokens and seconds of the prompt.
Usage: llama_cpp.py MODEL.gguf THREADS TOKENS QUESTION
"""

import json
import sys

import xllamacpp

path, threads, tokens, question = sys.argv[1:]

params = xllamacpp.CommonParams()
params.model.path = path
params.cpuparams.n_threads = int(threads)
params.cpuparams_batch.n_threads = int(threads)
params.n_ctx = 2048
params.n_parallel = 1
params.n_gpu_layers = 0
params.verbosity = -1
server = xllamacpp.Server(params)


def ask(count):
    return server.handle_chat_completions({
        "messages": [{"role": "user", "content": question}],
        "max_tokens": count,
        "temperature": 0,
        "cache_prompt": False,
    })


ask(8)  # pages in what the first answer needs
answer = ask(int(tokens))
timings = answer["timings"]
print(json.dumps({
    "text": answer["choices"][0]["message"]["content"],
    "tokens": timings["predicted_n"],
    "seconds": timings["predicted_ms"] / 1000,
    "prompt_tokens": timings["prompt_n"],
    "prompt_seconds": timings["prompt_ms"] / 1000,
}))
