package audit

import (
	"strings"
	"testing"
)

func TestChangeTo(t *testing.T) {
	for _, tc := range []struct {
		was, would Decision
		want       Change
	}{
		{Allowed, Allowed, Same}, {Refused, Refused, Same}, {Failed, Allowed, Same}, {Unknown, Refused, Refuses}, {Failed, Refused, Refuses},
		{Allowed, Refused, Refuses}, {Refused, Allowed, Allows}, {Refused, Undecided, CannotTell}, {Allowed, "", CannotTell},
	} {
		if got := tc.was.ChangeTo(tc.would); got != tc.want {
			t.Errorf("from %s to %q: got %s, want %s", tc.was, tc.would, got, tc.want)
		}
	}
}

// Entries that were sealed before there were shadows and arguments keep their hash: neither is in their JSON.
func TestOlderEntriesKeepTheirHash(t *testing.T) {
	_, text := Entry{Kind: ToolCall, Decision: Allowed}.SealJSON(nil, 0, "")
	if s := string(text); strings.Contains(s, "shadow") || strings.Contains(s, "arguments") {
		t.Errorf("got %s", s)
	}
}
