// Package trees owns a small gradient-boosted tree model for yes-or-no questions: what it answers, how it is stored, and
// how it is trained (Friedman: Greedy function approximation, 2001; second-order splits as in Chen and Guestrin: XGBoost,
// 2016). Training is deterministic: the same rows give the same model on every machine of one architecture.
package trees

import (
	"fmt"
	"math"
	"slices"
)

// Model answers with log-odds: the sum of Base and of one leaf of each tree.
type Model struct {
	Features []string `json:"features"` // the names of a row's values, in order
	Base     float64  `json:"base"`
	Trees    []Tree   `json:"trees"`
}

// Tree is a list of nodes; the first is the root.
type Tree []Node

// Node sends a row to Left where its value of Feature is at most At, else to Right. Left 0 marks a leaf with Value.
type Node struct {
	Feature int     `json:"f,omitempty"`
	At      float64 `json:"t,omitempty"`
	Left    int     `json:"l,omitempty"`
	Right   int     `json:"r,omitempty"`
	Value   float64 `json:"v,omitempty"`
}

// Logit returns the log-odds of yes for a row.
func (m *Model) Logit(row []float64) float64 {
	sum := m.Base
	for _, t := range m.Trees {
		i := 0
		for t[i].Left > 0 {
			if row[t[i].Feature] <= t[i].At {
				i = t[i].Left
			} else {
				i = t[i].Right
			}
		}
		sum += t[i].Value
	}
	return sum
}

// Check says whether the model can be asked about rows of the given features without a panic.
func (m *Model) Check(features []string) error {
	if !slices.Equal(m.Features, features) {
		return fmt.Errorf("trees: the model is of %d other features than the %d wanted", len(m.Features), len(features))
	}
	for i, t := range m.Trees {
		if len(t) == 0 {
			return fmt.Errorf("trees: tree %d is empty", i)
		}
		for k, n := range t {
			if n.Left != 0 && (n.Left <= k || n.Right <= k || n.Left >= len(t) || n.Right >= len(t) || n.Feature < 0 || n.Feature >= len(features)) {
				return fmt.Errorf("trees: node %d of tree %d leads nowhere", k, i)
			}
		}
	}
	return nil
}

// Probability of a log-odds.
func Probability(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }
