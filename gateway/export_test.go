package gateway

// Sessions is how many sessions are kept.
func (g *Gateway) Sessions() int {
	g.sessions.mu.Lock()
	defer g.sessions.mu.Unlock()
	return len(g.sessions.byID)
}

// Streams is how many streams are open.
func (g *Gateway) Streams() (n int) {
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	for _, open := range g.streams.open {
		n += len(open)
	}
	return n
}
