package gateway_test

import (
	"strings"
	"testing"
	"time"

	"remit/gateway"
)

// Where an operator wants it, a tool that drifted is not in the list until a person confirmed it; a call of it says why as
// ever, and a stream hears that the list changed.
func TestHideFrozen(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.HideFrozen = true })
	listed := func() string {
		t.Helper()
		return w.text(w.post(t.Context(), "support", "", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta+`}}`))
	}
	whole := listed()
	if !strings.Contains(whole, `"find_customer"`) {
		t.Fatalf("got %s", whole)
	}
	stream := events(w.post(t.Context(), "support", "", `{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+meta+`}}`))
	<-stream // acknowledged
	w.change("crm", "find_customer")
	w.gateway.Drifted()
	if got := <-stream; !strings.Contains(got, "notifications/tools/list_changed") {
		t.Errorf("got %q, want list_changed", got)
	}
	if got := listed(); strings.Contains(got, `"find_customer"`) || !strings.Contains(got, `"echo"`) {
		t.Errorf("after a change: got %s", got)
	}
	if got := w.text(w.post(t.Context(), "support", "", call("find_customer", `{"email":"a"}`))); !strings.Contains(got, "the tool changed since it was approved") {
		t.Errorf("got %s", got)
	}
	w.fakes["crm"].SetTools(definitions["crm"])
	w.crawl()
	if got := listed(); strings.Contains(got, `"find_customer"`) {
		t.Errorf("before anybody confirmed it: got %s", got)
	}
	tool, _ := w.current("crm/find_customer")
	must(t, w.store.Thaw(t.Context(), bob, tool.ID, tool.Digest, time.Now()))
	if got := listed(); got != whole {
		t.Errorf("got %s, want %s", got, whole)
	}
}
