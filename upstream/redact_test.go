package upstream

import (
	"strings"
	"testing"
)

// A server prints its command line with the secret that an argument's reference stood for.
func TestSecretsOfArgumentsAreCut(t *testing.T) {
	r := newRedactor(Config{Secrets: []string{"--token=canary-0123456789", "Bearer canary-abcdefgh"}})
	got := r.text("usage: srv --token canary-0123456789 and canary-abcdefgh")
	if strings.Contains(got, "canary") {
		t.Errorf("got %q", got)
	}
}
