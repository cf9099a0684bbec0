package gateway

// Sessions is how many sessions are kept.
func (g *Gateway) Sessions() int { return g.Stats().Sessions }

// Streams is how many streams are open.
func (g *Gateway) Streams() int { return g.Stats().Streams }

// Park has a call wait for its client, and returns why it cannot.
func (g *Gateway) Park() string { return g.held.park(&held{cancel: func() {}}) }
