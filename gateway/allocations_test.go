package gateway_test

import (
	"net/http"
	"testing"
)

// Allocations of one request, net/http and the record left out: more than this is a change that somebody has to mean.
const (
	maxListAllocations = 17
	maxCallAllocations = 58
)

// What a request allocates does not creep up, and does not grow with what is listed or carried.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`
	for _, tc := range []struct {
		name         string
		tools, bytes int
		body         string
		most         float64
	}{
		{"list of 10", 10, 0, list, maxListAllocations},
		{"list of 80", 80, 0, list, maxListAllocations},
		{"call of 100 B", 10, 100, call("t7", `{"text":"hello","n":3}`), maxCallAllocations},
		{"call of 200 KB", 10, 200_000, call("t7", `{"text":"hello","n":3}`), maxCallAllocations},
	} {
		g, _ := newStill(t, tc.tools, tc.bytes)
		serve := func() { g.ServeHTTP(&discard{http.Header{}}, benchRequest("p", "k", tc.body)) }
		serve()
		made := testing.AllocsPerRun(200, func() { _ = benchRequest("p", "k", tc.body) }) // of the test's own
		got := testing.AllocsPerRun(200, serve) - made
		t.Logf("%s: %.0f allocations", tc.name, got)
		if got > tc.most {
			t.Errorf("%s: %.0f allocations, more than %.0f", tc.name, got, tc.most)
		}
	}
}
