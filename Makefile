# The two commands of the README are `make run` and `make test`; the others are what those are made of.
GO ?= go
export CGO_ENABLED = 0
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

.PHONY: build run test deps lint unit race e2e fuzz bench benchmarks soak chaos measure reproduce fit clean

build: ## the whole product, one binary
	$(GO) build -trimpath -o bin/remit ./cmd/remit

run: build ## builds and starts the demo: five tool servers, three people, one page
	bin/remit demo

test: deps lint race e2e ## installs what the tests need and passes them all

deps: ## PostgreSQL, Redis, browser, clients and servers that the tests use
	./e2e/install

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these files'; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

unit:
	$(GO) test ./...

race: ## SQLite's C, as Go, is left out of what is watched: it has no goroutines of its own, and takes four times as long when it is
	CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(GO) test -race -gcflags=modernc.org/sqlite/lib=-race=false -timeout 30m $$($(GO) list ./... | grep -v /e2e)

e2e:
	$(GO) test -count=1 -timeout 20m ./e2e

fuzz: ## a minute for each fuzz target
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 60s $$p || exit 1; done; done

benchmarks: ## every Go benchmark
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench: ## the gateway beside a raw relay and a reverse proxy, as a table: docs/performance.md says what it means; D and ROUNDS make it shorter
	bench/run

SOAK ?= 10m
soak: ## calls without pause while personas, keys and servers come and go, for SOAK; memory, goroutines, descriptors and children are printed
	REMIT_SOAK=$(SOAK) $(GO) test -count=1 -v -timeout 0 -run '^TestSoak$$' ./e2e

CHAOS ?= 10m
chaos: ## three replicas under load for CHAOS, while they are killed, PostgreSQL and Redis crash and the network between them is cut; counts are printed
	REMIT_CHAOS=$(CHAOS) $(GO) test -count=1 -v -timeout 0 -run '^TestChaos$$' ./e2e

measure: ## crawl, search and draft over a real catalog: REMIT_EVAL_DATA names the folder with persona/catalog.jsonl
	$(GO) test -run '^$$' -bench Catalog -benchtime 1x -timeout 20m ./e2e

reproduce: build ## the published draft figures from nothing but the servers' packages: lists them, compares with what was recorded, measures
	@mkdir -p .build
	-bin/remit eval capture --servers evals/suites/persona-servers.jsonl --digests evals/suites/persona-digests.jsonl --out .build/catalog.jsonl
	bin/remit eval run evals/suites/persona-dev.jsonl --catalog .build/catalog.jsonl --search10 --no-save --html .build/report.html

fit: ## trains the composer's models anew: REMIT_EVAL_DATA names the folder with persona/catalog.jsonl; about 10 minutes
	$(GO) run ./composer/fit --catalog $(REMIT_EVAL_DATA)/persona/catalog.jsonl --test evals/suites/persona-dev.jsonl --out composer/trained
	$(GO) run ./composer/fit --words --catalog $(REMIT_EVAL_DATA)/persona/catalog.jsonl --test evals/suites/persona-dev.jsonl --out composer/trained

clean:
	rm -rf bin e2e/node_modules e2e/.venv
