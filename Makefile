# make test     every test, on SQLite, Postgres and Redis, and in a Chromium
# make lint     format, vet, staticcheck, go.mod
# make bench    the figures of docs/performance, in three rounds
# make browser  the examples with pages, in a real Chromium, and a TypeScript client
# make fuzz     every fuzz target, for FUZZTIME each

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME = 60s
BENCHTIME = 1s
MODULES = bench examples/browser examples/custom-strategy examples/oauth-provider examples/telemetry
SHELL = bash

.PHONY: test lint browser fuzz bench

# The race detector needs cgo, and Go turns that off where it finds no C compiler.
test:
	@race=-race; [ "$$(go env CGO_ENABLED)" = 1 ] || { race=; echo 'make: NO RACE DETECTOR, for want of a C compiler: apt-get install gcc libc6-dev | dnf install gcc | xcode-select --install' >&2; }; \
	set -ex; .ci/with-services go test $$race -shuffle=on ./...; \
	for module in custom-strategy telemetry; do (cd examples/$$module && go test $$race -shuffle=on ./...) || exit 1; done
	@$(MAKE) --no-print-directory browser

lint:
	@unformatted=$$(gofmt -l .) && if [ "$$unformatted" ]; then echo 'not formatted (gofmt -w .):' $$unformatted; exit 1; fi
	go vet ./...
	for module in $(MODULES); do (cd $$module && go vet ./... && go mod tidy -diff) || exit 1; done
	go run $(STATICCHECK) ./...
	go mod tidy -diff

browser:
	cd examples/browser && ../../.ci/with-chromium go test -count=1 ./...

# Go 1.26 fails a target now and then as its time ends (golang/go#75804). Not
# needed any more when go.mod says 1.27.
fuzz: export GOTOOLCHAIN = go1.27.1+auto
fuzz:
	@set -euo pipefail; \
	go test -list '^Fuzz' ./... | awk '/^Fuzz/ {t[n++] = $$1} /^ok/ {while (n) print $$2, t[--n]}' | \
	while read -r package target; do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done

bench:
	@mkdir -p docs/performance
	@set -eo pipefail; cd bench; \
	{ echo "make bench, at commit $$(git rev-parse --short HEAD), $$(go version | cut -d' ' -f3-), $$(nproc) processors"; \
	  for round in 1 2 3; do ../.ci/with-services go test -run '^$$' -bench . -benchtime $(BENCHTIME) .; (cd .. && go test -run '^$$' -bench Parts -benchtime $(BENCHTIME) ./strategies/jwt); done; \
	  go build -o storm.test ./cmd/storm; \
	  for round in 1 2 3; do ./storm.test -rounds 1; ./storm.test -rounds 1 -ungated; ./storm.test -rounds 1 -logins 200 -hang-up; done; \
	  rm storm.test; \
	} | tee ../docs/performance/raw.txt; \
	{ head -n 1 ../docs/performance/raw.txt; echo; go run ./cmd/table <../docs/performance/raw.txt; } | tee ../docs/performance/table.md; \
	go run ./cmd/chart <../docs/performance/raw.txt >../docs/performance/chart.svg
