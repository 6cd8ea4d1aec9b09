.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs dist

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## train, deploy and ask two models on real data that is already here
	aias demo

test: ## all tests
	pytest

check: ## ruff, mypy, imports and layout, in under 30 seconds
	.ci/check

bench: ## every benchmark but the long ones (automl.py, compress.py, scaling.py), each beside its baseline and its goal
	@missed=0; for each in $(filter-out benchmarks/automl.py benchmarks/compress.py benchmarks/scaling.py,$(wildcard benchmarks/*.py)); do echo "python $$each"; python $$each || missed=1; done; exit $$missed

docs: ## write the reference pages again from the code
	python docs/generate.py

dist: ## build the wheel and the source archive into dist/
	python -m build
