package gateway

import "fmt"

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
	f.policy = "forward/connect"
	responses, _ := c.params.object("inputResponses")
	if _, asked := responses["connect"]; g.c.Connections != "" && c.opensPages() && !asked {
		message := fmt.Sprintf("This call needs your account at %s. Connect it, and let the agent use it, on the page that opens; then continue.", server)
		f.result = []byte(`{"resultType":"input_required","inputRequests":{"connect":{"method":"elicitation/create","params":{"mode":"url","message":` +
			quote(message) + `,"url":` + quote(page) + `}}}}`)
	}
	return f
}

// opensPages says that the client can show its user an address (2026-07-28, elicitation, URL mode).
func (c *call) opensPages() bool {
	capabilities, _ := c.meta.object(metaCapabilities)
	elicitation, _ := capabilities.object("elicitation")
	_, ok := elicitation.object("url")
	return c.modern && ok
}
