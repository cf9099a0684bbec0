package trees

import (
	"math"
	"slices"
	"sort"
)

// Example is a row with its answer.
type Example struct {
	Row    []float64
	Yes    bool
	Weight float64
}

// Config of a training. Zero values mean the numbers in brackets.
type Config struct {
	Trees    int     // (120)
	Depth    int     // of a tree, in splits (4)
	Rate     float64 // by which each tree's answer counts (0.08)
	Smallest float64 // weight of the examples in a leaf (20)
	Ridge    float64 // how much a leaf is drawn to 0 (2)
}

const bins = 48 // places of a feature at which a split is tried

func (c Config) filled() Config {
	if c.Trees == 0 {
		c.Trees = 120
	}
	if c.Depth == 0 {
		c.Depth = 4
	}
	if c.Rate == 0 {
		c.Rate = 0.08
	}
	if c.Smallest == 0 {
		c.Smallest = 20
	}
	if c.Ridge == 0 {
		c.Ridge = 2
	}
	return c
}

// Train makes a model of examples, which all have a value for each feature.
func Train(features []string, examples []Example, config Config) *Model {
	config = config.filled()
	yes, all := 0.0, 0.0
	for _, e := range examples {
		all += e.Weight
		if e.Yes {
			yes += e.Weight
		}
	}
	m := &Model{Features: features, Base: math.Log((yes + 1) / (all - yes + 1))}
	g := newGrower(len(features), examples, config)
	logits := make([]float64, len(examples))
	for i := range logits {
		logits[i] = m.Base
	}
	for range config.Trees {
		for i, e := range examples {
			p := Probability(logits[i])
			g.slope[i], g.curve[i] = e.Weight*(answer(e.Yes)-p), e.Weight*p*(1-p)
		}
		g.tree = nil
		rows := make([]int32, len(examples))
		for i := range rows {
			rows[i] = int32(i)
		}
		g.grow(rows, 0, logits)
		m.Trees = append(m.Trees, g.tree)
	}
	return m
}

func answer(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// grower grows one tree after another over the same examples.
type grower struct {
	config       Config
	cuts         [][]float64 // by feature, ascending: a value belongs to the first cut that is not below it
	binned       [][]uint8   // by feature and example
	weight       []float64
	slope, curve []float64 // first and second derivative of the loss, by example
	tree         Tree
}

func newGrower(features int, examples []Example, config Config) *grower {
	g := &grower{config: config, slope: make([]float64, len(examples)), curve: make([]float64, len(examples))}
	for _, e := range examples {
		g.weight = append(g.weight, e.Weight)
	}
	values := make([]float64, len(examples))
	for f := range features {
		for i, e := range examples {
			values[i] = e.Row[f]
		}
		cuts := quantiles(values)
		binned := make([]uint8, len(examples))
		for i, v := range values {
			binned[i] = uint8(sort.SearchFloat64s(cuts, v))
		}
		g.cuts, g.binned = append(g.cuts, cuts), append(g.binned, binned)
	}
	return g
}

// quantiles returns at most bins-1 values that cut the distinct values into parts of about the same size.
func quantiles(values []float64) []float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	var cuts []float64
	for b := 1; b < bins; b++ {
		v := sorted[min(len(sorted)-1, b*len(sorted)/bins)]
		if (len(cuts) == 0 || v > cuts[len(cuts)-1]) && v < sorted[len(sorted)-1] {
			cuts = append(cuts, v)
		}
	}
	// Rare values of a feature that is nearly always the same.
	distinct := slices.Compact(sorted)
	if len(distinct) <= bins {
		return distinct[:len(distinct)-1]
	}
	return cuts
}

// grow adds the node of rows and what is below it, and adds its answer to the logits of the rows.
func (g *grower) grow(rows []int32, depth int, logits []float64) {
	at := len(g.tree)
	g.tree = append(g.tree, Node{})
	feature, cut, ok := -1, 0, false
	if depth < g.config.Depth {
		feature, cut, ok = g.split(rows)
	}
	if !ok {
		slope, curve := 0.0, 0.0
		for _, i := range rows {
			slope += g.slope[i]
			curve += g.curve[i]
		}
		value := math.Round(g.config.Rate*slope/(curve+g.config.Ridge)*1e5) / 1e5
		g.tree[at].Value = value
		for _, i := range rows {
			logits[i] += value
		}
		return
	}
	var left, right []int32
	for _, i := range rows {
		if int(g.binned[feature][i]) <= cut {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	g.tree[at] = Node{Feature: feature, At: g.cuts[feature][cut], Left: len(g.tree)}
	g.grow(left, depth+1, logits)
	g.tree[at].Right = len(g.tree)
	g.grow(right, depth+1, logits)
}

// split finds the feature and the bin after which a cut lowers the loss most.
func (g *grower) split(rows []int32) (feature, cut int, ok bool) {
	type sums struct{ slope, curve, weight float64 }
	var total sums
	for _, i := range rows {
		total.slope += g.slope[i]
		total.curve += g.curve[i]
		total.weight += g.weight[i]
	}
	gain := func(s sums) float64 { return s.slope * s.slope / (s.curve + g.config.Ridge) }
	best := gain(total) + 1e-3
	for f, binned := range g.binned {
		var by [bins + 1]sums
		for _, i := range rows {
			b := &by[binned[i]]
			b.slope += g.slope[i]
			b.curve += g.curve[i]
			b.weight += g.weight[i]
		}
		var left sums
		for b := range g.cuts[f] {
			left.slope += by[b].slope
			left.curve += by[b].curve
			left.weight += by[b].weight
			right := sums{total.slope - left.slope, total.curve - left.curve, total.weight - left.weight}
			if left.weight < g.config.Smallest || right.weight < g.config.Smallest {
				continue
			}
			if now := gain(left) + gain(right); now > best {
				best, feature, cut, ok = now, f, b, true
			}
		}
	}
	return feature, cut, ok
}
