package gateway

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"remit/audit"
	"remit/internal/strictjson"
	"remit/policy"
)

// A call in whose course the server asks for something has several rounds (2026-07-28, multi round-trip requests): the client
// repeats the call with its answers and a state. That state is ours. It says what was asked, and holds the server's own; it is
// encrypted, and bound to whose call of which tool with which arguments it is, so that it continues this call and no other.
// Each round passes every check, counts against the limits and is recorded, as a call of its own that names the first.

// round is what a state says.
type round struct {
	Call   string                `json:"c"`           // names the first round in the record
	Number int                   `json:"n"`           // of the round that asked, from 1
	Until  int64                 `json:"t"`           // seconds since 1970
	Asked  map[string]policy.Ask `json:"a,omitempty"` // by the server's key
	State  *string               `json:"s,omitempty"` // the server's own
	Held   string                `json:"h,omitempty"` // the server's call waits here, under this name; see held
	Task   string                `json:"w,omitempty"` // that the call waits for, at a server of the older era
}

// Bounds of rounds.
const (
	maxRounds    = 8
	maxQuestions = 16       // of one round
	maxState     = 32 << 10 // bytes of a server's own
	roundFor     = time.Hour
	statePrefix  = "r1."
)

// sealing returns the cipher of states.
func sealing(key []byte) cipher.AEAD {
	if len(key) == 0 {
		key = make([]byte, sha256.Size)
		rand.Read(key)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("remit rounds"))
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		panic(err) // the key has the right length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the right block
	}
	return aead
}

// measured are the parts, each with its length, so that no two lists of parts read alike.
func measured(parts ...string) (out []byte) {
	for _, part := range parts {
		out = append(binary.BigEndian.AppendUint64(out, uint64(len(part))), part...)
	}
	return out
}

// bound is what a state is for.
func (c *call) bound() []byte {
	b := c.binding()
	return measured(c.method, b.Key, b.Agent, b.User, b.Persona, fmt.Sprint(b.Revision), b.Tool, b.Digest, c.name, b.Arguments)
}

// encrypt is what a client carries, for what it is bound to.
func (g *Gateway) encrypt(prefix string, what any, bound []byte) string {
	text, err := json.Marshal(what)
	if err != nil {
		panic("gateway: what a client carries did not encode: " + err.Error()) // it is strings and numbers
	}
	return prefix + base64.RawURLEncoding.EncodeToString(g.states.Seal(nil, nil, text, bound))
}

// decrypt reads what was encrypted and came back, of at most so many bytes. It is false for anything else.
func (g *Gateway) decrypt(prefix, carried string, most int, bound []byte, what any) bool {
	encoded, ours := strings.CutPrefix(carried, prefix)
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !ours || err != nil || len(sealed) > most {
		return false
	}
	text, err := g.states.Open(nil, nil, sealed, bound)
	return err == nil && json.Unmarshal(text, what) == nil
}

func (g *Gateway) seal(c *call, r round) string { return g.encrypt(statePrefix, r, c.bound()) }

var errState = errors.New("the requestState does not belong to this call")

func (g *Gateway) unseal(c *call, state string) (r round, err error) {
	if !g.decrypt(statePrefix, state, 8*maxState, c.bound(), &r) || g.c.Now().After(time.Unix(r.Until, 0)) {
		return r, errState
	}
	return r, nil
}

// continued is the step that finds which call a repeated one goes on with, and reads the answers. A state of an approval is for
// the step after it.
func (g *Gateway) continued(_ context.Context, c *call) *fault {
	state, _ := c.params.text("requestState")
	if !c.modern || !strings.HasPrefix(state, statePrefix) || c.round.Number > 0 {
		return nil
	}
	r, err := g.unseal(c, state)
	if err != nil {
		f := wrongState()
		f.policy = "answers/state"
		return f
	}
	c.round = r
	c.note("continues", r.Call)
	c.note("round", fmt.Sprint(r.Number+1))
	responses, ok := c.params.object("inputResponses")
	if !ok && c.params.at("inputResponses") != nil {
		return rpcFault(codeInvalidParams, `The member "inputResponses" of params must be an object.`)
	}
	c.answers = map[string]jsontext.Value{}
	for key, kind := range r.Asked {
		raw := responses.at(key)
		if raw == nil {
			continue // the server asks again
		}
		if err := answered(kind, raw); err != nil {
			return rpcFault(codeInvalidParams, "The inputResponses cannot be passed on: %v.", err)
		}
		c.answers[key] = raw
		g.recordAnswer(c, kind, raw)
	}
	return nil
}

func wrongState() *fault {
	f := rpcFault(codeInvalidParams, "The requestState is not one of this call: it was changed, or belongs to another call, key or revision, or was used. Call again without it.")
	f.reason = errState.Error()
	return f
}

// recordAnswer notes an answer as arguments are noted: which it was, and, where arguments are kept, what it says after the masks.
func (g *Gateway) recordAnswer(c *call, kind policy.Ask, raw []byte) {
	c.noted.Lock()
	defer c.noted.Unlock()
	text := fmt.Sprintf("%s %d bytes %s", kind, len(raw), audit.Digest(raw))
	if g.c.KeepArguments && len(raw) <= maxArgumentsInRecord {
		if kept, ok := c.maskedForRecord(raw); ok {
			text += " " + kept
		}
	}
	c.note("answers", strings.TrimPrefix(c.entry.Detail["answers"]+"\n"+text, "\n"))
}

// recordAsked notes what the server asked for, and whether the client saw it.
func (c *call) recordAsked(kind policy.Ask, err error) {
	c.noted.Lock()
	defer c.noted.Unlock()
	text := string(kind)
	if err != nil {
		text = "refused: " + clean(err.Error(), 200)
	}
	if have := c.entry.Detail["asked"]; have != "" {
		text = have + "\n" + text
	}
	if len(text) <= maxArgumentsInRecord {
		c.note("asked", text)
	}
}

// questions are what an input_required result of a server holds.
type questions struct {
	keys  []string // in order
	byKey map[string]question
	state *string
}

type question struct {
	method string
	kind   policy.Ask
	params []byte
}

// inputAsked reads a server's input_required result. All of it is asked, or nothing.
func (c *call) inputAsked(result []byte) (out questions, err error) {
	in, ok := membersOf(result)
	if !ok || in.onlyExact("resultType", "inputRequests", "requestState") != nil {
		return out, errors.New("what it asked for cannot be read by every reader alike")
	}
	if raw := in.at("requestState"); raw != nil {
		state, ok := in.text("requestState")
		if !ok || len(state) > maxState {
			return out, fmt.Errorf("its state is no text of at most %d bytes, but of %d", maxState, len(raw))
		}
		out.state = &state
	}
	requests, ok := in.object("inputRequests")
	if !ok && in.at("inputRequests") != nil || len(requests) > maxQuestions || len(requests) == 0 && out.state == nil {
		return out, fmt.Errorf("its requests are not 1 to %d", maxQuestions)
	}
	out.byKey = map[string]question{}
	for _, m := range slices.SortedFunc(slices.Values(requests), func(a, b strictjson.Member) int { return strings.Compare(a.Name, b.Name) }) {
		key := m.Name
		request, ok := requests.object(key)
		method, _ := request.text("method")
		if !ok || request.onlyExact("method", "params") != nil || len(key) > maxID || hides(jsontext.Value(quote(key))) {
			return out, errors.New("a request of it cannot be read")
		}
		kind, params, err := c.question(method, request.at("params"))
		c.recordAsked(kind, err)
		if err != nil {
			return out, err
		}
		out.keys, out.byKey[key] = append(out.keys, key), question{method, kind, params}
	}
	return out, nil
}

// text is all of it as an object by the server's keys.
func (a questions) text() []byte {
	out := []byte{'{'}
	for i, key := range a.keys {
		if i > 0 {
			out = append(out, ',')
		}
		q := a.byKey[key]
		out = append(append(append(out, quote(key)+`:{"method":"`+q.method+`","params":`...), q.params...), '}')
	}
	return append(out, '}')
}

// askedBack is what a client of the stateless era is told: what the server asks, under a state of ours.
func (g *Gateway) askedBack(c *call, a questions, held string) *fault {
	r := round{Call: c.round.Call, Number: c.round.Number + 1, Until: g.c.Now().Add(roundFor).Unix(), Asked: map[string]policy.Ask{}, State: a.state, Held: held, Task: c.round.Task}
	if r.Number > maxRounds {
		return askFault(c, fmt.Errorf("it asked again after %d rounds", maxRounds))
	}
	r.Call = c.named()
	body := []byte(`{"resultType":"input_required"`)
	if len(a.keys) > 0 {
		body = append(append(body, `,"inputRequests":`...), a.text()...)
	}
	for _, key := range a.keys {
		r.Asked[key] = a.byKey[key].kind
	}
	c.entry.Decision = audit.Allowed
	c.result = [2][]byte{nil, append(append(body, `,"requestState":`...), quote(g.seal(c, r))+"}"...)}
	return nil
}

// named is what the record calls the rounds of the call.
func (c *call) named() string {
	if c.round.Call == "" {
		c.round.Call = rand.Text()
		c.note("call", c.round.Call)
	}
	return c.round.Call
}

// errAsks is why a call ends whose server may ask for nothing.
var errAsks = errors.New("it asked the client for something, and either this persona does not let it, which a reviewer can change, or this client cannot be asked")

// askFault ends a call whose server asked for what is not passed on.
func askFault(c *call, why error) *fault {
	server, _ := c.grant.Tool.Split()
	f := toolFault(fmt.Sprintf("The server %s did not finish the call: %v. The call may have taken effect: check before you repeat it.", server, why), why.Error())
	f.policy = "forward/asks"
	return f
}

// again are the further parameters of a round, for the server: the answers and the state that it gave out itself.
func again(answers map[string]jsontext.Value, state *string) map[string]json.RawMessage {
	more := map[string]json.RawMessage{}
	if len(answers) > 0 {
		more["inputResponses"], _ = strict.Marshal(answers, strict.Deterministic(true)) // raw values that were read
	}
	if state != nil {
		more["requestState"] = json.RawMessage(quote(*state))
	}
	return more
}

// isAsking says that a result is no end of the call.
func isAsking(result strictjson.Value) bool {
	kind, err := resultType(result)
	return err == nil && kind == "input_required"
}
