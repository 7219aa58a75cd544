# Every target does its own set-up, and nothing twice. What is kept between runs lies in ~/.cache/sealock.

.DEFAULT_GOAL := help
.PHONY: help run test demo lint bench fuzz

# `make run DATA=/srv/sealock LISTEN=0.0.0.0:5000`
DATA ?= $(if $(XDG_DATA_HOME),$(XDG_DATA_HOME),$(HOME)/.local/share)/sealock
LISTEN ?= 127.0.0.1:5000

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: ## build an optimised binary and serve on 127.0.0.1:5000
	@scripts/run.sh --data-dir "$(DATA)" --listen "$(LISTEN)"

test: ## set up everything and pass every test (ARGS='-p sealock-policy' for less)
	@scripts/test.sh $(ARGS)

demo: ## play the whole story on a server of its own
	@scripts/demo.sh $(ARGS)

lint: ## formatting, lints, shell scripts, licences
	@scripts/lint.sh

fuzz: ## run every fuzz target for a minute (ARGS='600 oci/manifest' for other times and targets)
	@scripts/fuzz.sh $(ARGS)

bench: ## measure, and print the tables of BENCHMARKS.md
	@scripts/bench.sh $(ARGS)
