package embed

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"remit/catalog/embed/modelfile"
)

func TestModelIsTheOneInTheNotice(t *testing.T) {
	sum := sha256.Sum256(weights)
	want := hex.EncodeToString(sum[:])
	list, err := os.ReadFile("model/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(list)); len(got) != 2 || got[0] != want || got[1] != "remit-minilm.bin" {
		t.Errorf("SHA256SUMS: got %q, want %s for remit-minilm.bin", got, want)
	}
	f, err := modelfile.Open(weights)
	if err != nil {
		t.Fatal(err)
	}
	notice, err := os.ReadFile("model/NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{f.Source, f.SourceSHA256, f.Licence} {
		if want == "" || !strings.Contains(string(notice), want) {
			t.Errorf("NOTICE does not name %q", want)
		}
	}
	e := encoder(t)
	if got, want := e.Model(), "remit-minilm-"+want[:12]; got != want {
		t.Errorf("Model: got %s, want %s", got, want)
	}
	if got, want := e.Dim(), 384; got != want {
		t.Errorf("Dim: got %d, want %d", got, want)
	}
}

// A file that is damaged is refused; it never leads to an encoder that panics later.
func TestDamagedModel(t *testing.T) {
	for name, file := range map[string][]byte{
		"nothing":      nil,
		"other magic":  append([]byte("RMTENC99"), weights[8:]...),
		"cut header":   weights[:100],
		"cut weights":  weights[:len(weights)-1],
		"no tensors":   append([]byte("RMTENC02\x02\x00\x00\x00{}"), weights[:100]...),
		"header cruft": []byte("RMTENC02\x02\x00\x00\x00[]"),
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := load(file, portable); err == nil {
				t.Errorf("got encoder %s, want an error", e.Model())
			}
		})
	}
}
