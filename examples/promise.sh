#!/usr/bin/env bash
# From labelled images to an answer that one can promise, and to a second model beside it.
#
#     examples/promise.sh TABLE IMAGES OUT [options of eyebright train]
#
# The split keeps images that choose nothing: a tenth for testing, a fifth for the promise. Both models are frozen
# backbones with a linear head, which takes a minute or two for 2,000 photographs on two cores.
set -euo pipefail
table=$1 images=$2 out=$3
shift 3
mkdir -p "$out"

eyebright split "$table" --images "$images" --split none --test-pct .1 --promise-pct .2 --out "$out/split.csv"
eyebright train "$table" --images "$images" --split "$out/split.csv" --out "$out/model" --epochs 0 --folds 5 --quiet "$@"
eyebright tune "$out/model" --promise "precision >= ${PRECISION:-.9}" --promise "recall >= ${RECALL:-.9}"
eyebright report "$out/model"

eyebright train "$table" --images "$images" --split "$out/split.csv" --out "$out/smaller" --epochs 0 --size 96 --quiet
eyebright compare "$out/model" "$out/smaller"
