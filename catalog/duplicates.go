package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Groups is which tools of a catalog do the same thing as tools on other servers.
type Groups struct {
	Groups   []Group   // by tokens wasted, most first
	Overlaps []Overlap // pairs of servers, most tools in common first
	Wasted   int       // tokens, of all groups
	Degraded string    // why groups may be missing, in words for a person; empty when all tools were compared
	of       map[ID]int
}

// Group is tools on different servers, at most one of each, that do the same thing.
type Group struct {
	Tools    []Tool  // the cheapest first
	Likeness float64 // of the two least alike, 0 to 1; see [DefaultLikeness]
	Wasted   int     // tokens of all but the cheapest
}

// Overlap is how many groups have a tool of both servers.
type Overlap struct {
	A, B   string // by name
	Groups int
	Wasted int // tokens of the dearer tool of each of these groups
}

// DefaultLikeness is how much two tools have to be alike to do the same thing: of the pairs above it that were judged, 93 %
// do (docs/decisions/0007-tools-that-do-the-same.md). MinLikeness is the lowest that is worth asking for.
const (
	DefaultLikeness = 0.65
	MinLikeness     = 0.5
)

const (
	maxNear       = 32   // vectors that a tool is compared with
	leastNearness = 0.15 // of vectors that are worth comparing
)

// Of returns the group that holds the tool.
func (g Groups) Of(id ID) (Group, bool) {
	i, ok := g.of[id]
	if !ok {
		return Group{}, false
	}
	return g.Groups[i], true
}

// likePair is two tools that are alike.
type likePair struct {
	a, b     int32 // positions, a < b
	likeness float32
	mutual   bool // each is the other's best match on the other's server
}

// likePairs compares every tool with its neighbours.
func likePairs(tools []Tool, near [][]Neighbour) []likePair {
	a := newAlike(tools)
	type side struct{ tool, server int32 }
	best := map[side]likePair{}
	server := func(i int32) int32 { return a.servers[tools[i].Server()].id }
	var all []likePair
	holds := func(list []Neighbour, i int32) bool {
		return slices.ContainsFunc(list, func(n Neighbour) bool { return n.At == i })
	}
	for i, list := range near {
		for _, n := range list {
			p := likePair{a: min(int32(i), n.At), b: max(int32(i), n.At)}
			if server(p.a) == server(p.b) || n.At < int32(i) && holds(near[n.At], int32(i)) { // the latter was compared already
				continue
			}
			if p.likeness = a.degree(p.a, p.b, n.Nearness); p.likeness < MinLikeness {
				continue
			}
			all = append(all, p)
			for _, s := range []side{{p.a, server(p.b)}, {p.b, server(p.a)}} {
				if old, ok := best[s]; !ok || p.before(old) < 0 {
					best[s] = p
				}
			}
		}
	}
	for i, p := range all {
		all[i].mutual = best[side{p.a, server(p.b)}] == p && best[side{p.b, server(p.a)}] == p
	}
	slices.SortFunc(all, likePair.before)
	return all
}

// before orders pairs, the most alike first.
func (p likePair) before(o likePair) int {
	return cmp.Or(cmp.Compare(o.likeness, p.likeness), cmp.Compare(p.a, o.a), cmp.Compare(p.b, o.b))
}

// group joins mutual pairs, the most alike first, into groups in which each tool is alike with each and of another server.
func group(tools []Tool, pairs []likePair, least float64) Groups {
	likeness := map[[2]int32]float32{}
	member := map[int32][]int32{}
	for _, p := range pairs {
		if float64(p.likeness) >= least {
			likeness[[2]int32{p.a, p.b}] = p.likeness
			member[p.a], member[p.b] = []int32{p.a}, []int32{p.b}
		}
	}
	paired := func(a, b []int32) bool {
		for _, i := range a {
			for _, j := range b {
				if _, ok := likeness[[2]int32{min(i, j), max(i, j)}]; !ok || tools[i].Server() == tools[j].Server() {
					return false
				}
			}
		}
		return true
	}
	for _, p := range pairs {
		a, b := member[p.a], member[p.b]
		if float64(p.likeness) < least || !p.mutual || slices.Contains(a, p.b) || !paired(a, b) {
			continue
		}
		joined := slices.Concat(a, b)
		for _, i := range joined {
			member[i] = joined
		}
	}
	g := Groups{of: map[ID]int{}}
	for i, list := range member {
		if len(list) > 1 && i == slices.Min(list) {
			g.Groups = append(g.Groups, newGroup(tools, list, likeness))
		}
	}
	slices.SortFunc(g.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Wasted, a.Wasted), strings.Compare(string(a.Tools[0].ID), string(b.Tools[0].ID)))
	})
	for i, one := range g.Groups {
		g.Wasted += one.Wasted
		for _, t := range one.Tools {
			g.of[t.ID] = i
		}
	}
	g.Overlaps = overlaps(g.Groups)
	return g
}

func newGroup(tools []Tool, list []int32, likeness map[[2]int32]float32) Group {
	g := Group{Likeness: 1}
	for k, i := range list {
		g.Tools = append(g.Tools, tools[i])
		for _, j := range list[:k] {
			g.Likeness = min(g.Likeness, float64(likeness[[2]int32{min(i, j), max(i, j)}]))
		}
	}
	slices.SortFunc(g.Tools, func(a, b Tool) int {
		return cmp.Or(cmp.Compare(a.Tokens, b.Tokens), strings.Compare(string(a.ID), string(b.ID)))
	})
	for _, t := range g.Tools[1:] {
		g.Wasted += t.Tokens
	}
	return g
}

// overlaps counts the groups by pairs of servers.
func overlaps(groups []Group) []Overlap {
	of := map[[2]string]Overlap{}
	for _, g := range groups {
		for i, t := range g.Tools {
			for _, cheaper := range g.Tools[:i] {
				a, b := t.Server(), cheaper.Server()
				o := of[[2]string{min(a, b), max(a, b)}]
				of[[2]string{min(a, b), max(a, b)}] = Overlap{A: min(a, b), B: max(a, b), Groups: o.Groups + 1, Wasted: o.Wasted + t.Tokens}
			}
		}
	}
	list := make([]Overlap, 0, len(of))
	for _, o := range of {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b Overlap) int {
		return cmp.Or(cmp.Compare(b.Groups, a.Groups), cmp.Compare(b.Wasted, a.Wasted), strings.Compare(a.A, b.A), strings.Compare(a.B, b.B))
	})
	return list
}

// pairCache keeps the pairs of one state of the catalog: they take seconds where there are very many tools.
type pairCache struct {
	mu       sync.Mutex // also held while the pairs are made, so that many who ask at once wait for one answer
	digest   string
	embedded int
	pairs    []likePair
}

// ErrLikeness is returned for a likeness that cannot be asked for.
var ErrLikeness = errors.New("the least likeness must be from 0.5 to 1")

// Duplicates returns the groups of tools on different servers that are alike to at least the given degree, from
// [MinLikeness] to 1; see [DefaultLikeness]. The first call after the catalog has changed compares the tools, each with at
// most 32 that are near in meaning; others are quick. Tools without a vector are in no group.
func (c *Catalog) Duplicates(ctx context.Context, least float64) (Groups, error) {
	if !(least >= MinLikeness && least <= 1) {
		return Groups{}, fmt.Errorf("%w, not %v", ErrLikeness, least)
	}
	s := c.now.Load()
	pairs, err := c.pairs.of(ctx, s)
	if err != nil {
		return Groups{}, err
	}
	g := group(s.tools, pairs, least)
	switch missing := len(s.tools) - len(s.embedded); {
	case len(s.tools) == 0:
		g.Degraded = emptyCatalog
	case s.cores == nil:
		g.Degraded = "No tools can be compared, because there are no vectors; turn embeddings on and crawl."
	case missing > 0:
		g.Degraded = fmt.Sprintf("%d of %d tools have no vector yet and are not compared; crawl again to embed them.", missing, len(s.tools))
	}
	return g, nil
}

func (p *pairCache) of(ctx context.Context, s *snapshot) ([]likePair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.digest == s.digest && p.embedded == len(s.embedded) {
		return p.pairs, nil
	}
	near := make([][]Neighbour, len(s.tools))
	if s.cores != nil {
		found, err := s.cores.Near(ctx, s.servers(), leastNearness, maxNear)
		if err != nil {
			return nil, fmt.Errorf("comparing the tools of the catalog: %w", err)
		}
		for i, list := range found {
			for k := range list {
				list[k].At = int32(s.embedded[list[k].At])
			}
			near[s.embedded[i]] = list
		}
	}
	p.digest, p.embedded, p.pairs = s.digest, len(s.embedded), likePairs(s.tools, near)
	return p.pairs, nil
}

// servers numbers the servers, by position of the vector.
func (s *snapshot) servers() []int32 {
	number := map[string]int32{}
	out := make([]int32, len(s.embedded))
	for i, tool := range s.embedded {
		server := s.tools[tool].Server()
		if _, ok := number[server]; !ok {
			number[server] = int32(len(number))
		}
		out[i] = number[server]
	}
	return out
}
