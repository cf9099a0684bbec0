package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"remit/audit"
	"remit/internal/strictjson"
	"remit/upstream"
)

// A call that is answered with a task: who is told so, and what becomes of it where the client takes none.

// augmented refuses to make a task of a call of which none is made (2025-11-25). Where no tool of the key makes any, the parameter is
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
	if own, ok := c.params.object("task"); !ok || own.at("ttl") != nil && !milliseconds(own.at("ttl")) {
		return rpcFault(codeInvalidParams, `The member "task" of params must be an object, and its "ttl" a number of milliseconds.`)
	}
	return nil
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
		if ttl := own.at("ttl"); ttl != nil {
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
func (c *call) asked() bool {
	return !c.modern && c.method == "tools/call" && c.params.at("task") != nil
}

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
	_, ok := extensions.value(extensionTasks)
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

// made is a task in place of a result. A client that takes none waits, as for any other call.
func (g *Gateway) made(ctx context.Context, c *call, out upstream.Call, result strictjson.Value) *fault {
	older := out.Task != nil
	s, err := stateOf(result.Text, older)
	if err != nil {
		return taskFault(c, err)
	}
	c.note("task", s.status)
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
		c.round, c.answers = round{Call: c.round.Call, Number: c.round.Number, Task: s.id}, nil // what was asked before the task is answered
		return g.awaitOlder(ctx, c, out)
	}
	for asked, told := map[string]bool{}, false; !told || !s.over(); told = true { // what it asks, or came to, a server says when it is asked
		if told && s.status == "input_required" {
			if f := g.putTask(ctx, c, out, s, asked); f != nil {
				g.giveUp(c, s.id, nil)
				return f
			}
		}
		if !s.over() {
			timer := time.NewTimer(s.patience())
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
		result, err := c.server.Call(ctx, upstream.Call{Method: upstream.GetTask, Tool: s.id, For: out.For, Meta: out.Meta, Asks: out.Asks})
		g.heard(c)
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
	c.note("task", s.status)
	switch s.status {
	case "completed":
		server, _ := c.grant.Tool.Split()
		return c.receive(server, strictjson.Unread(s.result))
	case "failed":
		rpc, err := c.failed(s)
		if err != nil {
			return taskFault(c, err)
		}
		return g.unanswered(ctx, c, rpc)
	}
	return taskFault(c, errors.New("its task was cancelled"))
}

// awaitOlder does the same at a server of the older era, in each round of the call.
func (g *Gateway) awaitOlder(ctx context.Context, c *call, out upstream.Call) *fault {
	t, err := g.turn(ctx, c, upstream.Call{Method: upstream.TaskResult, Tool: c.round.Task, For: out.For, Meta: out.Meta, Asks: out.Asks})
	g.heard(c)
	c.entry.Decision = audit.Failed
	if err != nil || c.interim.over != nil {
		if !c.interim.unsent { // or else another instance may wait for it
			g.giveUp(c, c.round.Task, err)
		}
		return g.unanswered(ctx, c, err)
	}
	if t.held != "" {
		return g.askedBack(c, t.asks, t.held)
	}
	server, _ := c.grant.Tool.Split()
	return c.receive(server, strictjson.Unread(related(t.result.Text, "")))
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

// cancelledByUs is what the record says of a task that nobody waits for any more.
const cancelledByUs = "cancelled by Remit"

// giveUp tells the server that nobody waits for the task, unless it said itself what became of it.
func (g *Gateway) giveUp(c *call, id string, why error) {
	if rpc, answered := errors.AsType[*upstream.RPCError](why); answered && rpc != nil {
		return
	}
	c.note("task", cancelledByUs)
	server, of := c.server, c.subject()
	g.busy.Add(1) // the request is in it, too
	go func() {
		defer g.busy.Done()
		cancelAt(server, id, of)
	}()
}

// cancelTimeout is for how long a server may take to cancel a task: less than Remit takes to stop.
const cancelTimeout = 5 * time.Second

// cancelAt cancels a task at its server, as far as that goes: it may be over, and its time ends it in any case.
func cancelAt(server Caller, id string, of upstream.Subject) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	_, _ = server.Call(ctx, upstream.Call{Method: upstream.CancelTask, Tool: id, For: of}) // see above
}
