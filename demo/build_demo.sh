#!/usr/bin/env bash
# Trains, exports and judges the demo model: build_demo.sh [OUT [MINUTES [VOCABULARY]]]
# OUT (default data/demo) receives the checkpoint, OUT's parent the report evaluation.json and
# greedy.json, 24 greedy completions.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-data/demo}
minutes=${2:-7}
vocabulary=${3:-data/o200k_base.tiktoken}
python3 demo/train.py --minutes "$minutes" --vocab "$vocabulary" --out "$out" \
    --greedy "$(dirname "$out")/greedy.json"
python3 demo/evaluate.py --model "$out" --vocab "$vocabulary" --report "$(dirname "$out")"
