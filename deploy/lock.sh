#!/bin/sh
# Writes the two lock files that the image is installed from: every package with its version and the SHA-256 of its
# wheels. Wants uv on the PATH; versions come from constraints.txt.
set -eu
cd "$(dirname "$0")/.."
EXTRAS="service serve data documents finetune export discord"
# torch and the CUDA libraries that its usual wheels bring along: an image without a GPU leaves them out.
GPU="torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc
     nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse
     nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx"

compile() {
    # shellcheck disable=SC2046,SC2086
    uv pip compile --quiet pyproject.toml $(printf -- '--extra %s ' $EXTRAS) --constraint constraints.txt \
        --generate-hashes --only-binary :all: --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --no-header --no-annotate "$@"
}

# shellcheck disable=SC2046,SC2086
compile $(printf -- '--no-emit-package %s ' $GPU) > deploy/requirements.lock
names=$(grep -oE '^[a-zA-Z0-9._-]+' deploy/requirements.lock)
# shellcheck disable=SC2046,SC2086
compile $(printf -- '--no-emit-package %s ' $names) > deploy/torch-cuda.lock
