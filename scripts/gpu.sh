#!/usr/bin/env bash
# What the engine on PyTorch does on a GPU, as a table: speed, share of the peak, memory against the plan, compiling, the
# price of the same bytes each time, and saving. It takes no network and less than ten minutes: weights are random.
#
#   scripts/gpu.sh bin/lwtrain [PYTHON]          on GPUs: LoRA of rank 64 at 8B, packs of 32,768 tokens, in 80 GB; all weights of
#                                                135M, 1.7B and 4B, packs of 8,192 and 32,768 tokens
#   SIZES=lora scripts/gpu.sh bin/lwtrain        LoRA at 8B alone, and the same packs by TRL with PEFT, where PYTHON has them:
#                                                ten minutes more at most
#   SIZES=small scripts/gpu.sh bin/lwtrain       anywhere: 135M, packs of 256 tokens, to try the script
#   SIZES=small-lora scripts/gpu.sh bin/lwtrain  and with TRL and PEFT
#
# Where PYTHON has TRL and time is left, all weights of a model as large as 1.7B come last, by lwtrain and by TRL, on the same packs.
set -euo pipefail
lwtrain=$(realpath "${1:?want the binary: scripts/gpu.sh bin/lwtrain [PYTHON]}")
python=${2:-${LWTRAIN_PYTHON:-python3}}
export LWTRAIN_PYTHON=$python
peer=$(dirname "$(realpath "$0")")/../bench/peer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
deadline=$((SECONDS + 570))

case ${SIZES:-gpu} in
small*)
	shapes="smollm2-135m" capacities="256" documents=32-128 steps=1
	adapted=smollm2-135m rank=8 random="--layers 2 --hidden 64" random_whole=$random
	;;
*)
	shapes="smollm2-135m qwen3-1.7b qwen3-4b" capacities="8192 32768" documents=2048-8192 steps=4
	adapted=llama-3.1-8b rank=64 random="--layers 32 --hidden 4096" random_whole="--layers 28 --hidden 2048"
	;;
esac
card=80e9 # bytes of the smallest GPU that LoRA at 8B is to fit on

("$lwtrain" doctor || true) | sed -n '/^torch/,/^memory/p' | sed '$d' # which may have found something else
case ${SIZES:-gpu} in
small*) ;;
*)
	"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
		{ echo "torch finds no GPU: SIZES=small tries the script without one" >&2; exit 1; }
	;;
esac
printf '\n%-14s %6s  %-24s %9s %6s %7s %7s %7s %6s %7s  %s\n' shape pack how tokens/s mfu GiB planned first/s save/s merge/s again

# measure SHAPE CAPACITY NAME FLAGS...: a line of the table; what does not fit, or not into the time, is said.
measure() {
	local shape=$1 capacity=$2 name=$3 left=$((deadline - SECONDS))
	shift 3
	if [ "$left" -lt 20 ]; then
		printf '%-14s %6s  %-24s no time left\n' "$shape" "$capacity" "$name"
		return
	fi
	local status=0
	timeout -k 15 "$left" "$lwtrain" bench --engine torch --shape "$shape" --capacity "$capacity" --documents "$documents" --steps "$steps" \
		--json "$@" >"$work/out.json" 2>"$work/err.txt" || status=$?
	if [ "$status" -ne 0 ]; then
		local why="it did not end in time"
		[ "$status" -eq 124 ] || why="status $status: $(grep 'error:' "$work/err.txt" | cut -c1-160 | head -1 || true)"
		printf '%-14s %6s  %-24s %s\n' "$shape" "$capacity" "$name" "$why"
		return
	fi
	"$python" - "$work/out.json" "$shape" "$capacity" "$name" "$work/attention.txt" <<'PY'
import json, sys

r, (shape, capacity, name, attention) = json.load(open(sys.argv[1])), sys.argv[2:]
gib, seconds = 2**30, lambda key: f"{r[key] / 1e9:.1f}" if key in r else ""
again = r["recomputed"].replace("nothing is computed again", "nothing").replace(" computed again", "")
print(f"{shape:14} {capacity:>6}  {name:24} {r['tokens_per_second']:9.0f} {r['mfu']:6.3f} {r['peak_rss_bytes'] / gib:7.2f} "
      f"{r['planned_bytes'] / gib:7.2f} {seconds('first_step_nanoseconds'):>7} {seconds('save_nanoseconds'):>6} "
      f"{seconds('merge_nanoseconds'):>7}  {again}")
with open(attention, "a") as f:
    print(f"{shape}, packs of {capacity}: {r['attention']}", file=f)
PY
	cp "$work/out.json" "$work/last.json"
}

capacity=${capacities##* }
measure "$adapted" "$capacity" "LoRA, rank $rank" --lora "$rank" --memory-limit 74GiB
if [ -e "$work/last.json" ]; then
	"$python" - "$work/last.json" "$card" <<'PY'
import json, sys

peak, card = json.load(open(sys.argv[1]))["peak_rss_bytes"], float(sys.argv[2])
print(f"{'':14} {'':6}  {'fits' if peak < card else 'does NOT fit'} on a GPU of {card / 1e9:.0f} GB: {peak / 1e9:.1f} GB")
PY
fi
# beside SHAPE FLAGS...: a model of random weights, trained on the same packs by lwtrain and by TRL.
beside() {
	local settings="bf16,sdpa,1" shape=$1 left=$((deadline - SECONDS))
	shift
	"$python" -c 'import flash_attn' 2>/dev/null && settings="bf16,flash_attention_2,1 $settings"
	"$python" "$peer/random_model.py" $shape --lwtrain "$lwtrain" "$work/model" >"$work/err.txt" 2>&1 || { cat "$work/err.txt" >&2; return 1; }
	timeout -k 15 "$left" "$python" "$peer/compare.py" --python "$python" --model "$work/model" --engine torch --lwtrain "$lwtrain" \
		--rounds 1 --steps "$steps" --settings $settings "$@" || echo "TRL: it did not end in time, or failed"
}

case ${SIZES:-gpu} in
*lora)
	"$python" -c 'import trl, peft' 2>/dev/null || { echo "TRL and PEFT are not here: not compared"; exit; }
	deadline=$((SECONDS + 570)) # for both: TRL is slower
	beside "$random" --capacity "$capacity" --lora "$rank"
	exit
	;;
esac
# What tells most comes first: each row takes half a minute, and there may be no time for the last ones.
first=${shapes%% *}
measure "$first" "$capacity" "compiled" --compile auto
measure "$first" "$capacity" "not compiled, and a save" --compile false --save "$work/saved"
measure "$first" "$capacity" "the same bytes each time" --deterministic --compile false
for shape in ${shapes#"$first"}; do
	measure "$shape" "$capacity" "compiled" --compile auto
	measure "$shape" "$capacity" "not compiled" --compile false
done
[ "$capacity" = "$capacities" ] || for shape in $shapes; do
	measure "$shape" "${capacities%% *}" "compiled" --compile auto
done
[ -e "$work/last.json" ] || { echo "nothing ended: lwtrain bench --engine torch --shape $first says more" >&2; exit 1; }
echo "mfu: of what a product of two square matrices reaches here; first: the step in which blocks are compiled; again: what is computed again"
printf '\nattention, a layer there and back\n'
sort -u -t: -k1,1 "$work/attention.txt"
echo
if ! "$python" -c 'import trl' 2>/dev/null; then
	echo "TRL is not here: not compared"
elif [ $((deadline - SECONDS)) -lt 60 ]; then
	echo "no time left for TRL: bench/peer/compare.py --python sets it beside this"
else
	beside "$random_whole" --capacity "${capacities%% *}"
fi
