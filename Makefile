# `make help` lists the targets. CI runs .ci/run, which calls this file only.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
# A program that tools/go.mod names, run where the recipe stands.
tool     = "$$($(GO) tool -C tools -n $(1))"
PKGS    ?= ./...
# Tests are compiled as the program is, so that what it is made of is compiled once:
# without paths of this machine and, where no race detector needs it, without C.
export GOFLAGS ?= -trimpath
core bench-once load-once fuzz-short lint: export CGO_ENABLED = 0
# Everything but the slice of rooms and what looks at the whole program.
CORE     = $(shell $(GO) list ./... | grep -vE '/internal/(rooms|soak|archtest)')
# Set VERSION to stamp a release; without it the program tells its built-in one.
LDFLAGS := -s -w $(if $(VERSION),-X main.release=$(VERSION))
# Time for each fuzz target: of `make fuzz`, and of its short form in `make check`.
FUZZTIME       ?= 60s
FUZZTIME_SHORT ?= 3s
# -race also checks every conversion of an unsafe pointer. SQLite, which is C that
# was translated to Go, is nothing but those: a third of the time of the tests.
# The sums of Blowfish, by which every test hashes passwords, share nothing with anybody:
# they are compiled without the detector, which made them a fifth of the time of the tests.
RACEFLAGS := -gcflags=modernc.org/...=-d=checkptr=0 -gcflags=golang.org/x/crypto/blowfish=-race=false
# It asks the kernel for fresh memory at every allocation of more than 32 KiB, unless
# told not to: slow in virtual machines, and no time of ours (internal/growthtest).
export GORACE ?= clear_shadow_mmap_threshold=1073741824
# The detector is C: where no compiler works the tests run without it, loudly.
NEEDS      = GO='$(GO)' $(SHELL) tools/needs.sh
# Repetitions of `make bench`, and the time of each. What waits for the disk or
# opens ten thousand sockets is left to bench-once and load.
COUNT     ?= 6
BENCHTIME ?= 100ms
BENCHED    = $(addprefix ./,$(sort $(dir $(shell grep -rl --include='*_test.go' '^func Benchmark' cmd internal))))
# How many times its committed ratio fails a benchmark: busy neighbours alone
# make 2 of it. On a quiet machine use 1.4.
LIMIT     ?= 2.5
BENCH      = $(GO) test -run '^$$' -bench . -skip 'BenchmarkIdle|BenchmarkStore|BenchmarkSessionMemory|BenchmarkRoomMessage|BenchmarkNews'
# npm writes this when it has installed what a lock file names: once for all targets.
NPM       := node_modules/.package-lock.json
# Offline data for govulncheck: a vdb.tgz, or a directory that was unpacked from one.
VULNDB ?= ../shared/vulndb/vdb.tgz

.PHONY: help build run dev test needs core test-short race fuzz fuzz-short bench bench-once bench-baseline load load-once soak nodes endpoints shapes golden fmt-check lint vuln clients cover console console-check console-test console-measure console-pictures docs-check check check-rest tidy docker clean

help: ## Print this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

build: ## Build bin/ddpserver, a static binary.
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ddpserver ./cmd/ddpserver

run: build ## Build and start a server on the embedded store, in ./data.
	./bin/ddpserver

dev: build ## The same with debug logs, private metrics and a data directory of its own.
	DATA_DIR=build/dev-data LOG_LEVEL=debug METRICS_ADDR=127.0.0.1:9464 ./bin/ddpserver

test: needs race clients console-test ## Every test, with the race detector where it can run and in random order, the published clients, and the console in a browser.

needs: ## Say what the tests need and this machine lacks.
	@$(NEEDS)

race: ## Go tests with the race detector, where it can run, and in random order.
	race=$$($(NEEDS) race); $(GO) test $$race $${race:+$(RACEFLAGS)} -vet=off -shuffle=on -count=1 -timeout 3h $(PKGS); \
	$(GO) test -C tools $$race -shuffle=on -count=1 -timeout 3h ./...; \
	if [ -z "$$race" ]; then echo "WARNING: the tests passed WITHOUT the race detector: no C compiler works here"; fi

core: ## Vet and test the server without rooms (build tag norooms), and vet it without the trail (notrail): accounts and second factors alone.
	$(GO) vet -tags norooms $(CORE)
	$(GO) vet -tags norooms,notrail $(filter-out ddpserver/internal/trail ddpserver/internal/trail/%,$(CORE))
	$(GO) test -tags norooms -vet=off -short -count=1 $$(GO='$(GO)' tools/core.sh norooms $(CORE))

test-short: ## Go tests without the race detector, without the long ones.
	$(GO) test -short -count=1 $(PKGS)
	$(GO) test -C tools -short -count=1 ./...

fuzz: ## Run every fuzz target for FUZZTIME; new corpus entries stay in testdata.
	tools/fuzz.sh $(FUZZTIME)

fuzz-short: ## Run every fuzz target for a moment.
	tools/fuzz.sh $(FUZZTIME_SHORT)

bench: ## Compare the benchmarks, as ratios to the floors in the same run, with docs/bench-baseline.txt.
	@mkdir -p build
	$(BENCH) -benchtime $(BENCHTIME) -count $(COUNT) ./internal/... > build/bench.txt
	$(GO) run -C tools ./benchratio -limit $(LIMIT) -baseline ../docs/bench-baseline.txt < build/bench.txt > build/bench-ratios.txt; code=$$?; \
	$(call tool,benchstat) -row .fullname docs/bench-baseline.txt build/bench-ratios.txt; exit $$code

bench-baseline: ## Take this machine's ratios as the baseline.
	@mkdir -p build
	$(BENCH) -benchtime $(BENCHTIME) -count $(COUNT) ./internal/... > build/bench.txt
	$(GO) run -C tools ./benchratio < build/bench.txt > docs/bench-baseline.txt

bench-once: ## Run every benchmark once, to see that it works.
	$(GO) test -run '^$$' -vet=off -bench . -benchtime 1x $(BENCHED) | (grep -vE 'no test files|^(goos|goarch|pkg|cpu|PASS)' || true)

load: build ## Measure the server against the floor of the same machine, as ratios: half an hour.
	$(GO) run -C tools ./ddpload compare -server ../bin/ddpserver

load-once: build ## Every scenario of `make load` for a moment, to see that it works.
	$(GO) run -C tools ./ddpload compare -server ../bin/ddpserver -rounds 1 -for 300ms -users 500 -idle 300

soak: ## Crash and fault runs, bounded in time; SOAK_SCALE=2 doubles the rounds.
	$(GO) test -tags soak -count=1 -timeout 60m -run Soak -v $(PKGS)

nodes: ## Three nodes, NATS and the wire server: the table of docs/scaling.md, measured; a quarter of an hour. The short form is part of the tests.
	$(GO) test -tags soak -count=1 -timeout 60m -run 'SoakNodes(Killed|Revoked|Late|Races|Crowd|Idle|Guesses|WithoutDatabase|Partitioned)|SoakBalancers' -v ./internal/soak
	$(GO) test -run '^$$' -bench News -benchtime 5s ./internal/soak

endpoints: clients/$(NPM) ## Write docs/endpoints.md: which of the endpoints of Rocket.Chat's published types are here.
	node clients/support/offered.mjs

shapes: build clients/$(NPM) ## Write docs/shapes.md: what the answers of the server have otherwise than Rocket.Chat's published types.
	node clients/support/recorded.mjs

golden: ## Refresh generated files: surface.golden and docs.
	$(GO) test ./internal/methods -run Surface -update
	$(GO) test ./internal/app -run 'TestProtocolDocument|TestAdopt' -update

fmt-check: ## Fail when a file is not formatted.
	@out="$$(gofmt -l cmd internal tools)"; if [ -n "$$out" ]; then echo "not formatted (run gofmt -w):"; echo "$$out"; exit 1; fi

lint: fmt-check ## Formatting, go vet and staticcheck.
	$(GO) vet $(PKGS)
	$(GO) vet -C tools ./...
	$(call tool,staticcheck) $(PKGS)
	cd tools && $(GO) tool staticcheck ./...

vuln: ## Look for known vulnerabilities that the program calls, with offline data.
	tools/vuln.sh '$(VULNDB)'

clients: build clients/$(NPM) ## Run the published clients of clients/ against bin/ddpserver.
	cd clients && npm_config_script_shell=$(SHELL) npm test

%/$(NPM): %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

console: ## Build the web console of console/ into internal/console/dist, which is committed.
	cd console && npm ci && npm_config_script_shell=$(SHELL) npm run build

console-check: console/$(NPM) ## Fail when internal/console/dist is not what console/ builds.
	@mkdir -p build
	cd console && npx tsc --noEmit && npx vite build --outDir ../build/console-dist
	diff -r build/console-dist internal/console/dist || { echo "internal/console/dist is not what console/ builds: run make console"; exit 1; }

console-test: build clients/$(NPM) console/$(NPM) ## Do in a browser, on both stores, what people do with the console. Pictures go to build/console.
	@mkdir -p build
	$(GO) build -o bin/wired ./internal/store/mongotest/wired
	$(SHELL) tools/console.sh

console-measure: build clients/$(NPM) console/$(NPM) ## Measure the console in a browser on 10,000 accounts and 100,000 events of the audit (embedded store).
	$(GO) build -C tools -o ../bin/fill ./fill
	node console/measure/many.mjs

console-pictures: build clients/$(NPM) console/$(NPM) ## Take the pictures of docs/console.md anew.
	cd console && CONSOLE_PICTURES=../build/console node --test --test-force-exit test/*.test.mjs
	for name in docs/console/*.png; do cp build/console/"$$(basename "$$name")" docs/console/; done

cover: ## Test coverage, as build/cover.html.
	@mkdir -p build
	$(GO) test -short -coverpkg=./internal/... -coverprofile=build/cover.out $(PKGS)
	$(GO) tool cover -html=build/cover.out -o build/cover.html
	$(GO) tool cover -func=build/cover.out | tail -1

docs-check: ## Links, make targets and configuration keys in the documents exist.
	$(GO) test -count=1 ./internal/archtest -run Docs

check: test check-rest ## Everything that CI runs.

check-rest: lint console-check core bench-once load-once fuzz-short vuln ## What `make test` leaves out of `make check`.

tidy: ## Tidy the modules.
	$(GO) mod tidy
	cd tools && $(GO) mod tidy

docker: ## Build the container image.
	docker build -t ddpserver .

clean: ## Remove what was built; data directories stay.
	rm -rf bin build dist clients/node_modules console/node_modules
