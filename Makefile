# make test   every test, on SQLite, Postgres and Redis
# make lint   format, vet, staticcheck, go.mod
# make fuzz   every fuzz target, for FUZZTIME each

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME = 60s
MODULES = bench examples/custom-strategy
SHELL = bash

.PHONY: test lint fuzz

# The race detector needs cgo, and Go turns that off where it finds no C compiler.
test:
	@race=-race; [ "$$(go env CGO_ENABLED)" = 1 ] || { race=; echo 'make: NO RACE DETECTOR, for want of a C compiler: apt-get install gcc libc6-dev | dnf install gcc | xcode-select --install' >&2; }; \
	set -ex; .ci/with-services go test $$race -shuffle=on ./...; \
	cd examples/custom-strategy && go test $$race -shuffle=on ./...

lint:
	@unformatted=$$(gofmt -l .) && if [ "$$unformatted" ]; then echo 'not formatted (gofmt -w .):' $$unformatted; exit 1; fi
	go vet ./...
	for module in $(MODULES); do (cd $$module && go vet ./... && go mod tidy -diff) || exit 1; done
	go run $(STATICCHECK) ./...
	go mod tidy -diff

fuzz:
	@set -euo pipefail; \
	go test -list '^Fuzz' ./... | awk '/^Fuzz/ {t[n++] = $$1} /^ok/ {while (n) print $$2, t[--n]}' | \
	while read -r package target; do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done
