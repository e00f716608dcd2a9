# Each target starts from nothing: it builds the environment first if it is not there.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A folder of your own videos for `make demo`, beside the reference clips.
CLIPS ?=
# Where `make remote` sends copies of the data, and the S3 server's address if it is not Amazon's.
URL ?=
ENDPOINT ?=

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MULTIGEN_ROOT := $(CURDIR)
export MUJOCO_GL ?= egl

.PHONY: help setup check audit test browser chaos demo ui remote study bench

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## the environment in .venv and, as root on Debian, the system packages
	@infra/setup.sh

check: setup ## pins, lint, format and types
	python infra/audit.py
	ruff check .
	ruff format --check .
	mypy
	mypy --allow-any-generics -p pipelines

audit: ## the pins against today's advisories, which takes a network that reaches PyPI itself
	@[ -x .multigen/pip-audit/bin/pip-audit ] || { python3 -m venv .multigen/pip-audit; .multigen/pip-audit/bin/pip install --quiet pip-audit==2.10.1; }
	@# Strict: without it, what PyPI does not answer for counts as sound.
	.multigen/pip-audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

test: check ## check, then the tests, a tiny run of the whole pipeline among them
	pytest -m "not extra and not browser and not chaos"

browser: setup ## everything materialized from Dagster's page in headless Chromium (many minutes)
	pytest -m browser

chaos: setup ## kills, full disks and locked stores over a tiny pipeline; KILLS=50 for more of them
	pytest -m chaos tests/chaos $(if $(KILLS),--kills $(KILLS))

demo: setup ## the whole pipeline with params.yaml; CLIPS=folder takes your videos in
	@if [ -n "$(CLIPS)" ]; then python -m multigen_core params --set "clips.inbox=$(CLIPS)"; fi
	python -m pipelines materialize

ui: setup ## Dagster on 127.0.0.1:3000 and MLflow on 127.0.0.1:5000, until Ctrl-C
	@python -m pipelines ui

remote: setup ## URL=folder or URL=s3://bucket/path [ENDPOINT=https://...]: where copies of the data go
	python -m pipelines remote "$(URL)" $(if $(ENDPOINT),--endpoint "$(ENDPOINT)")

study: setup ## the study behind the README's table; params.yaml becomes experiments/study.yaml
	cp experiments/study.yaml params.yaml
	python -m pipelines materialize --select '*audiovisual' '*noise_augmented' audio_report
	python -m multigen_core.study

bench: setup ## the benchmarks, beside their peers, as one table
	python -m benchmarks
