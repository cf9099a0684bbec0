package gateway

// Sessions is how many sessions are kept.
func (g *Gateway) Sessions() int { return g.Stats().Sessions }

// Streams is how many streams are open.
func (g *Gateway) Streams() int { return g.Stats().Streams }
