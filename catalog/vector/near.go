package vector

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"remit/catalog"
)

const (
	exactly   = 8192 // vectors up to which each is compared with each
	leaf      = 256  // vectors of a leaf, within which each is compared with each
	trees     = 12   // ways of dividing up the vectors
	ofGroup   = 3    // neighbours from one group
	sample    = 2048 // pairs at random that tell what cosine means nothing
	maxMiddle = 0.6
)

// Near lists for the i-th vector the nearest vectors of other groups, nearest first: at most three of one group and so
// many in all, and none with a lower nearness than least. groups has one entry a vector.
//
// Up to 8,192 vectors are compared with each other. More are divided at planes between two of them, chosen at random with
// a fixed seed, until at most 256 are left, in twelve ways (random projection trees; Dasgupta and Freund, 2008), and only
// those that fall together are compared: time grows with n log n and memory with n, whatever the vectors are.
func (x *Index) Near(ctx context.Context, groups []int32, least float32, most int) ([][]catalog.Neighbour, error) {
	if len(groups) != x.count {
		return nil, fmt.Errorf("the vector index holds %d vectors, but %d groups were named", x.count, len(groups))
	}
	random := rand.New(rand.NewPCG(1, 2))
	s := search{Index: x, groups: groups, middle: x.middle(random), most: most,
		found: make([][]catalog.Neighbour, x.count), least: slices.Repeat([]float32{least}, x.count)}
	all := make([]int32, x.count)
	for i := range all {
		all[i] = int32(i)
	}
	if x.count <= exactly {
		if err := s.compare(ctx, all); err != nil {
			return nil, err
		}
	} else {
		for range trees {
			if err := s.divide(ctx, slices.Clone(all), random); err != nil {
				return nil, err
			}
		}
	}
	for _, list := range s.found {
		slices.SortFunc(list, func(a, b catalog.Neighbour) int {
			return cmp.Or(cmp.Compare(b.Nearness, a.Nearness), cmp.Compare(a.At, b.At))
		})
	}
	return s.found, nil
}

// middle is the median cosine of vectors taken at random, at most maxMiddle: in a small index all may be alike.
func (x *Index) middle(random *rand.Rand) float32 {
	if x.count < 2 {
		return 0
	}
	cosines := make([]float32, sample)
	for i := range cosines {
		x.dots(cosines[i:i+1], x.row(random.IntN(x.count)), x.row(random.IntN(x.count)))
	}
	slices.Sort(cosines)
	return max(0, min(maxMiddle, cosines[sample/2]))
}

// search is one call of Near.
type search struct {
	*Index
	groups []int32
	middle float32
	most   int
	found  [][]catalog.Neighbour
	least  []float32 // nearness that a neighbour of the i-th vector needs; rises once it has as many as it may
}

// divide halves the vectors until they fit into a leaf. Equal vectors are divided by their places.
func (s *search) divide(ctx context.Context, at []int32, random *rand.Rand) error {
	if len(at) <= leaf {
		return s.compare(ctx, at)
	}
	plane := slices.Clone(s.row(int(at[random.IntN(len(at))])))
	for i, v := range s.row(int(at[random.IntN(len(at))])) {
		plane[i] -= v
	}
	side := make([]float32, s.count)
	err := each(ctx, (len(at)+block-1)/block, func(b int) {
		for _, i := range at[b*block : min((b+1)*block, len(at))] {
			s.dots(side[i:i+1], s.row(int(i)), plane)
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(at, func(a, b int32) int { return cmp.Or(cmp.Compare(side[a], side[b]), cmp.Compare(a, b)) })
	if err := s.divide(ctx, at[:len(at)/2], random); err != nil {
		return err
	}
	return s.divide(ctx, at[len(at)/2:], random)
}

// compare compares each of the vectors with each.
func (s *search) compare(ctx context.Context, at []int32) error {
	rows := make([]float32, 0, len(at)*s.stride)
	for _, i := range at {
		rows = append(rows, s.row(int(i))...)
	}
	return each(ctx, (len(at)+block-1)/block, func(b int) {
		of := at[b*block : min((b+1)*block, len(at))]
		cosines := make([]float32, block)
		for from := 0; from < len(at); from += block {
			with := at[from:min(from+block, len(at))]
			for _, i := range of {
				s.dots(cosines[:len(with)], rows[from*s.stride:(from+len(with))*s.stride], s.row(int(i)))
				for n, j := range with {
					nearness := min(1, (cosines[n]-s.middle)/(1-s.middle))
					if nearness >= s.least[i] && s.groups[i] != s.groups[j] {
						s.add(i, catalog.Neighbour{At: j, Nearness: nearness})
					}
				}
			}
		}
	})
}

// add keeps the nearest, of each group and in all. A vector that several leaves bring together is added once.
func (s *search) add(i int32, n catalog.Neighbour) {
	list := s.found[i]
	farthest, alike, farthestAlike := 0, 0, 0
	for k, old := range list {
		if old.At == n.At {
			return
		}
		if nearer(list[farthest], old) {
			farthest = k
		}
		if s.groups[old.At] == s.groups[n.At] {
			if alike++; alike == 1 || nearer(list[farthestAlike], old) {
				farthestAlike = k
			}
		}
	}
	switch {
	case alike == ofGroup:
		if nearer(n, list[farthestAlike]) {
			list[farthestAlike] = n
		}
	case len(list) < s.most:
		s.found[i] = append(list, n)
	case s.most > 0:
		s.least[i] = max(s.least[i], list[farthest].Nearness)
		if nearer(n, list[farthest]) {
			list[farthest] = n
		}
	}
}

func nearer(a, b catalog.Neighbour) bool {
	return a.Nearness > b.Nearness || a.Nearness == b.Nearness && a.At < b.At
}
