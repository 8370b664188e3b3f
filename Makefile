# Everything is installed into .venv of this checkout; nothing else is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv

.PHONY: help demo tools test check check-static fix lint types imports fast wheel pretrain bench hostile lock clean

help: ## Show this help
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/core ## Index and search sample video, end to end
	$(BIN)/soravec demo

tools: ## Install what some tests need: Debian's ffmpeg, chromium and gcc (as root; skipped else)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  command -v ffmpeg >/dev/null && command -v chromium >/dev/null && command -v cc >/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ffmpeg chromium gcc libc6-dev >/dev/null; }; \
	else echo "not root, or no apt: tests that need ffmpeg, chromium or a C compiler skip where they are absent"; fi

test: $(VENV)/dev ## Install what the tests need and run all of them
	$(BIN)/python -m pytest

check: check-static fast ## Lint, types, import order, fast tests

check-static: lint types imports

fix: $(VENV)/dev ## Format the code
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

lint: $(VENV)/dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .

types: $(VENV)/dev
	$(BIN)/mypy

imports: $(VENV)/dev
	$(BIN)/lint-imports

fast: $(VENV)/dev
	$(BIN)/python -m pytest -m "not slow"

wheel: $(VENV)/dev ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

pretrain: $(VENV)/dev ## Train sora-mini again (resumes): make pretrain PHOTOS=DIR TEACHERS=DIR
	$(BIN)/python -m soravec.training.pretraining.pretrain --photos "$(PHOTOS)" --teachers "$(TEACHERS)" --out runs/sora-mini --resume

bench: $(VENV)/bench tools ## Measure speed beside peers and the limit (two hours; on a quiet machine)
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/speed.py --only "h264, keyframes every 2 s" --sampling uniform --ways soravec soravec-fast limit --out fast.json
	$(BIN)/python benchmarks/speed.py --only "480x360 h264, keyframes every 2 s" --ways soravec soravec-trusted --out sandbox.json
	rm -rf runs/bench
	$(BIN)/soravec models build --cnn timm/resnet50 --random -o runs/bench/resnet50
	$(BIN)/soravec models quantize runs/bench/resnet50 -o runs/bench/resnet50-int8
	$(BIN)/python benchmarks/speed.py --only "480x360 h264, keyframes every 2 s" --repeats 8 --sampling uniform --model runs/bench/resnet50-int8 --ways soravec-int8 soravec torchcodec limit --out resnet50.json
	$(BIN)/python benchmarks/speed_cnn.py runs/bench/resnet50-int8
	rm -r runs/bench
	$(BIN)/python benchmarks/speed_search.py
	$(BIN)/python benchmarks/speed_growth.py
	$(BIN)/python benchmarks/speed_training.py
	$(BIN)/python benchmarks/speed_start.py
	test -z "$$SORAVEC_DATA" || $(BIN)/python benchmarks/shortcuts.py
	test -z "$$SORAVEC_DATA" || $(BIN)/python benchmarks/eight_bits.py
	$(BIN)/python benchmarks/performance.py

hostile: $(VENV)/dev tools ## Attack the library for some hours, and write docs/reliability.md
	SORAVEC_HOSTILE=long SORAVEC_HOSTILE_RESULTS=benchmarks/results/hostile.json $(BIN)/python -m pytest tests/hostile
	$(BIN)/python benchmarks/reliability.py

lock: $(UV) ## Resolve the requirement files again
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade requirements/build.in -o requirements/build.txt
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade pyproject.toml -o requirements/core.txt
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 -c requirements/core.txt pyproject.toml --extra train -o requirements/train.txt
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 -c requirements/train.txt pyproject.toml --extra train --group dev -o requirements/dev.txt
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --python-version 3.11 -c requirements/dev.txt pyproject.toml --extra train --group dev --group bench -o requirements/bench.txt

clean: ## Remove the environment and everything built
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache

$(UV): requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Soravec needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/build.txt
	@touch $@

$(VENV)/core: requirements/core.txt pyproject.toml $(UV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/core.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/core
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/bench: requirements/bench.txt $(VENV)/dev
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/bench.txt
	@touch $@
