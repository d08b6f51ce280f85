package routes_test

import (
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// bcryptOf is what fastapi-users makes of a text, at a lower cost. Of a longer
// one, bcrypt takes 72 bytes.
func bcryptOf(t *testing.T, text string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(text[:min(len(text), 72)]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}
