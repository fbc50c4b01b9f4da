package desk

import (
	"os"
	"testing"
)

// docs is the page of the codes.
func docs(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../../../ingest/docs.html")
	if err != nil {
		t.Fatal(err)
	}
	return b
}
