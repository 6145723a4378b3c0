#!/usr/bin/env bash
# AI, shown: starts a node with two native models, lets the language model answer into the terminal as it thinks, and makes a picture
# twice as large. Everything is computed on this machine, by processes without Python.
# Usage: demo-ai.sh ORCHESTRION [QUESTION]
set -euo pipefail

orchestrion=$1
question=${2:-List the months of the year.}
models=.cache/models
out=${DEMO_OUT:-target/demo-ai}

[ -f $models/.complete ] || { echo "demo: the weights are missing, run ./setup.sh models" >&2; exit 1; }
rm -rf "$out"
mkdir -p "$out"
cat >"$out/models.json" <<'JSON'
[
  {"pipeline": "llm", "model_id": "smollm2-135m", "warm": true, "runner": "native", "capacity": 4},
  {"pipeline": "upscale", "model_id": "esrgan-slim-x2", "warm": true, "runner": "native"}
]
JSON

echo "== what the models need"
"$orchestrion" models list -modelsDir $models
echo
echo "== the node; its log is $out/node.log"
"$orchestrion" run -orchestrator -aiWorker -aiModels "$out/models.json" -aiModelsDir $models -dataDir "$out/node" \
    >"$out/node.log" 2>&1 &
node=$!
trap 'kill "$node" 2>/dev/null || true; wait "$node" 2>/dev/null || true' EXIT

for _ in $(seq 300); do
    kill -0 "$node" 2>/dev/null || { cat "$out/node.log" >&2; exit 1; }
    ready=$(curl -fs http://127.0.0.1:7935/api/v1/models 2>/dev/null | grep -o '"state":"ready"' | wc -l || true)
    [ "$ready" = 2 ] && break
    sleep 0.1
done

echo
echo "== $question"
"$orchestrion" ask --orch https://127.0.0.1:8935 --model smollm2-135m --max-tokens 64 --temperature 0 "$question"
echo
echo "== $models/samples/small.png, twice as large"
cp $models/samples/small.png "$out/small.png"
"$orchestrion" ask --orch https://127.0.0.1:8935 --pipeline upscale --model esrgan-slim-x2 \
    --file "$out/small.png" --out "$out/twice.png"
echo
echo "picture and its source: $out/twice.png, $out/small.png"
