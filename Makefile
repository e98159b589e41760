PYTHON ?= python3
VENV ?= .venv
DJANGO ?=# the newest Django, or for example Django~=6.0.0
DRF ?=# the newest Django REST framework, or for example djangorestframework~=3.16.0
PORT ?= 8000

bin := $(VENV)/bin
ready := $(VENV)/.ready
identity := $(strip $(PYTHON) $(DJANGO) $(DRF))
driver := $(if $(filter postgres%,$(DATABASE_URL)),postgresql)$(if $(filter mysql%,$(DATABASE_URL)),mariadb)
installed := $(ready) $(driver:%=$(VENV)/.ready-%)

.PHONY: help demo docs test test-browser test-schema test-scanners bench pictures check dist wheel sdist format messages clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: export SCOPES ?= 1
demo: $(installed) ## Serve the example project (PORT=8000 SCOPES=1)
	@$(bin)/python manage.py demo $(PORT)

docs: $(installed) $(VENV)/.ready-docs ## Build the documentation into docs/_build
	$(bin)/sphinx-build --fail-on-warning --keep-going --fresh-env --quiet docs docs/_build

# On a server, some tests measure how connections affect each other, so they don't run in parallel.
test: $(installed) ## Run the tests, on SQLite or on the database of DATABASE_URL
	$(bin)/pytest $(if $(driver),,--numprocesses=auto) $(ARGS)

test-browser: $(installed) $(VENV)/.ready-browser ## Test the pages in Chromium
	$(bin)/pytest tests/browser $(ARGS)

test-schema: $(installed) $(VENV)/.ready-schema ## Test whether the API keeps to its OpenAPI document
	$(bin)/pytest tests/schema $(ARGS)

test-scanners: $(installed) $(VENV)/.ready-scanners ## Test the rules for secret scanners with the scanners
	REQUIRE_SCANNERS=1 $(bin)/pytest tests/test_scanners.py $(ARGS)

pictures: $(installed) $(VENV)/.ready-browser ## Take the screenshots of the documentation
	$(bin)/pytest tests/browser/pictures.py

bench: $(installed) ## Compare with the peers, on the same database (ARGS=--help)
	@$(bin)/python manage.py bench --settings benchmarks.settings $(ARGS)

check: $(installed) $(VENV)/.ready-browser $(VENV)/.ready-lint $(VENV)/.ready-schema ## Check the code, the workflows and the packages
	$(bin)/ruff check
	$(bin)/ruff format --check
	find access_tokens example_project -name '*.html' -exec $(bin)/djade --check {} +
	$(bin)/mypy
	$(bin)/lint-imports --no-logo
	$(bin)/python manage.py makemigrations --check --dry-run
	$(bin)/python manage.py check --fail-level WARNING
	$(bin)/validate-pyproject pyproject.toml
	$(bin)/actionlint .github/workflows/*.yml
	$(bin)/zizmor --offline --quiet .github
	$(bin)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(bin)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(bin)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*_*.yml
	@$(MAKE) wheel

# The sdist must contain every tracked file but the hidden ones, and no other file.
dist: $(installed) $(VENV)/.ready-lint ## Build the sdist and the wheel
	rm -rf dist
	$(bin)/hatchling build
	@tar --list --file dist/*.tar.gz | sed 's,[^/]*/,,; /^PKG-INFO$$/d; /^\.gitignore$$/d' | sort > dist/files
	@git ls-files ':!.*' | sort | diff - dist/files || { echo 'Git has the files with <, and the sdist those with >.'; exit 1; }
	$(bin)/pyroma --min 10 --skip-tests AuthorEmail dist/*.tar.gz
	$(bin)/check-wheel-contents dist/*.whl
	$(bin)/twine check --strict dist/*.tar.gz dist/*.whl

# The wheel must contain every file of the package, and the example project must run on it without
# the checkout. A .pth file makes the packages of the development environment importable, but not
# the checkout, which is installed there by another .pth file.
wheel: site = $$($(1)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
wheel: dist ## Build the packages and run the example project on the wheel
	$(bin)/python -m venv dist/venv
	dist/venv/bin/pip install --quiet --no-index --no-deps dist/*.whl
	@echo "$(call site,$(bin))" > "$(call site,dist/venv/bin)/django.pth"
	@diff --recursive --exclude=__pycache__ access_tokens "$(call site,dist/venv/bin)/access_tokens"
	@mkdir dist/site && cp -R manage.py example_project dist/site
	cd dist/site && ../venv/bin/python manage.py check --fail-level WARNING

# If the tests imported the checkout, the coverage of the unpacked package would be 0 %.
sdist: dist ## Build the packages, run the tests of the sdist and measure their coverage
	mkdir dist/sdist
	tar --extract --file dist/*.tar.gz --directory dist/sdist --strip-components 1
	@$(MAKE) --directory dist/sdist test VENV='$(abspath $(VENV))' ARGS=--cov

format: $(ready) ## Format the code and the templates
	$(bin)/ruff check --fix
	$(bin)/ruff format
	find access_tokens example_project -name '*.html' -exec $(bin)/djade {} +

messages: $(installed) ## Update and compile the translations
	$(bin)/python -m scripts.messages

clean: ## Remove everything that the other targets create
	rm -rf $(VENV) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache db.sqlite3 dist docs/_build

# The environment is out of date when pyproject.toml is newer, or PYTHON, DJANGO or DRF has changed.
ifneq ($(shell cat $(ready) 2>/dev/null),$(identity))
.PHONY: $(ready)
endif
$(ready): pyproject.toml
	@echo 'Installing into $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(bin)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(bin)/python -m pip install --quiet --group dev --editable . $(DJANGO:%='%') $(DRF:%='%')
	@echo '$(identity)' > $@

$(VENV)/.ready-%: $(ready)
	@$(bin)/python -m pip install --quiet --group $*
	@touch $@
