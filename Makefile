# `make demo` and `make test` work on a fresh Debian 12; `make help` lists the rest.
# One name at a time: to dash, `command -v` takes no more. The redirection has make ask the shell, whose builtin it is.
PYTHON ?= $(firstword $(foreach name,python3.11 python3,$(shell command -v $(name) 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
BLAS := libopenblas0-pthread libatlas3-base libblas3
PACKAGING := pyproject.toml setup.py $(wildcard nsfw_caffe/*.[ch])
PHOTO = $(shell $(BIN)/python -c "import skimage; print(skimage.__path__[0])")/data/astronaut.png

.PHONY: help demo serve test lint caffe blas strace chromium model wheel schema bench bench-training bench-service networks fidelity docker-test clean
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(VENV)/.installed model ## set everything up and score a photo with the original model
	@echo "== scoring a photo; the engine is $$($(BIN)/python -c 'import nsfw_caffe; print(nsfw_caffe.Classifier().engine)')"
	$(BIN)/nsfw-caffe classify $(PHOTO)
	@echo "== 'make caffe' builds the native engine, which gives the original's bits"

serve: $(VENV)/.installed-serve model ## set everything up and serve a page and an API at http://127.0.0.1:8000
	@echo "== Ctrl-C ends it"
	@exec $(BIN)/nsfw-caffe serve

test: caffe strace chromium $(VENV)/.installed-test model lint ## set everything up and run every check
	@echo "== running the tests"
	$(BIN)/python -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder --cov --cov-report=term

lint: $(VENV)/.installed-test ## linting, formatting and types
	@echo "== checking style and types"
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

caffe: blas $(BIN)/python ## build pycaffe and install it in .venv, with what the published bits need
	@echo "== building pycaffe (about two minutes the first time)"
	docker/build_caffe.sh $(BIN)/python
	$(PIP) install --quiet dist/caffe-*.whl --editable '.[published]'

blas: # OpenBLAS for speed, ATLAS for the published bits, the reference to compare with
	@dpkg --status $(BLAS) >/dev/null 2>&1 || { \
	  echo "== installing $(BLAS)" && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(BLAS) >/dev/null; \
	} || { echo "as root: apt-get install $(BLAS)" >&2; exit 1; }

strace: # shows whom the library calls
	@command -v strace >/dev/null || { \
	  echo "== installing strace" && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends strace >/dev/null; \
	} || echo "as root: apt-get install strace; without it some tests of privacy skip" >&2

chromium: # opens the service's page
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { \
	  echo "== installing chromium" && \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium chromium-driver >/dev/null; \
	} || echo "as root: apt-get install chromium chromium-driver; without them the tests of the page skip" >&2

model: $(VENV)/.installed ## fetch and verify the model's two files
	@echo "== fetching the model (24 MB) unless it is here"
	$(BIN)/nsfw-caffe model fetch

wheel: $(VENV)/.installed-test ## build the wheel and the source distribution in dist/
	$(BIN)/python -m build --outdir dist

schema: ## generate nsfw_caffe/model/schema/caffe_pb2 from caffe.proto
	protoc --python_out=. --pyi_out=. nsfw_caffe/model/schema/caffe.proto

bench: caffe $(VENV)/.installed-bench model ## compare the speed with the alternatives: writes benchmarks/results.md
	$(BIN)/python benchmarks/bench.py

bench-training: caffe $(VENV)/.installed-bench model ## measure training's speed and memory: writes to benchmarks/results.md
	$(BIN)/python -m benchmarks.training

bench-service: caffe $(VENV)/.installed-bench model ## measure the service against scans, and under overload: writes to benchmarks/results.md
	$(BIN)/python -m benchmarks.service

networks: caffe $(VENV)/.installed-test ## compare and time the networks: writes the table and plot of docs/networks.md
	$(BIN)/python benchmarks/networks.py

fidelity: caffe $(VENV)/.installed ## print the figures of docs/fidelity.md
	$(BIN)/python benchmarks/fidelity.py

docker-test: ## build the Docker image from nothing and prove it, with buildah where no Docker daemon runs
	docker/test_images.sh

clean: ## remove what was built; the model and .venv stay
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .coverage*

$(BIN)/python:
	@echo "== creating $(VENV) with $(PYTHON)"
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: $(PACKAGING) | $(BIN)/python
	@echo "== installing nsfw_caffe"
	$(PIP) install --quiet --editable '.[onnxruntime]'
	@touch $@

$(VENV)/.installed-serve: $(PACKAGING) | $(BIN)/python
	@echo "== installing nsfw_caffe with its service"
	$(PIP) install --quiet --editable '.[onnxruntime,serve]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: $(PACKAGING) | $(BIN)/python
	@echo "== installing nsfw_caffe with what its tests need"
	$(PIP) install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-serve

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(PIP) install --quiet matplotlib
	@touch $@
