#!/usr/bin/env bash
# llama.cpp with CUDA and its llama-batched-bench, from the source package of llama-cpp-python, on all cores.
#
# usage: build.sh SOURCE BUILD [ARCHITECTURE]    SOURCE: the folder vendor/llama.cpp of the unpacked source package;
# the libraries and the benchmark are in BUILD/bin afterwards. ARCHITECTURE: 90 for H100 and H200, 89 for RTX 40.
# dynscale then runs on them with LLAMA_CPP_LIB_PATH=BUILD/bin.
set -euo pipefail
source=$1 build=$2 architecture=${3:-90}
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=on \
    -DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES="$architecture" -DGGML_NATIVE=off -DGGML_CUDA_COMPRESSION_MODE=size \
    -DLLAMA_BUILD_TESTS=off -DLLAMA_BUILD_EXAMPLES=off -DLLAMA_BUILD_SERVER=off -DLLAMA_BUILD_APP=off \
    -DLLAMA_BUILD_TOOLS=on -DLLAMA_BUILD_COMMON=on -DLLAMA_OPENSSL=off >"$build.log" 2>&1 || { tail -30 "$build.log"; exit 1; }
ninja -C "$build" -j "$(nproc)" llama llama-batched-bench >>"$build.log" 2>&1 || { tail -40 "$build.log"; exit 1; }
