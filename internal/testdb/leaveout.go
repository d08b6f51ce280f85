package testdb

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// leaveOut ends a test that needs a service which the named variable does not
// give: as a failure under make test, which never leaves anything out.
func leaveOut(t testing.TB, service, variable string) {
	t.Helper()
	if os.Getenv("TEST_SERVICES_REQUIRED") != "" {
		t.Fatalf("%s is not set, and TEST_SERVICES_REQUIRED is: run make test, or .ci/with-services and your command", variable)
	}
	reason := fmt.Sprintf("left out: %s (set %s, or run make test)", service, variable)
	tellTerminal(reason)
	t.Skip(reason)
}

// told holds the lines that this process has written to the terminal.
var told sync.Map

// tellTerminal writes a line, once, to the terminal that the tests are run
// from, if there is one: of a package that passes, go test ./... shows nothing.
func tellTerminal(line string) {
	if _, again := told.LoadOrStore(line, true); again || testing.Verbose() {
		return
	}
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil {
		fmt.Fprintln(tty, line)
		tty.Close()
	}
}
