package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

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
	if f == nil && (!v.grantsTasks(x.modern) || x.modern && x.method == upstream.TaskResult || !x.modern && x.method == upstream.UpdateTask) {
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
	c.note("call", c.task.Call)
	c.note("request", c.method)
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
	bounds := &policy.Compiled{Policy: policy.Policy{Limits: polls, Concurrent: c.grant.Policy.Concurrent}}                                                   // apart from the calls
	release, refused := g.c.Limiter.Take(ctx, policy.Subject{Persona: c.who.Persona, Key: c.who.Key, Tool: string(c.grant.Tool) + "@tasks"}, bounds, c.began) // no tool has an @ in its name
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

// taskID is the id with which the client asked; empty where it asked about no task.
func (c *call) taskID() string {
	if c.task == nil {
		return ""
	}
	id, _ := c.params.text("taskId")
	return id
}

// forwardTask asks the server about its task.
func (g *Gateway) forwardTask(ctx context.Context, c *call) *fault {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	c.sent = g.c.Now()
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
	defer g.heard(c)
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
	c.note("task", s.status)
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
	failed := func(rpc *upstream.RPCError) ([]byte, *fault) {
		f := g.unanswered(ctx, c, rpc)
		if c.entry.Decision != audit.Allowed { // it is nothing that is passed on
			return nil, f
		}
		text := c.faultOf(f)
		var e struct{ Error jsontext.Value }
		_ = json.Unmarshal(slices.Concat(text[:]...), &e) // it is our own
		return append([]byte(`,"error":`), e.Error...), nil
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
			return failed(rpc)
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
		return failed(rpc)
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
	g.heard(c)
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
			raw := responses.at(key)
			if raw == nil {
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
	if filter.at("taskIds") == nil || !v.grantsTasks(true) || x.knowsTasks() {
		return nil
	}
	f := needTasks()
	f.status = http.StatusBadRequest
	return f
}
