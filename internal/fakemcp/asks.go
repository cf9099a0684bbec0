package fakemcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// asks asks the client for what Config.Asks says under the name. It reports
// false when the exchange is answered, or over.
func (s *Server) asks(ctx context.Context, name string, x *exchange) bool {
	all := s.config.Asks[name]
	if len(all) == 0 {
		return true
	}
	s.mu.Lock()
	if x.modern() {
		s.stats.Can = x.Meta.Can
	}
	if x.State != "" {
		s.stats.States = append(s.stats.States, x.State)
	}
	s.mu.Unlock()
	if !x.modern() {
		return s.asksNow(ctx, all, x)
	}
	round, said := 0, ""
	if x.State != "" {
		var err error
		if _, err = fmt.Sscanf(x.State, "round %d", &round); err != nil || round < 1 || round > len(all) {
			x.fail(-32602, "a state of nobody's", "")
			return false
		}
		said = x.State[len("round 1"):] + " " + string(x.Responses)
	}
	if round < len(all) {
		x.result(fmt.Sprintf(`{"resultType":"input_required","inputRequests":{"q%d":%s},"requestState":%s}`, round+1, all[round], quote(fmt.Sprintf("round %d%s", round+1, said))))
		return false
	}
	x.text("heard" + said)
	return false
}

// asksNow asks in the middle of the answer, as the older era does.
func (s *Server) asksNow(ctx context.Context, all []json.RawMessage, x *exchange) bool {
	if said, ok := s.hears(ctx, all, x); ok {
		x.text("heard" + said)
	}
	return false
}

// hears asks, and returns what the client said; false when it went away.
func (s *Server) hears(ctx context.Context, all []json.RawMessage, x *exchange) (said string, ok bool) {
	for _, request := range all {
		s.mu.Lock()
		s.nextKey++
		id := quote("q" + strconv.Itoa(s.nextKey))
		s.mu.Unlock()
		x.send([]byte(`{"jsonrpc":"2.0","id":` + id + `,` + string(request[1:])))
		reply, ok := s.reply(ctx, id)
		if !ok {
			return "", false
		}
		said += " " + reply
		var page struct {
			Params struct{ ElicitationID string }
		}
		if json.Unmarshal(request, &page) == nil && page.Params.ElicitationID != "" { // and another's, and once more
			for _, id := range []string{"another's", page.Params.ElicitationID, page.Params.ElicitationID} {
				x.send(opened(id))
			}
		}
	}
	return said, true
}

func opened(elicitation string) []byte {
	return []byte(`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":` + quote(elicitation) + `}}`)
}

// reply waits for what the client answers to the request, and returns its result or error.
func (s *Server) reply(ctx context.Context, id string) (string, bool) {
	for {
		s.mu.Lock()
		replies, replied := s.stats.Replies, s.replied
		s.mu.Unlock()
		for _, raw := range replies {
			var m struct{ ID, Result, Error json.RawMessage }
			if json.Unmarshal(raw, &m) == nil && string(m.ID) == id {
				return string(m.Result) + string(m.Error), true
			}
		}
		select {
		case <-replied:
		case <-ctx.Done():
			return "", false
		}
	}
}
