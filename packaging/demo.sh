#!/usr/bin/env bash
# The main job, shown: starts the node on its defaults, pushes a real clip through it as a live stream, and shows what came back.
# Usage: demo.sh ORCHESTRION [CLIP]
set -euo pipefail

orchestrion=$1
clip=${2:-}
out=${DEMO_OUT:-target/demo}

if [ -z "$clip" ]; then
    clip=.cache/clips/bigbuckbunny.mp4
    [ -f "$clip" ] || { echo "demo: $clip is missing, run ./setup.sh clips or give a file" >&2; exit 1; }
fi

rm -rf "$out"
mkdir -p "$out"
echo "== the node, on its defaults; its log is $out/node.log"
"$orchestrion" run -dataDir "$out/node" >"$out/node.log" 2>&1 &
node=$!
trap 'kill "$node" 2>/dev/null || true; wait "$node" 2>/dev/null || true' EXIT

for _ in $(seq 100); do
    kill -0 "$node" 2>/dev/null || { cat "$out/node.log" >&2; exit 1; }
    curl -fs http://127.0.0.1:7935/readyz >/dev/null 2>&1 && break
    sleep 0.1
done

echo "== $clip as a live stream of 20 s through port 8935"
"$orchestrion" push --orch https://127.0.0.1:8935 --live --duration 20 \
    --out "$out/renditions" --contact-sheet "$out/contact-sheet.png" "$clip"

echo
echo "renditions and playlists: $out/renditions"
echo "contact sheet:            $out/contact-sheet.png"
