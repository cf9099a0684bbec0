package gateway_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"

	"remit/catalog"
	"remit/internal/strictjson"
	"remit/upstream"
)

// A Remit can stand in front of another: its client, which is mcp-go's, finds what the gateway says in order.
func TestAnotherRemitAsClient(t *testing.T) {
	w := newWorld(t, nil)
	p, err := upstream.NewPool([]upstream.Config{{Name: "behind", URL: w.server.URL + "/k/support/mcp",
		Headers: map[string]string{"Authorization": "Bearer " + w.keys["support"]}}}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	must(t, err)
	p.Start(t.Context())
	defer p.Close(t.Context())
	s, _ := p.Server("behind")
	listing, err := s.List(t.Context())
	must(t, err)
	if got, want := len(listing.Tools), len(grants["support"]); got != want {
		t.Errorf("got %d tools, want %d", got, want)
	}
	digest, err := catalog.DigestOf(listing.Tools[0])
	must(t, err)
	if original, _ := w.current("crm/find_customer"); digest != original.Digest {
		t.Errorf("got digest %s through the gateway, want %s", digest, original.Digest)
	}
	var steps []string
	result, err := s.Call(t.Context(), upstream.Call{Tool: "progress", Progress: func(params json.RawMessage) { steps = append(steps, string(params)) }})
	if err != nil || !strings.Contains(result.String(), "done") || len(steps) != 3 {
		t.Errorf("got %s, %v after %d steps, want done after 3", result, err, len(steps))
	}
	result, err = s.Call(t.Context(), upstream.Call{Tool: "region", Arguments: strictjson.Unread(`{"region":"Zürich","count":2}`)})
	if err != nil || !strings.Contains(result.String(), `"content":[]`) {
		t.Errorf("a mirrored parameter: got %s, %v", result, err)
	}
	eventually(t, "its stream for changes", func() bool { return w.gateway.Streams() == 1 })
}
