GOTESTSUM   = go run gotest.tools/gotestsum@v1.13.0
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
COMMIT      = $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
# Packages with goroutines worth the race detector; the machines have none.
RACE        = ./internal/store ./internal/stream ./internal/kafka ./internal/seal ./internal/web ./internal/clickhouse/... ./gateways/... ./ingest ./views ./proof/sandbox

.PHONY: build demo test setup clickhouse lint unit race planted fuzz vuln schemas bench bench-peers soak
build: ## the binary ./oms
	go build -ldflags "-X main.commit=$(COMMIT)" -o oms .

demo: build ## a shop in one process: catalogue, stock, a stream of orders, the outcomes, and where to look
	@.ci/clickhouse/fetch >/dev/null || true # without it there are no reports, and the demo says so
	./oms demo

test: setup lint unit race ## everything that CI runs

setup: ## what the tests use beside Go, cached outside the repository
	@.ci/setup

clickhouse: ## the embedded analytics engine (178 MB), cached outside the repository
	@.ci/clickhouse/fetch

lint:
	go vet ./...
	$(STATICCHECK) ./...

unit:
	$(GOTESTSUM) --format pkgname-and-test-fails -- -count=1 -timeout 40m ./... # -count=1: the cache of results does not know the binary that proof/chaos starts

race:
	$(GOTESTSUM) --format pkgname-and-test-fails -- -race -short -timeout 20m $(RACE)

planted: ## planted bugs, one at a time: what catches each, after how many orders
	go test -tags planted -count=1 -v -run Planted -timeout 20m ./proof/simulation ./internal/stream ./internal/kafka

FUZZTIME = 10m
fuzz: ## every fuzz target for FUZZTIME each: HTTP bodies, the Avro decoder, statements, the recovery of the store and the readers of the broker's files
	@set -e; for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do for t in $$(grep -oE '^func Fuzz[A-Za-z]+' $$f | cut -d' ' -f2); do \
		echo "== $$(dirname $$f) $$t"; go test $$(dirname $$f) -run "^$$t$$" -fuzz "^$$t$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s; done; done

vuln: ## known vulnerabilities in what we import; asks the vulnerability database
	$(GOVULNCHECK) ./...

schemas: ## freezes every schema that changed, as a new version, with its golden bytes
	go test ./schemas -run TestEveryWorkingSchemaIsReleased -release -count=1
	go test ./schemas -update -count=1

bench: build ## throughput and latency on this machine
	./oms bench --self

PEERS_OUT = docs
bench-peers: build ## PostgreSQL, Kafka Streams and stock goka beside this system, by turns (half an hour); writes $(PEERS_OUT)/peers.{json,md,svg}
	@.ci/peers
	./oms peers --jars "$${OMS_CACHE:-$$HOME/.cache}/oms-peers/jars" --out $(PEERS_OUT)

SOAK_SEED     ?= 1
SOAK_EMBEDDED ?= 900000
SOAK_KAFKA    ?= 460000
soak: build ## half an hour on the embedded broker, then half an hour on a real Kafka: more than a million orders and 500 kills in all, no violation
	./oms chaos --seed $(SOAK_SEED) --topology embedded --orders $(SOAK_EMBEDDED) --rate 500 --every 2000 --faults kill,kill-twice,state-lost,state-old,bit-flip,provider-silent
	./oms chaos --seed $(SOAK_SEED) --topology kafka --orders $(SOAK_KAFKA) --rate 250 --every 2500 --faults kill,kill-twice,kill-all,kill-broker,pause,cut,half-open,slow-close
