package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestEvalExitCodes: a missed minimum, a failure and a wrong command line are told apart, so that a pipeline can.
func TestEvalExitCodes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Chdir(dir)
	for name, text := range map[string]string{
		"tools.jsonl": `{"id":"shop/list_invoices","server":"shop","name":"list_invoices","description":"Lists invoices."}`,
		"suite.jsonl": `{"id":"a","job":"List the invoices.","needs":[{"need":"list","any_of":["shop/list_invoices"]},{"need":"fly","any_of":["shop/fly"]}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args []string
		want int
	}{
		{[]string{"--min", "need_recall=0.5"}, exitOK},
		{[]string{"--min", "need_recall=0.6"}, exitMissed},
		{[]string{"--max", "need_recall=0.4"}, exitMissed},
		{[]string{"--min", "mrr=0.6"}, exitFailed},
		{[]string{"--baseline", "none.json"}, exitFailed},
		{[]string{"--min", "recall=0.6"}, exitUsage},
		{[]string{"--parallel", "-1"}, exitUsage},
	} {
		var out, errs bytes.Buffer
		args := append([]string{"eval", "run", "suite.jsonl", "--catalog", "tools.jsonl", "--embeddings-url", "off"}, tc.args...)
		if got := Main(args, nil, &out, &errs); got != tc.want {
			t.Errorf("%v: got exit code %d, want %d: %s", tc.args, got, tc.want, &errs)
		}
	}
}
