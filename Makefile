# `make demo` and `make test` work on a fresh Debian 12; `make help` lists the rest.
# One name at a time: to dash, `command -v` takes no more. The redirection has make ask the shell, whose builtin it is.
PYTHON ?= $(firstword $(foreach name,python3.11 python3,$(shell command -v $(name) 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SPHINX := $(BIN)/sphinx-build --fail-on-warning --keep-going --fresh-env --quiet -c docs -d build/doctrees
PYTHONS := 3.11 3.12 3.13 3.14 3.15
# OpenBLAS for speed, ATLAS for the published bits, the reference to compare with
WANTED := libopenblas0-pthread libatlas3-base libblas3
PACKAGING := pyproject.toml setup.py $(wildcard nsfw_caffe/preprocessing/*.[ch])
PHOTO = $(shell $(BIN)/python -c "import skimage; print(skimage.__path__[0])")/data/astronaut.png

# Where tests run without what macOS and Windows lack, and those of them that are cheap.
WITHOUT_LINUX := PYTHONPATH=$(CURDIR)/tests/without_linux PYTHONWARNDEFAULTENCODING=1
CHEAP_WITHOUT_LINUX := $(addprefix tests/,system sorting scanning engines/test_portable.py \
  preprocessing/test_decoder_warnings.py)

# What the versions of dependencies are tried with: all extras but Spark's, and the tests that are quick. How much
# memory is too little is another figure for each version.
TRIED := .[published,onnxruntime,openvino,scan,report,evaluate,train,serve,video,completion]
QUICK := tests/test_classifier.py $(addprefix tests/,engines evaluate model preprocessing report results scanning)

.PHONY: help demo serve test test-portable test-versions lint caffe wheels model wheel schema bench bench-training bench-service bench-video networks fidelity docs docs-links docker-test clean
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

# strace shows whom the library calls; Chromium opens the service's page
test: WANTED += strace chromium chromium-driver
test: caffe $(VENV)/.installed-test model lint ## set everything up and run every check
	@echo "== running some tests without what macOS and Windows lack; make test-portable runs all that can do without"
	$(WITHOUT_LINUX) $(BIN)/python -m pytest --numprocesses auto --dist loadscope $(CHEAP_WITHOUT_LINUX)
	@echo "== running the tests"
	$(BIN)/python -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder --cov --cov-report=term

test-portable: $(VENV)/.installed-test model ## run the portable engines' tests without what macOS and Windows lack
	$(WITHOUT_LINUX) $(BIN)/python -m pytest --numprocesses auto --dist loadscope

test-versions: test-lowest-direct test-highest ## run the quick tests with the lowest and with the newest versions of the dependencies

test-lowest-direct test-highest: test-%: caffe $(VENV)/.installed model
	@echo "== installing each dependency's $* version in build/$*"
	$(PIP) install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/$*
	$(BIN)/uv pip install --quiet --python build/$* --resolution $* --editable '$(TRIED)'
	$(BIN)/uv pip install --quiet --python build/$* "$$(docker/build_caffe.sh $(BIN)/python)" pip pytest pytest-xdist PyYAML
	$(BIN)/uv pip list --python build/$*
	build/$*/bin/python -m pytest --numprocesses auto --dist loadscope \
	  -m "not slow and not network" -k "not without_memory" $(QUICK)

lint: $(VENV)/.installed-test ## linting, formatting and types
	@echo "== checking style and types"
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	for system in win32 darwin; do \
	  $(BIN)/mypy --platform $$system --cache-dir .mypy_cache/$$system nsfw_caffe || exit 1; \
	done

caffe: $(BIN)/python ## build pycaffe and install it in .venv, with what the published bits need
	@echo "== building pycaffe (about two minutes the first time)"
	wheel=$$(WANTED_PACKAGES="$(WANTED)" docker/build_caffe.sh $(BIN)/python) && \
	  $(PIP) install --quiet "$$wheel" --editable '.[published]'

wheels: caffe $(VENV)/.installed-test model ## build pycaffe for every Python of PYTHONS that can be had, and compare their bits
	@pythons=$$(docker/find_python.sh $(PYTHONS)); docker/build_caffe.sh $$pythons && $(BIN)/python -m benchmarks.wheels $$pythons

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

bench-video: caffe $(VENV)/.installed-bench model ## measure videos: decoding against scoring, and against opennsfw2: writes to benchmarks/results.md
	$(BIN)/python -m benchmarks.video

networks: caffe $(VENV)/.installed-test ## compare and time the networks: writes the table and plot of docs/networks.md
	$(BIN)/python benchmarks/networks.py

fidelity: caffe $(VENV)/.installed ## print the figures of docs/fidelity.md
	$(BIN)/python benchmarks/fidelity.py

docs: $(VENV)/.installed-docs ## build the documentation's site in build/docs, without the network; a dead link is an error
	rm -rf build/docs
	$(SPHINX) -b html . build/docs

docs-links: $(VENV)/.installed-docs ## ask for every address that the documentation names
	$(SPHINX) -b linkcheck . build/links

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
	$(PIP) install --quiet --editable '.[test,docs]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-serve $(VENV)/.installed-docs

$(VENV)/.installed-docs: $(PACKAGING) | $(BIN)/python
	@echo "== installing nsfw_caffe with what makes its site"
	$(PIP) install --quiet --editable '.[docs]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(PIP) install --quiet matplotlib
	@touch $@
