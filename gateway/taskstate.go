package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"remit/internal/strictjson"
	"remit/upstream"
)

// What a server says of a task is a stranger's text: it is read here, and written anew for the client.

func milliseconds(raw jsontext.Value) bool {
	var n uint64
	return raw.Kind() == '0' && json.Unmarshal(raw, &n) == nil && n < 1<<53
}

// state is what a server says of a task.
type state struct {
	id, status, message, created, updated string
	ttl, every                            jsontext.Value // milliseconds; ttl may be null, either may be missing
	result, failure, requests             jsontext.Value // of a server of the newer era
	meta                                  jsontext.Value
}

// patience is how long the gateway waits before it asks again, between a tenth of a second and ten.
func (s state) patience() time.Duration {
	every := int64(1000)
	if milliseconds(s.every) {
		_ = json.Unmarshal(s.every, &every) // it is one
	}
	return time.Duration(min(max(every, 100), 10_000)) * time.Millisecond
}

func (s state) over() bool {
	return slices.Contains([]string{"completed", "failed", "cancelled"}, s.status)
}

// taskNames are those of a task's members, which differ between the eras.
func taskNames(older bool) (ttl, every string) {
	if older {
		return "ttl", "pollInterval"
	}
	return "ttlMs", "pollIntervalMs"
}

// isTask says that the answer to a call is a task. older says that the server was asked for one.
func isTask(result strictjson.Value, older bool) bool {
	if !older {
		kind, err := resultType(result)
		return err == nil && kind == "task"
	}
	in, ok := membersIn(result)
	return ok && in.at("task").Kind() == '{'
}

// stateOf reads what a server says of a task. A text that is none of a task's is not passed on.
func stateOf(result []byte, older bool) (s state, err error) {
	unreadable := errors.New("what it says of its task cannot be read by every reader alike")
	in, ok := membersOf(result)
	if !ok {
		return s, unreadable
	}
	s.meta = in.at("_meta")
	if inner, ok := in.object("task"); older && ok {
		in = inner
	}
	ttl, every := taskNames(older)
	if in.onlyExact("taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", ttl, every, "result", "error", "inputRequests", "_meta", "resultType") != nil {
		return s, unreadable
	}
	s.ttl, s.every, s.result, s.failure, s.requests = in.at(ttl), in.at(every), in.at("result"), in.at("error"), in.at("inputRequests")
	s.id, _ = in.text("taskId")
	s.status, _ = in.text("status")
	s.message, _ = in.text("statusMessage")
	s.created, _ = in.text("createdAt")
	s.updated, _ = in.text("lastUpdatedAt")
	switch {
	case s.id == "" || len(s.id) > maxTask:
		return s, fmt.Errorf("the id of its task is no text of 1 to %d bytes", maxTask)
	case !s.over() && s.status != "working" && s.status != "input_required":
		return s, errors.New("its task has no status that a task may have")
	}
	for _, at := range []string{s.created, s.updated} {
		if _, err := time.Parse(time.RFC3339, at); err != nil || len(at) > len(time.RFC3339Nano) { // Parse takes any number of digits
			return s, errors.New("its task has no times of its making and its last change")
		}
	}
	for _, n := range []jsontext.Value{s.ttl, s.every} {
		if n != nil && string(n) != "null" && !milliseconds(n) {
			return s, errors.New("its task has a time that is no number of milliseconds")
		}
	}
	return s, nil
}

// shown is the state as the client reads it, without the braces, under our id.
func (c *call) shown(s state, id string) []byte {
	ttl, every := taskNames(!c.modern)
	out := []byte(`"taskId":` + quote(id) + `,"status":"` + s.status + `"`)
	most := maxWords
	if limit := c.grant.rules.MaxResultBytes; limit > 0 {
		most = min(most, limit)
	}
	if s.message != "" && len(s.message) <= most { // what is longer is not cut, which could cut a mask
		out = append(out, `,"statusMessage":`+quote(c.grant.rules.MaskText(s.message))...)
	}
	out = append(out, `,"createdAt":`+quote(s.created)+`,"lastUpdatedAt":`+quote(s.updated)+`,"`+ttl+`":`...)
	if s.ttl == nil {
		s.ttl = jsontext.Value("null")
	}
	if out = append(out, s.ttl...); milliseconds(s.every) {
		out = append(append(out, `,"`+every+`":`...), s.every...)
	}
	return out
}

// metaOf is what the server says beside the state, after the masks; nothing where that is too much, or cannot be read.
func (c *call) metaOf(s state, id string) []byte {
	if s.meta.Kind() != '{' || len(s.meta) > maxQuestion {
		return nil
	}
	masked, _, err := c.grant.rules.MaskArguments(related(slices.Concat([]byte(`{"_meta":`), s.meta, []byte("}")), id))
	if limit := c.grant.rules.MaxResultBytes; err != nil || limit > 0 && len(masked) > limit {
		return nil
	}
	return slices.Concat([]byte(","), masked[1:len(masked)-1])
}

// related puts our id in the place of the server's where a message says to which task it belongs; an empty one takes that away.
func related(message []byte, id string) []byte {
	out, _, err := splice(message, "_meta", func(value []byte) []byte {
		var meta map[string]jsontext.Value
		if strict.Unmarshal(value, &meta) != nil || meta[metaTask] == nil {
			return value
		}
		if meta[metaTask] = jsontext.Value(`{"taskId":` + quote(id) + `}`); id == "" {
			delete(meta, metaTask)
		}
		own, err := strict.Marshal(meta, strict.Deterministic(true))
		if err != nil {
			return []byte("{}") // it was read before
		}
		return own
	})
	if err != nil {
		return message // which is no object, and refused as that
	}
	return out
}

// questionsOf are what a task of a server of the newer era asks.
func (c *call) questionsOf(s state) (questions, error) {
	if s.requests == nil {
		return questions{}, errors.New("its task asks for nothing that can be read")
	}
	return c.inputAsked(slices.Concat([]byte(`{"inputRequests":`), s.requests, []byte("}")))
}

// stateOf reads what the server says of the task that it was asked about.
func (c *call) stateOf(result strictjson.Value, id string, older bool) (state, error) {
	s, err := stateOf(result.Text, older)
	if err == nil && s.id != id {
		err = errors.New("it answered for another task than it was asked about")
	}
	return s, err
}

// failed is the error in which a task ended.
func (c *call) failed(s state) (*upstream.RPCError, error) {
	var e struct {
		Code    int            `json:"code"`
		Message string         `json:"message"`
		Data    jsontext.Value `json:"data"`
	}
	if strict.Unmarshal(s.failure, &e) != nil || len(s.failure) > maxPrompt || c.grant.rules.MaxResultBytes > 0 && len(s.failure) > c.grant.rules.MaxResultBytes {
		return nil, errors.New("its task failed with an error that is too large or cannot be read")
	}
	return &upstream.RPCError{Code: e.Code, Message: e.Message, Data: json.RawMessage(e.Data)}, nil
}
