package main

import (
	"strings"
	"testing"
)

func TestOpenPrintsNoPassword(t *testing.T) {
	for _, url := range []string{"host=127.0.0.1 user=u password=hunter2 dbname=x", "postgres://u:hunter2#x:y@127.0.0.1:1/x", "postgresql+asyncpg://u:hunter2@127.0.0.1/x"} {
		if _, err := open(url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
