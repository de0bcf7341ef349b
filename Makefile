# A thin front: each target makes the machine ready (tools/setup), then calls what does the work.
MAKEFLAGS += --no-print-directory
export KEDGE_DEPS ?= $(HOME)/.cache/kedge
export FUZZ_SECONDS ?= 60
setup = tools/setup/setup.sh
targets = all demo test size bench bench-delta fuzz check-long check format clean qemu docs
.PHONY: $(targets)
# Parallel work is ninja's and ctest's business.
.NOTPARALLEL:

all: ## build build/bin/kedge and build/bin/kedge-device
	@$(setup) build
	@tools/build.sh gcc programs

demo: ## the main job, told in a dozen lines
	@$(setup) demo
	@tools/build.sh gcc programs
	@tools/demo.sh

test: ## everything but the long sweeps
	@$(setup) test
	@tests/run.sh

check-long: ## the exhaustive sweeps
	@$(setup) test
	@tests/check-long.sh

fuzz: ## each fuzz target for FUZZ_SECONDS
	@$(setup) fuzz
	@tools/build.sh fuzz fuzzers
	@tests/fuzz/run.sh

size: ## ROM, RAM and stack on Cortex-M4
	@$(setup) size
	@tools/build.sh arm
	@bench/size.sh

bench: ## the measured tables
	@$(setup) bench
	@tools/build.sh gcc
	@bench/run.sh

bench-delta: ## bytes of patches beside other tools', on firmware that it builds
	@$(setup) bench-delta
	@tools/build.sh gcc
	@tools/build.sh arm mps2-an386-delta
	@bench/delta/run.sh

qemu: ## the Cortex-M4 board with two SPI-NOR chips
	@$(setup) qemu
	@tools/build.sh gcc programs
	@ports/qemu-ast1030/run.sh

check: ## layers, formatting, static analysis, the Cortex-M4 build
	@$(setup) check
	@tools/checks/run.sh

format: ## clang-format in place
	@$(setup) format
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

docs: ## generated tables and figures of the documents
	@$(setup) docs
	@docs/run.sh

clean:
	@rm -rf build
