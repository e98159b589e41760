PYTHON ?= python3
VENV ?= .venv
DJANGO ?=# another Django than the newest, for example Django~=6.0.0
PORT ?= 8000

bin := $(VENV)/bin
ready := $(VENV)/.ready
identity := $(strip $(PYTHON) $(DJANGO))
driver := $(if $(filter postgres%,$(DATABASE_URL)),postgresql)$(if $(filter mysql%,$(DATABASE_URL)),mariadb)
installed := $(ready) $(driver:%=$(VENV)/.ready-%)

.PHONY: help demo test test-browser bench pictures check wheel format messages clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(installed) ## Serve the example project (PORT=8000)
	@$(bin)/python manage.py demo $(PORT)

# On a server some tests measure what connections do to each other, so there they run alone.
test: $(installed) ## Run the tests, on SQLite or on the database of DATABASE_URL
	$(bin)/pytest --cov $(if $(driver),,--numprocesses=auto) $(ARGS)

test-browser: $(installed) $(VENV)/.ready-browser ## Run the tests of the page in Chromium
	$(bin)/pytest tests/browser $(ARGS)

pictures: $(installed) $(VENV)/.ready-browser ## Take the pictures of the documentation
	$(bin)/pytest tests/browser/pictures.py

bench: $(installed) $(VENV)/.ready-bench ## Compare with the peers, on the same database (ARGS=--help)
	@$(bin)/python manage.py bench --settings benchmarks.settings $(ARGS)

check: $(installed) $(VENV)/.ready-browser ## Lint, check types, imports, migrations, settings and the wheel
	$(bin)/ruff check
	$(bin)/ruff format --check
	find access_tokens example_project -name '*.html' -exec $(bin)/djade --check {} +
	$(bin)/mypy
	$(bin)/lint-imports --no-logo
	$(bin)/python manage.py makemigrations --check --dry-run
	$(bin)/python manage.py check --fail-level WARNING
	@$(MAKE) wheel

# The wheel must hold every file of the package, and the example project must run on it
# with the checkout out of reach. Django comes from the development environment by a .pth
# file; the .pth file there that leads to the checkout is not followed from this one.
wheel: site = $$($(1)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
wheel: $(installed) ## Build the wheel and run the example project on it
	rm -rf dist
	$(bin)/hatchling build --target wheel
	$(bin)/python -m venv dist/venv
	dist/venv/bin/pip install --quiet --no-index --no-deps dist/*.whl
	@echo "$(call site,$(bin))" > "$(call site,dist/venv/bin)/django.pth"
	@diff --recursive --exclude=__pycache__ access_tokens "$(call site,dist/venv/bin)/access_tokens"
	@mkdir dist/site && cp -R manage.py example_project dist/site
	cd dist/site && ../venv/bin/python manage.py check --fail-level WARNING

format: $(ready) ## Format the code and the templates
	$(bin)/ruff check --fix
	$(bin)/ruff format
	find access_tokens example_project -name '*.html' -exec $(bin)/djade {} +

messages: $(installed) ## Update the translations: new strings in, old ones out, compiled
	$(bin)/python -m scripts.messages

clean: ## Remove everything that the other targets made
	rm -rf $(VENV) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache db.sqlite3 dist

# The environment is stale when pyproject.toml is newer or PYTHON or DJANGO is another.
ifneq ($(shell cat $(ready) 2>/dev/null),$(identity))
.PHONY: $(ready)
endif
$(ready): pyproject.toml
	@echo 'Installing into $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(bin)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(bin)/python -m pip install --quiet --group dev --editable . $(DJANGO:%='%')
	@echo '$(identity)' > $@

$(VENV)/.ready-%: $(ready)
	@$(bin)/python -m pip install --quiet --group $*
	@touch $@
