package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What a reviewer approved is exported as a suite, which runs against the exported catalog.
func TestApprovedPersonasBecomeASuite(t *testing.T) {
	s := startServe(t)
	defer s.stop()
	dir := t.TempDir()
	suite, tools := filepath.Join(dir, "suite.jsonl"), filepath.Join(dir, "tools.jsonl")
	export := []string{"eval", "export", "--out", suite, "--tools", tools}
	if code, _, stderr := s.remit(export...); code != exitFailed || !strings.Contains(stderr, "no persona is approved yet") {
		t.Errorf("before an approval: got %d, %s", code, stderr)
	}
	s.approve(t.Context())
	if code, stdout, stderr := s.remit(export...); code != exitOK || !strings.Contains(stdout, "1 approved personas written to "+suite) {
		t.Fatalf("got %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr := s.remit("eval", "export", "--persona", "nobody", "--out", suite); code != exitFailed || !strings.Contains(stderr, `no persona "nobody"`) {
		t.Errorf("an unknown persona: got %d, %s", code, stderr)
	}
	code, stdout, stderr := s.remit("eval", "run", suite, "--catalog", tools, "--json", "-")
	if code != exitOK || !strings.Contains(stdout, `"suite": "approved"`) || !strings.Contains(stdout, `"crm/get_customer"`) {
		t.Errorf("running the suite: got %d, %s%s", code, stdout, stderr)
	}
}
