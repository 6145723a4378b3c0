#!/usr/bin/env bash
# Getting paid, shown: a local chain, a node on it, two gateways that pay for streams, winning tickets that become ether, and
# the books of both sides beside each other.
# Usage: demo-paid.sh ORCHESTRION DEVNET [CLIP]
set -euo pipefail

orchestrion=$1
devnet=$2
clip=${3:-}
out=${DEMO_OUT:-target/demo-paid}

if [ -z "$clip" ]; then
    clip=.cache/clips/bigbuckbunny.mp4
    [ -f "$clip" ] || { echo "demo: $clip is missing, run ./setup.sh clips or give a file" >&2; exit 1; }
fi

rm -rf "$out"
mkdir -p "$out"
running=()
stop() {
    for process in "${running[@]}"; do kill "$process" 2>/dev/null || true; done
    for process in "${running[@]}"; do wait "$process" 2>/dev/null || true; done
}
trap stop EXIT

echo "== keys of an orchestrator and of two gateways"
(umask 077 && head -c 24 /dev/urandom | base64 >"$out/password")
account() { "$orchestrion" account new -ethKeystorePath "$out/keys/$1" -ethPassword "$out/password" | cut -d' ' -f1; }
recipient=$(account orchestrator)
gateways=("$(account gateways)" "$(account gateways)")
printf 'orchestrator %s\n' "$recipient"
printf 'gateway      %s\n' "${gateways[@]}"

echo "== a local chain with doubles of the contracts"
mkfifo "$out/ask" "$out/said"
"$devnet" "$recipient" 100 <"$out/ask" >"$out/said" 2>"$out/chain.log" &
running+=($!)
exec 3>"$out/ask" 4<"$out/said"
hear() { read -r -u 4 answer || { cat "$out/chain.log" >&2; exit 1; }; }
ask() { echo "$*" >&3; hear; }
member() { sed -n "s/.*\"$1\":\"\\?\\([^\",}]*\\).*/\\1/p" <<<"$answer"; }
hear
rpc=$(member rpc)
controller=$(member controller)
echo "end point $rpc, controller $controller"
for gateway in "${gateways[@]}"; do ask ether "$gateway" 100; done

echo "== the node on that chain, one of four tickets wins; its log is $out/node.log"
"$orchestrion" run -dataDir "$out/node" -network devnet -ethUrl "$rpc" -ethController "$controller" \
    -ethKeystorePath "$out/keys/orchestrator" -ethPassword "$out/password" -ethOrchAddr "$recipient" \
    -orchestrator -transcoder -serviceAddr 127.0.0.1:8935 -blockPollingInterval 1 \
    -pricePerUnit 20000000 -ticketEV 100000000000000 -maxFaceValue 400000000000000 >"$out/node.log" 2>&1 &
node=$!
running+=("$node")
for _ in $(seq 200); do
    kill -0 "$node" 2>/dev/null || { cat "$out/node.log" >&2; exit 1; }
    curl -fs http://127.0.0.1:7935/readyz >/dev/null 2>&1 && break
    sleep 0.1
done
tickets() { "$orchestrion" tickets "$@" -dataDir "$out/node" 2>>"$out/tickets.log"; }

echo "== $clip as two live streams of 20 s, paid by two gateways"
"$orchestrion" push -orch https://127.0.0.1:8935 -streams 2 -duration 20 -ladder P144p30fps16x9,P240p30fps16x9 \
    -ethUrl "$rpc" -ethController "$controller" -ethKeystorePath "$out/keys/gateways" -ethPassword "$out/password" \
    -ethAcctAddr "${gateways[0]},${gateways[1]}" -deposit 5ETH -reserve 1ETH \
    -maxTicketEV 200000000000000 -maxTotalEV 20000000000000000 -blockPollingInterval 1 "$clip"

echo "== L1 moves on by 41 blocks: the parameters of all tickets have ended, and their winners are redeemed"
ask l1 41
# until all are in blocks, which then get so deep that no re-org reaches them
unfinished=none
for _ in $(seq 120); do
    tickets list -json -state unfinished -limit 1 | grep -q '"hash"' || { unfinished=; break; }
    tickets list -json -state waiting,ready,deferred,submitted,reverted -limit 1 | grep -q '"hash"' || ask blocks 50
    sleep 0.5
    ask l1 1
done
tickets list -limit 20
tickets sums

echo "== the ledgers of both sides, wei"
spent=0 full=5000000000000000000
for gateway in "${gateways[@]}"; do
    ask sender "$gateway"
    deposit=$(member deposit)
    printf 'gateway %s   deposit %s → %s\n' "$gateway" "$full" "$deposit"
    spent=$((spent + full - deposit))
done
ask recipient "$recipient"
paid=$(member paid)
books=$(tickets sums -json | tr -d ' \n' | sed -n 's/.*"state":"paid"[^}]*"paid":"\([0-9]*\)".*/\1/p')
printf 'spent from deposits          %20s\n' "$spent"
printf 'paid to the orchestrator     %20s   (fees that it may claim: %s)\n' "$paid" "$(member fees)"
printf 'paid by the books of the node%20s\n' "${books:-?}"
if [ "$spent" = "$paid" ] && [ "$paid" = "${books:-}" ] && [ "$paid" != 0 ] && [ -z "$unfinished" ]; then
    echo "they agree to the wei"
else
    echo "THEY DISAGREE" >&2
    exit 1
fi
