package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"remit/audit"
	"remit/catalog"
	"remit/internal/strictjson"
	"remit/policy"
	"remit/upstream"
)

// A server may answer a call with a task, where the grant's policy says so: it works on, and the client asks for the result later
// (2026-07-28, the extension io.modelcontextprotocol/tasks; 2025-11-25, tasks). The id that a client sees is ours: it is encrypted, and
// says which task of which server it is, by which grant it was made, and for whom. So no instance keeps anything, and nobody else can ask
// with it. What is asked about a task passes the steps below, and has an entry of its own; its result is treated as that of a call.
//
// Tasks are not listed (2025-11-25, tasks/list): a server lists those of everybody for whom Remit calls it, and which of them
// are this key's nobody here remembers.

// extensionTasks is how both sides say that they know tasks, in the stateless era.
const extensionTasks = "io.modelcontextprotocol/tasks"

// metaTask is the member of _meta that says to which task a message belongs, in the older era.
const metaTask = "io.modelcontextprotocol/related-task"

// task is what an id says.
type task struct {
	Name  string `json:"n"` // as the agent calls the tool
	Grant string `json:"g"` // by which the call was decided
	ID    string `json:"i"` // the server's own
	Older bool   `json:"o,omitempty"`
	Call  string `json:"c"` // names the call in the record
	Until int64  `json:"t"` // seconds since 1970
}

// Bounds of tasks.
const (
	maxTask    = 512                 // bytes of a server's id
	taskFor    = 30 * 24 * time.Hour // an id is good, if its server keeps the task so long
	taskPrefix = "t1."
)

// polls are how often one key may ask about the tasks of one tool. It asks for work that was counted, so these are no calls to the
// limits of the policy.
var polls = []policy.Limit{{Calls: 600, Per: policy.Minute, By: policy.ByKey}}

// taskSteps are the steps of a request about a task. The arguments were decided on when it was made, by the same grant.
var taskSteps = slices.Concat([]step{
	{"read", (*Gateway).readTask},
	{"identify", (*Gateway).identifyCall},
}, decidingTask, []step{
	{"account", (*Gateway).account},
	{"limit", (*Gateway).limitPolls},
	{"record", (*Gateway).begin},
	{"forward", (*Gateway).forwardTask},
})

// decidingTask are those by which a revision decides.
var decidingTask = []step{
	{"find", (*Gateway).findTask},
	{suspended, (*Gateway).suspended},
	{"pin", (*Gateway).pin},
	{"arguments", (*Gateway).validate}, // of which there are none, but its schemas have to work
	{"policy", (*Gateway).goesOn},
}

// aboutTask says that a method asks something about a task.
func aboutTask(method string) bool {
	switch method {
	case upstream.GetTask, upstream.UpdateTask, upstream.CancelTask, upstream.TaskResult:
		return true
	}
	return false
}

// askOfTask serves requests about tasks, where the view has tools that may make them.
func (g *Gateway) askOfTask(x *exchange) {
	v, f := g.view(x)
	if f == nil && (!v.whole().grantsTasks(x.modern) || x.modern && x.method == upstream.TaskResult || !x.modern && x.method == upstream.UpdateTask) {
		f = x.noMethod()
	}
	if f != nil {
		g.refuse(x, f)
		return
	}
	g.call(x)
}

// grantsTasks says that the view grants a tool whose calls a client of the era can have as tasks.
func (v *view) grantsTasks(modern bool) bool {
	return slices.ContainsFunc(v.inOrder, func(t *grant) bool {
		return t.corrupt == nil && t.rules.Tasks && t.Tool.Of() == catalog.ATool && (modern || t.may)
	})
}

// knowsTasks says that the client said so, which in the stateless era each request does.
func (x *exchange) knowsTasks() bool {
	capabilities, _ := x.meta.object(metaCapabilities)
	extensions, _ := capabilities.object("extensions")
	_, ok := extensions.object(extensionTasks)
	return x.modern && ok
}

// needTasks is what a client is told that asks about tasks and does not say that it knows them.
func needTasks() *fault {
	f := badRequest(codeCapability, "Missing required client capability: say with each request that this client knows the extension %s.", extensionTasks)
	f.data = []byte(`{"requiredCapabilities":{"extensions":{"` + extensionTasks + `":{}}}}`)
	return f
}

// whose is for whom an id is.
func (x *exchange) whose() []byte {
	return measured("tasks", x.who.Key, x.who.Agent, x.who.User, x.who.Persona)
}

// print is the grant as it was approved: another definition, name or policy has another.
func (t *grant) print() string {
	text, err := json.Marshal([]any{t.Tool, t.Digest, t.Name, t.Policy})
	if err != nil {
		panic("gateway: a grant did not encode: " + err.Error()) // it was read from JSON
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (g *Gateway) sealTask(c *call, id string, older bool) string {
	return g.encrypt(taskPrefix, task{c.name, c.grant.print(), id, older, c.named(), g.c.Now().Add(taskFor).Unix()}, c.whose())
}

func (g *Gateway) unsealTask(x *exchange, id string) (t task, ok bool) {
	return t, g.decrypt(taskPrefix, id, 16*maxTask, x.whose(), &t) && g.c.Now().Before(time.Unix(t.Until, 0))
}

// readTask finds which task is meant. One that is another's is answered like one that never was.
func (g *Gateway) readTask(_ context.Context, c *call) *fault {
	c.kind = catalog.ATool
	if c.modern && !c.knowsTasks() {
		return needTasks()
	}
	id, _ := c.params.text("taskId")
	t, ok := g.unsealTask(c.exchange, id)
	if !ok || !c.modern && !t.Older { // a client of the older era has none of a newer server

		f := rpcFault(codeInvalidParams, "Task not found: its id was never given to this client, or is too old.")
		f.policy = "tasks/id"
		return f
	}
	c.task, c.name = &t, t.Name
	return nil
}

// findTask finds the grant, which has to be the very one by which the call was decided.
func (g *Gateway) findTask(ctx context.Context, c *call) *fault {
	if f := g.find(ctx, c); f != nil {
		return f
	}
	c.entry.Detail["call"], c.entry.Detail["request"] = c.task.Call, c.method
	if c.task.Grant == c.grant.print() {
		return nil
	}
	f := toolFault("Refused: a reviewer changed what this persona may do with this tool since the task was made. What it has done by then stays done; call anew.",
		"the grant is not the one by which the task was made")
	f.policy = "tasks/grant"
	return f
}

func (g *Gateway) goesOn(_ context.Context, c *call) *fault {
	if d := c.grant.rules.GoesOn(g.c.Now()); !d.Allowed {
		f := toolFault("Refused by the policy of this persona: "+d.Reason+". The task goes on at its server.", d.Reason)
		f.policy = "policy/" + d.Rule
		return f
	}
	return nil
}

func (g *Gateway) limitPolls(ctx context.Context, c *call) *fault {
	bounds := &policy.Compiled{Policy: policy.Policy{Limits: polls, Concurrent: c.grant.Policy.Concurrent}} // apart from the calls
	release, refused := g.c.Limiter.Take(ctx, policy.Subject{Persona: c.who.Persona, Key: c.who.Key, Tool: string(c.grant.Tool) + " tasks"}, bounds, c.began)
	if refused == nil {
		c.release = release
		return nil
	}
	if refused.Err != nil {
		g.complain("a request about a task could not be counted and was not forwarded", refused.Err)
	}
	f := toolFault("Refused: this key asks about tasks of this tool too often: "+refused.Reason+".", refused.Reason)
	f.undecided, f.policy = refused.Err != nil, "limit/tasks"
	return f
}

// augmented refuses to make a task of a call of which none is made (2025-11-25). Where no tool of the persona makes any, the parameter is
// ignored, as the protocol says.
func (c *call) augmented() *fault {
	if !c.forTask {
		return nil
	}
	if !c.grant.rules.Tasks || !c.grant.may {
		f := rpcFault(codeNoMethod, "Calls of %s are not made as tasks here: call it without the parameter \"task\".", clean(c.name, 256))
		f.policy = "tasks/tool"
		return f
	}
	if own, ok := c.params.object("task"); !ok || own["ttl"] != nil && !milliseconds(own["ttl"]) {
		return rpcFault(codeInvalidParams, `The member "task" of params must be an object, and its "ttl" a number of milliseconds.`)
	}
	return nil
}

func milliseconds(raw jsontext.Value) bool {
	var n uint64
	return raw.Kind() == '0' && json.Unmarshal(raw, &n) == nil && n < 1<<53
}

// takesTask says that the server may be told that the client of the stateless era takes a task for an answer.
func (c *call) takesTask() bool {
	return c.method == "tools/call" && c.grant.rules.Tasks && c.knowsTasks()
}

// asksForTask is with what a server of the older era is asked for a task; nil where it is not. A server that insists on one is asked for
// it in any case, and the gateway waits where the client does not.
func (c *call) asksForTask() json.RawMessage {
	if c.method != "tools/call" || !c.grant.rules.Tasks || !c.grant.may {
		return nil
	}
	if own, ok := c.params.object("task"); ok && !c.modern {
		if ttl := own["ttl"]; ttl != nil {
			return json.RawMessage(`{"ttl":` + string(ttl) + `}`)
		}
		return json.RawMessage("{}")
	}
	if c.grant.must || c.knowsTasks() {
		return json.RawMessage("{}")
	}
	return nil
}

// asked says that the client, of the older era, wants a task, and nothing else.
func (c *call) asked() bool { return !c.modern && c.method == "tools/call" && c.params["task"] != nil }

// otherwise says that the server did not carry out the call, for the way in which it was made, and changes that.
func (c *call) otherwise(out *upstream.Call, err error) bool {
	if err == nil || c.round.Held != "" || !c.grant.rules.Tasks {
		return false
	}
	rpc, answered := errors.AsType[*upstream.RPCError](err)
	switch {
	case errors.Is(err, upstream.ErrNoTasks) && !c.asked():
		out.Task = nil
		return true
	case answered && !out.Tasks && requiresTasks(rpc):
		out.Tasks = true
		return true
	}
	return false
}

// requiresTasks says that a server of the newer era answers the call only to clients that know tasks.
func requiresTasks(rpc *upstream.RPCError) bool {
	data, _ := membersOf(rpc.Data)
	required, _ := data.object("requiredCapabilities")
	extensions, _ := required.object("extensions")
	_, ok := extensions[extensionTasks]
	return ok && rpc.Code == codeCapability
}

// needsTasks says the same of a server of either era, where the persona does not let it.
func (c *call) needsTasks(rpc *upstream.RPCError) bool {
	return c.method == "tools/call" && !c.grant.rules.Tasks && (requiresTasks(rpc) || c.grant.must && rpc.Code == codeNoMethod)
}

// errTasks is why a call ends whose server may make no task of it.
var errTasks = errors.New("it answers with a task, which this persona does not let it; a reviewer can change that")

// taskFault ends a request whose server answered with what is not passed on.
func taskFault(c *call, why error) *fault {
	f := askFault(c, why)
	f.policy = "forward/tasks"
	return f
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

// names are those of a task's members, which differ between the eras.
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
	return ok && in["task"].Kind() == '{'
}

// stateOf reads what a server says of a task. A text that is none of a task's is not passed on.
func stateOf(result []byte, older bool) (s state, err error) {
	unreadable := errors.New("what it says of its task cannot be read by every reader alike")
	var in members
	if strict.Unmarshal(result, &in) != nil {
		return s, unreadable
	}
	s.meta = in["_meta"]
	if inner, ok := in.object("task"); older && ok {
		in = inner
	}
	ttl, every := taskNames(older)
	if in.onlyExact("taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", ttl, every, "result", "error", "inputRequests", "_meta", "resultType") != nil {
		return s, unreadable
	}
	s.ttl, s.every, s.result, s.failure, s.requests = in[ttl], in[every], in["result"], in["error"], in["inputRequests"]
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
		if _, err := time.Parse(time.RFC3339, at); err != nil {
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
	if text := c.grant.rules.MaskText(s.message); text != "" && len(text) <= maxWords { // what is longer is not cut, which could cut a mask
		out = append(out, `,"statusMessage":`+quote(text)...)
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
		meta, ok := membersOf(value)
		if _, says := meta[metaTask]; !ok || !says {
			return value
		}
		meta = maps.Clone(meta)
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

// taskID is the id with which the client asked; empty where it asked about no task.
func (c *call) taskID() string {
	if c.task == nil {
		return ""
	}
	id, _ := c.params.text("taskId")
	return id
}

// made is a task in place of a result. A client that takes none waits, as for any other call.
func (g *Gateway) made(ctx context.Context, c *call, out upstream.Call, result strictjson.Value) *fault {
	older := out.Task != nil
	s, err := stateOf(result.Text, older)
	if err != nil {
		return taskFault(c, err)
	}
	c.entry.Detail["task"] = s.status
	if !c.takesTask() && !c.asked() {
		return g.await(ctx, c, out, s, older)
	}
	id := g.sealTask(c, s.id, older)
	start, end := `{"resultType":"task",`, ""
	if !c.modern {
		start, end = `{"task":{`, "}"
	}
	c.entry.Decision, c.result = audit.Allowed, [2][]byte{[]byte(start), slices.Concat(c.shown(s, id), []byte(end), c.metaOf(s, id), []byte("}"))}
	return nil
}

// await has the gateway wait for the end of a task, as long as the call may last. A task that nobody waits for any more is cancelled.
func (g *Gateway) await(ctx context.Context, c *call, out upstream.Call, s state, older bool) *fault {
	if older { // its server waits itself
		c.round, c.answers = round{Call: c.round.Call, Number: c.round.Number}, nil // what was asked before the task is answered
		t, err := g.turn(ctx, c, upstream.Call{Method: upstream.TaskResult, Tool: s.id, For: out.For, Meta: out.Meta, Asks: out.Asks})
		if err != nil || c.interim.over != nil {
			g.giveUp(c, s.id, err)
			return g.unanswered(ctx, c, err)
		}
		if t.held != "" {
			return g.askedBack(c, t.asks, t.held)
		}
		server, _ := c.grant.Tool.Split()
		return c.receive(server, strictjson.Unread(related(t.result.Text, "")))
	}
	for asked := map[string]bool{}; !s.over(); {
		if s.status == "input_required" {
			if f := g.putTask(ctx, c, out, s, asked); f != nil {
				g.giveUp(c, s.id, nil)
				return f
			}
		}
		timer := time.NewTimer(s.patience())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		result, err := c.server.Call(ctx, upstream.Call{Method: upstream.GetTask, Tool: s.id, For: out.For, Meta: out.Meta, Asks: out.Asks})
		if err != nil {
			g.giveUp(c, s.id, err)
			return g.unanswered(ctx, c, err)
		}
		id := s.id
		if s, err = c.stateOf(result, id, false); err != nil {
			g.giveUp(c, id, nil)
			return taskFault(c, err)
		}
	}
	c.entry.Detail["task"] = s.status
	switch s.status {
	case "completed":
		server, _ := c.grant.Tool.Split()
		return c.receive(server, strictjson.Unread(s.result))
	case "failed":
		rpc, err := c.failed(s)
		if err != nil {
			return taskFault(c, err)
		}
		c.entry.Decision = audit.Allowed
		return c.masked(rpc)
	}
	return taskFault(c, errors.New("its task was cancelled"))
}

// putTask has a client of the older era asked what a task of a server of the newer asks, each question once, and answers it. One of the
// newer would have to come back for it, as clients that know tasks do.
func (g *Gateway) putTask(ctx context.Context, c *call, out upstream.Call, s state, asked map[string]bool) *fault {
	if c.modern {
		return taskFault(c, errors.New("its task asks for something, which of clients of this protocol version only those can be asked for that know tasks"))
	}
	asks, err := c.questionsOf(s)
	answers := map[string]jsontext.Value{}
	for _, key := range asks.keys {
		if err != nil || asked[key] {
			continue
		}
		if asked[key] = true; len(asked) > maxQuestions {
			err = errors.New("its task asked again and again")
			continue
		}
		answers[key], err = g.put(ctx, c, asks.byKey[key])
	}
	switch said, refused := errors.AsType[*upstream.RPCError](err); {
	case c.interim.over != nil:
		return c.interim.over
	case ctx.Err() != nil:
		return g.unanswered(ctx, c, ctx.Err())
	case refused:
		return taskFault(c, errors.New("the client did not answer it: "+said.Message))
	case err != nil:
		return taskFault(c, err)
	case len(answers) == 0:
		return nil
	}
	update := upstream.Call{Method: upstream.UpdateTask, Tool: s.id, For: out.For, Meta: out.Meta, Asks: out.Asks, More: again(answers, nil)}
	if _, err := c.server.Call(ctx, update); err != nil {
		return g.unanswered(ctx, c, err)
	}
	return nil
}

// questionsOf are what a task of a server of the newer era asks.
func (c *call) questionsOf(s state) (questions, error) {
	if s.requests == nil {
		return questions{}, errors.New("its task asks for nothing that can be read")
	}
	return c.inputAsked(slices.Concat([]byte(`{"inputRequests":`), s.requests, []byte("}")))
}

// giveUp tells the server that nobody waits for the task, unless it said itself what became of it.
func (g *Gateway) giveUp(c *call, id string, why error) {
	if rpc, answered := errors.AsType[*upstream.RPCError](why); answered && rpc != nil {
		return
	}
	c.entry.Detail["task"] = "cancelled by Remit"
	server, of := c.server, c.subject()
	g.busy.Add(1) // the request is in it, too
	go func() {
		defer g.busy.Done()
		cancelAt(server, id, of)
	}()
}

// cancelAt cancels a task at its server, as far as that goes: it may be over, and its time ends it in any case.
func cancelAt(server Caller, id string, of upstream.Subject) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	_, _ = server.Call(ctx, upstream.Call{Method: upstream.CancelTask, Tool: id, For: of}) // see above
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

// forwardTask asks the server about its task.
func (g *Gateway) forwardTask(ctx context.Context, c *call) *fault {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	sent := g.c.Now()
	defer func() { c.entry.UpstreamMicros = (g.c.Now().Sub(sent) - c.interim.waited).Microseconds() }()
	c.entry.Decision = audit.Failed
	switch c.method {
	case upstream.TaskResult:
		return g.resultOfTask(ctx, c)
	case upstream.UpdateTask:
		return g.updateTask(ctx, c)
	case upstream.CancelTask:
		return g.cancelTask(ctx, c)
	}
	s, f := g.stateNow(ctx, c)
	if f != nil {
		return f
	}
	var more []byte
	if c.modern {
		if more, f = g.detail(ctx, c, &s); f != nil {
			return f
		}
	}
	c.tell(s, more)
	return nil
}

// askTask sends the server a request about the task.
func (g *Gateway) askTask(ctx context.Context, c *call, method string, more map[string]json.RawMessage) (strictjson.Value, error) {
	out := upstream.Call{Method: method, Tool: c.task.ID, For: c.subject(), Meta: c.traceMeta(g.c.ForwardBaggage), More: more}
	if !c.task.Older { // one of the older asks only while its result is waited for
		out.Asks = c.askable()
	}
	return c.server.Call(ctx, out)
}

func (g *Gateway) stateNow(ctx context.Context, c *call) (s state, f *fault) {
	result, err := g.askTask(ctx, c, upstream.GetTask, nil)
	if err != nil {
		return s, g.unanswered(ctx, c, err)
	}
	if s, err = c.stateOf(result, c.task.ID, c.task.Older); err != nil {
		return s, taskFault(c, err)
	}
	return s, nil
}

// tell answers with the state of the task.
func (c *call) tell(s state, more []byte) {
	c.entry.Detail["task"] = s.status
	start := "{"
	if c.modern {
		start = `{"resultType":"complete",`
	}
	c.result = [2][]byte{[]byte(start), slices.Concat(c.shown(s, c.taskID()), more, c.metaOf(s, c.taskID()), []byte("}"))}
	c.entry.Decision = audit.Allowed
}

// detail is what a state of the newer era has beside what every state has. A server of the older is asked for the result, and what that
// is decides: a result that is an error of the tool is no failed task in the newer era.
func (g *Gateway) detail(ctx context.Context, c *call, s *state) ([]byte, *fault) {
	failed := func(f *fault) []byte {
		text := c.faultOf(f)
		var e struct{ Error jsontext.Value }
		_ = json.Unmarshal(slices.Concat(text[:]...), &e) // it is our own
		return append([]byte(`,"error":`), e.Error...)
	}
	switch {
	case s.status == "cancelled" || s.status == "working":
		return nil, nil
	case s.status == "input_required" && c.task.Older:
		return nil, taskFault(c, errors.New("its task asks for something, which a client of this protocol version cannot be asked for at a server of the older; cancel it"))
	case s.status == "input_required":
		asks, err := c.questionsOf(*s)
		if err != nil {
			return nil, taskFault(c, err)
		}
		return append([]byte(`,"inputRequests":`), asks.text()...), nil
	case c.task.Older:
		result, err := g.askTask(ctx, c, upstream.TaskResult, nil)
		if rpc, answered := errors.AsType[*upstream.RPCError](err); answered {
			s.status = "failed"
			return failed(c.masked(rpc)), nil
		}
		if err != nil {
			return nil, g.unanswered(ctx, c, err)
		}
		s.status, s.result = "completed", related(result.Text, "") // the newer era has no such member
	case s.status == "failed":
		rpc, err := c.failed(*s)
		if err != nil {
			return nil, taskFault(c, err)
		}
		return failed(c.masked(rpc)), nil
	}
	server, _ := c.grant.Tool.Split()
	if f := c.receive(server, strictjson.Unread(s.result)); f != nil {
		return nil, f
	}
	return slices.Concat([]byte(`,"result":`), c.result[0], c.result[1]), nil
}

// resultOfTask waits for the end of the task, in the older era, and is asked meanwhile what its server asks.
func (g *Gateway) resultOfTask(ctx context.Context, c *call) *fault {
	t, err := g.turn(ctx, c, upstream.Call{Method: upstream.TaskResult, Tool: c.task.ID, For: c.subject(), Meta: c.traceMeta(g.c.ForwardBaggage), Asks: c.askable()})
	if err != nil || c.interim.over != nil {
		return g.unanswered(ctx, c, err)
	}
	server, _ := c.grant.Tool.Split()
	return c.receive(server, strictjson.Unread(related(t.result.Text, c.taskID())))
}

// updateTask hands on what the client answers to what the server asks now. What else the client answers is ignored, as the extension says.
func (g *Gateway) updateTask(ctx context.Context, c *call) *fault {
	responses, ok := c.params.object("inputResponses")
	if !ok || c.task.Older {
		c.entry.Decision = audit.Refused
		return rpcFault(codeInvalidParams, `The member "inputResponses" of params must be an object, and the task one that asks.`)
	}
	s, f := g.stateNow(ctx, c)
	if f != nil {
		return f
	}
	answers := map[string]jsontext.Value{}
	if s.status == "input_required" {
		asks, err := c.questionsOf(s)
		if err != nil {
			return taskFault(c, err)
		}
		for _, key := range asks.keys {
			raw, given := responses[key]
			if !given {
				continue
			}
			if err := answered(asks.byKey[key].kind, raw); err != nil {
				c.entry.Decision = audit.Refused
				return rpcFault(codeInvalidParams, "The inputResponses cannot be passed on: %v.", err)
			}
			answers[key] = raw
			g.recordAnswer(c, asks.byKey[key].kind, raw)
		}
	}
	if len(answers) > 0 {
		if _, err := g.askTask(ctx, c, upstream.UpdateTask, again(answers, nil)); err != nil {
			return g.unanswered(ctx, c, err)
		}
	}
	c.entry.Decision, c.result = audit.Allowed, [2][]byte{nil, []byte(`{"resultType":"complete"}`)}
	return nil
}

func (g *Gateway) cancelTask(ctx context.Context, c *call) *fault {
	result, err := g.askTask(ctx, c, upstream.CancelTask, nil)
	if err != nil {
		return g.unanswered(ctx, c, err)
	}
	if c.modern {
		c.entry.Decision, c.result = audit.Allowed, [2][]byte{nil, []byte(`{"resultType":"complete"}`)}
		return nil
	}
	s, err := c.stateOf(result, c.task.ID, true)
	if err != nil {
		return taskFault(c, err)
	}
	c.tell(s, nil)
	return nil
}

// listensForTasks refuses to tell of tasks a client that does not know them. To one that does nothing is told of them, which the acknowledgement
// says by leaving them out.
func (x *exchange) listensForTasks(v *view, filter members) *fault {
	if filter["taskIds"] == nil || !v.whole().grantsTasks(true) || x.knowsTasks() {
		return nil
	}
	f := needTasks()
	f.status = http.StatusBadRequest
	return f
}
