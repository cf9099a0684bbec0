package gateway

import (
	"context"
	"errors"
	"fmt"

	"remit/upstream"
)

// account refuses a call of a server that is called with its user's account when there is none for it, before a person is
// asked to approve it and before it counts against a limit.
func (g *Gateway) account(ctx context.Context, c *call) *fault {
	if g.c.Account == nil {
		return nil
	}
	server, _ := c.grant.Tool.Split()
	err := g.c.Account(ctx, server, c.subject())
	switch {
	case err == nil:
		return nil
	case errors.Is(err, upstream.ErrNotConnected):
		return g.unconnected(c, server, err)
	}
	return c.failure(ctx, server, err)
}

// subject is whom a call is made for, and by which key.
func (c *call) subject() upstream.Subject {
	return upstream.Subject{User: c.who.User, Client: c.who.Key}
}

// unconnected tells the agent that whom it works for has to connect an account first, or to let this agent use it, and
// where. A client that can show its user an address is asked to, once; it repeats the call when the user is back.
func (g *Gateway) unconnected(c *call, server string, err error) *fault {
	page := g.c.Connections
	if page == "" {
		page = "the page \"Your connections\" of Remit"
	}
	user := clean(c.who.User, 100)
	f := toolFault(fmt.Sprintf("Not called: %s is called with the account of the person whom you work for, and %s has not connected one that you may use. %s can do that at %s; then call again.",
		server, user, user, page), err.Error())
	f.policy = upstream.AccountRule
	responses, _ := c.params.object("inputResponses")
	if _, asked := responses.value("connect"); g.c.Connections != "" && c.opensPages() && !asked {
		message := fmt.Sprintf("This call needs your account at %s. Connect it, and let the agent use it, on the page that opens; then continue.", server)
		f.result = []byte(`{"resultType":"input_required","inputRequests":{"connect":{"method":"elicitation/create","params":{"mode":"url","message":` +
			quote(message) + `,"url":` + quote(page) + `}}}}`)
	}
	return f
}
