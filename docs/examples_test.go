package docs_test

import (
	"slices"
	"strings"
	"testing"
)

// TestExamplesBoundTheirClients holds that no example shows a server that slow
// clients and endless headers can hold, or that hangs up on who it has let in.
func TestExamplesBoundTheirClients(t *testing.T) {
	servers := 0
	for _, file := range slices.Concat(glob(t, "../examples/*/main.go"), glob(t, "../examples/*/*/main.go")) {
		program := read(t, file)
		if !strings.Contains(program, ".Start(") && !strings.Contains(program, ".Serve(") {
			continue
		}
		servers++
		words := []string{"ReadHeaderTimeout", "ReadTimeout", "WriteTimeout", "IdleTimeout", "MaxHeaderBytes", "syscall.SIGTERM", ".Shutdown("}
		if strings.Contains(program, "echo.StartConfig") { // which shuts down by itself, and says nothing of what it cut off
			words = append(words, "GracefulTimeout", "OnShutdownError", ".Start(ctx, ")
		}
		for _, word := range words {
			if !strings.Contains(program, word) {
				t.Errorf("%s has no %s", file, word)
			}
		}
		if strings.Contains(program, "authn.New(") && !strings.Contains(program, "sers.Shutdown(") {
			t.Errorf("%s drops the mails that wait", file)
		}
	}
	if servers < 10 {
		t.Errorf("%d servers", servers)
	}
}
