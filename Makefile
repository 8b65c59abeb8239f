# Countersign. `make help` says what there is.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# Dependencies first: `tidy` and `alone` go through them in this order.
MODULES := pkg services/api services/sms services/email services/countersign services/e2e services/e2e/clients
PROGRAMS := ./services/countersign/cmd/countersign ./services/api/cmd/api ./services/sms/cmd/sms ./services/email/cmd/email ./services/e2e/cmd/fake-twilio ./services/e2e/cmd/fake-smtp ./services/e2e/cmd/fake-breach

LINT_VERSION := v2.15.0
LINT := bin/golangci-lint-$(LINT_VERSION)

FUZZTIME ?= 30s
# How tests are run; CI adds -v, so that nothing can be skipped unseen.
TESTFLAGS ?=

# The same on every machine, whatever it has set for itself.
export GOFLAGS := -mod=readonly -buildvcs=false
export GOWORK := $(CURDIR)/go.work

# The engine of SQLite and its C library are translated C, which is as single
# threaded as its driver makes it, and full of pointers that Go's check of them
# takes a quarter of the time for. Watching it would double the time of the
# tests; the driver, and all that calls it, is watched.
UNHUNTED := '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0' '-gcflags=modernc.org/libc/...=-race=false -d=checkptr=0'

# The race detector needs cgo and a C compiler. Go switches cgo off by itself
# where it finds none.
HUNT := -race $(UNHUNTED)
RACE := $(shell test "$$(go env CGO_ENABLED)" = 1 && command -v $$(go env CC) >/dev/null 2>&1 && echo "$(HUNT)")

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

.PHONY: run
run: ## Run everything in one process, with a demo and a tour; data in .countersign/
	@go build -o bin/countersign ./services/countersign/cmd/countersign && exec ./bin/countersign dev

# What starts whole processes and waits for them has the machine to itself. The
# tests about the tree read files that the test cache does not know of.
.PHONY: test
test: missing ## Run the tests; suites that need a program which is not installed skip
	go test $(RACE) -timeout 45m $(TESTFLAGS) $$(go list work | grep -v /services/e2e)
	go test $(RACE) -timeout 30m -p 1 $(TESTFLAGS) $$(go list ./services/e2e/... ./services/e2e/clients/... | grep -v /e2e/house)
	go test -count=1 $(TESTFLAGS) ./services/e2e/house

.PHONY: missing
missing:
	@command -v redis-server >/dev/null 2>&1 || echo "NOTE: redis-server is not installed: what needs Redis is SKIPPED (Debian: apt install redis-server)"
	@{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb /opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb; } 2>/dev/null | grep -q . || \
		echo "NOTE: Postgres is not installed: what needs it is SKIPPED (Debian: apt install postgresql)"
	@command -v oathtool >/dev/null 2>&1 || echo "NOTE: oathtool is not installed: comparing app codes with another program is SKIPPED (Debian: apt install oathtool)"
	@command -v zbarimg >/dev/null 2>&1 || echo "NOTE: zbarimg is not installed: having QR codes read is SKIPPED (Debian: apt install zbar-tools)"
	@command -v dkimverify >/dev/null 2>&1 || echo "NOTE: dkimverify is not installed: having signatures of mails checked is SKIPPED (Debian: apt install python3-dkim python3-nacl)"
	@command -v chromium >/dev/null 2>&1 || echo "NOTE: chromium is not installed: what a real browser does is SKIPPED (Debian: apt install chromium)"
	@{ command -v node && command -v npm; } >/dev/null 2>&1 || echo "NOTE: node or npm is not installed: the clients that come from npm are SKIPPED (Debian: apt install nodejs npm)"
	@test -n "$(RACE)" || echo "NOTE: there is no C compiler: the tests run without the race detector"

.PHONY: race
race: ## Run the tests under the race detector, none from the cache
	CGO_ENABLED=1 go test $(HUNT) -count=1 -timeout 30m $(TESTFLAGS) work

.PHONY: check
check: build vet lint test alone ## Everything that must pass before a change lands

.PHONY: build
build: ## Build the programs into bin/: static, without paths of this machine
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ $(PROGRAMS)

.PHONY: vet
vet: ## Run go vet on all modules
	go vet work

.PHONY: lint
lint: $(LINT) ## Run the linters on all modules, and look at the format
	$(LINT) run $(MODULES:%=./%/...)
	$(LINT) fmt --diff $(MODULES:%=./%/...)

$(LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv bin/golangci-lint $@

.PHONY: fmt
fmt: $(LINT) ## Format the Go files
	$(LINT) fmt $(MODULES:%=./%/...)

.PHONY: tidy
tidy: ## Run go mod tidy in every module, dependencies first
	@set -e; for m in $(MODULES); do echo "tidy $$m"; GOWORK=off go -C $$m mod tidy; done

# The workspace hides what a go.mod forgets to require.
.PHONY: alone
alone: ## Build and vet every module without the workspace
	@test $(words $(MODULES)) -eq $$(go list -m | wc -l) || { echo "MODULES and go.work disagree"; exit 1; }
	@set -e; for m in $(MODULES); do echo "alone $$m"; \
		GOWORK=off go -C $$m mod tidy -diff; \
		GOWORK=off go -C $$m build -o /dev/null ./...; \
		GOWORK=off go -C $$m vet ./...; \
	done

.PHONY: docs
docs: ## Write the documents that are made from the code
	go test -count=1 -run '^TestOpenAPIDocumentIsCurrent$$' ./services/api -update
	go test -count=1 -run '^TestConfigurationIsDocumented$$' ./services/countersign -update
	go test -count=1 -run '^TestDegradationTable$$' ./services/e2e/flow -update
	go test -count=1 -run '^(TestRequirementsAreCoveredAsListed|TestTheErrorPageIsCurrent)$$' ./services/e2e/house -update

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' $(MODULES)); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "$$target in $$(dirname $$file)"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
		done; \
	done

.PHONY: mutate
mutate: ## Break the code in the ways of an honest slip; each must turn its test red
	go run ./services/e2e/cmd/mutate

.PHONY: bench
bench: ## Measure calls per second and CPU per call beside their floor, in one run
	go test -run '^$$' -bench '^Benchmark(Challenge|Validation|TOTPValidation)$$' -benchtime 2000x -timeout 20m ./services/api
	go test -run '^$$' -bench '^BenchmarkBreach' ./pkg/breachset
	go test -run '^$$' -bench . -benchtime 1x -timeout 20m ./services/e2e/bench
	go test -run '^$$' -bench '^BenchmarkTokens$$' -benchtime 1000x -timeout 20m ./services/api
	go test -run '^$$' -bench '^BenchmarkLogout$$' -benchtime 100x -timeout 20m ./services/api
	go test -run '^$$' -bench '^BenchmarkImport$$' -benchtime 1x -timeout 20m ./services/api
	go test -run '^$$' -bench '^BenchmarkBesideTheOriginal$$' -benchtime 1x -timeout 20m ./pkg/zxcvbn

.PHONY: compose-secrets
compose-secrets: ## Write new random secrets for docker-compose.yml to .env, unless it exists
	@sh deployments/config/make-secrets.sh

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist
