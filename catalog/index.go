package catalog

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// field is a part of a tool that is searched by words.
type field struct {
	name   string  // as a [Reason] calls it; empty for a part of another field
	weight float64 // how much one occurrence counts, against one in the description
	core   float64 // the same where only the core of a tool counts
	b      float64 // how much a long field discounts an occurrence, 0 to 1
	text   func(Tool) string
}

const maxFieldText = 16_000 // bytes of one field that are indexed; a hostile description buys nothing by length

// fields and k1 were chosen on the sets that may be trained on (seal-tools, metatool, toolalpaca, api-bank, acebench).
var fields = [...]field{
	{"server", 1.5, 1.5, 0.6, func(t Tool) string { return t.Server() }},
	{"name", 3, 3, 0.6, func(t Tool) string { return t.Name }},
	{"title", 1.5, 1.5, 0.6, func(t Tool) string { return cut(t.Title, MaxTitle) }},
	{"description", 1, 0, 0.7, func(t Tool) string { return Plain(t.Description) }},
	{"", 0, 1, 0.7, func(t Tool) string { return t.Gist }},
	{"parameter", 0.6, 0.6, 0.7, func(t Tool) string { return paramText(t, func(p Param) string { return p.Name }) }},
	{"parameter", 0.3, 0, 0.7, func(t Tool) string { return paramText(t, func(p Param) string { return p.Description }) }},
}

const k1 = 1.8 // how soon more occurrences of a term stop counting

func paramText(t Tool, text func(Param) string) string {
	var b strings.Builder
	for _, p := range t.Params {
		if b.Len() > maxFieldText {
			break
		}
		b.WriteString(text(p))
		b.WriteByte('\n')
	}
	return b.String()
}

// index finds documents by words. It never changes once built.
//
// A document's score for a term is BM25F (Robertson, Zaragoza, Taylor: Simple BM25 extension to multiple weighted fields,
// 2004; per-field lengths as in Zaragoza et al., TREC 2004):
//
//	tf    = Σ over fields: weight × occurrences / (1 - b + b × length / average length)
//	score = idf × tf × (k1 + 1) / (k1 + tf),  idf = ln(1 + (N - n + 0.5) / (n + 0.5))
//
// with N documents of which n hold the term. All of it is known when the index is built, so a posting carries its score, and
// the one that it has when only the cores of the tools are read.
type index struct {
	terms    map[string]int
	postings [][]posting // by term, by document
	idf      []float32   // by term
	unknown  float32     // idf of a term that no document holds
}

type posting struct {
	doc         uint32
	fields      uint8 // bit i is set where fields[i] holds the term
	score, core float32
}

// occurrences of one term in one document.
type occurrences struct {
	doc   uint32
	count [len(fields)]uint16 // by field
}

// lengths of the fields of a document, in terms.
type lengths [len(fields)]float64

func newIndex(tools []Tool) *index {
	x := &index{terms: map[string]int{}}
	parts := make([]*reading, min(runtime.GOMAXPROCS(0), len(tools)))
	var readers sync.WaitGroup
	for i := range parts {
		parts[i] = &reading{from: i * len(tools) / len(parts), terms: map[string]int{}}
		readers.Go(func() { parts[i].read(tools[parts[i].from : (i+1)*len(tools)/len(parts)]) })
	}
	readers.Wait()
	var found [][]occurrences // by term
	each := make([]lengths, 0, len(tools))
	var average lengths
	for _, p := range parts {
		for local, term := range p.names {
			id, ok := x.terms[term]
			if !ok {
				id = len(found)
				x.terms[term] = id
				found = append(found, nil)
			}
			found[id] = append(found[id], p.found[local]...)
		}
		each = append(each, p.each...)
		for f, n := range p.all {
			average[f] += n
		}
	}
	for f := range average {
		average[f] /= float64(len(tools))
	}
	x.weigh(found, each, average)
	return x
}

// reading is what one processor found in some of the documents, which follow one another.
type reading struct {
	from  int // the first document
	terms map[string]int
	names []string        // by term
	found [][]occurrences // by term
	each  []lengths       // by document
	all   lengths
}

func (r *reading) read(tools []Tool) {
	r.each = make([]lengths, len(tools))
	for i, t := range tools {
		doc := uint32(r.from + i)
		for f := range fields {
			eachTerm(cut(fields[f].text(t), maxFieldText), func(term, _ string) {
				id, ok := r.terms[term]
				if !ok {
					id, term = len(r.found), strings.Clone(term)
					r.terms[term] = id
					r.names, r.found = append(r.names, term), append(r.found, nil)
				}
				if n := len(r.found[id]); n == 0 || r.found[id][n-1].doc != doc {
					r.found[id] = append(r.found[id], occurrences{doc: doc})
				}
				r.found[id][len(r.found[id])-1].count[f]++
				r.each[i][f]++
				r.all[f]++
			})
		}
	}
}

func (x *index) weigh(found [][]occurrences, each []lengths, average lengths) {
	x.postings, x.idf = make([][]posting, len(found)), make([]float32, len(found))
	idf := func(n int) float64 { return math.Log(1 + (float64(len(each)-n)+0.5)/(float64(n)+0.5)) }
	score := func(idf, tf float64) float32 { return float32(idf * tf * (k1 + 1) / (k1 + tf)) }
	x.unknown = float32(idf(0))
	for term, docs := range found {
		inCore := 0
		for _, o := range docs {
			if o.inCore() {
				inCore++
			}
		}
		x.idf[term] = float32(idf(len(docs)))
		x.postings[term] = make([]posting, len(docs))
		for i, o := range docs {
			p := posting{doc: o.doc}
			all, core := 0.0, 0.0
			for f, count := range o.count {
				if count > 0 {
					p.fields |= 1 << f
					tf := float64(count) / (1 - fields[f].b + fields[f].b*each[o.doc][f]/average[f])
					all += fields[f].weight * tf
					core += fields[f].core * tf
				}
			}
			p.score, p.core = score(idf(len(docs)), all), score(idf(inCore), core)
			x.postings[term][i] = p
		}
	}
}

func (o occurrences) inCore() bool {
	for f, count := range o.count {
		if count > 0 && fields[f].core > 0 {
			return true
		}
	}
	return false
}

// queryTerm is a term of a query.
type queryTerm struct {
	id      int    // -1 when no document holds it
	written string // as the query first spells it
}

// parse finds the terms of a query, each once: a word that a long text repeats is no more asked for.
func (x *index) parse(query string) []queryTerm {
	var terms []queryTerm
	seen := map[string]bool{}
	eachTerm(query, func(term, written string) {
		if seen[term] {
			return
		}
		seen[term] = true
		id, ok := x.terms[term]
		if !ok {
			id = -1
		}
		terms = append(terms, queryTerm{id: id, written: written})
	})
	return terms
}

// score adds to into[doc] the BM25F score of every document for the terms.
func (x *index) score(terms []queryTerm, into []float32) {
	for _, t := range terms {
		if t.id >= 0 {
			for _, p := range x.postings[t.id] {
				into[p.doc] += p.score
			}
		}
	}
}

// scoreCore does the same by the cores of the documents.
func (x *index) scoreCore(terms []queryTerm, into []float32) {
	for _, t := range terms {
		if t.id >= 0 {
			for _, p := range x.postings[t.id] {
				into[p.doc] += p.core
			}
		}
	}
}

// why lists the query's words that the document holds, by field, and the share of the query that they are.
func (x *index) why(doc int, terms []queryTerm) (reasons []Reason, coverage float64) {
	var held, all float32
	for _, t := range terms {
		if t.id < 0 {
			all += x.unknown
			continue
		}
		all += x.idf[t.id]
		at, ok := slices.BinarySearchFunc(x.postings[t.id], uint32(doc), func(p posting, doc uint32) int { return int(p.doc) - int(doc) })
		if !ok {
			continue
		}
		held += x.idf[t.id]
		for f := range fields {
			if fields[f].name == "" || x.postings[t.id][at].fields&(1<<f) == 0 {
				continue
			}
			i := slices.IndexFunc(reasons, func(r Reason) bool { return r.Field == fields[f].name })
			if i < 0 {
				i = len(reasons)
				reasons = append(reasons, Reason{Field: fields[f].name})
			}
			if !slices.Contains(reasons[i].Terms, t.written) {
				reasons[i].Terms = append(reasons[i].Terms, t.written)
			}
		}
	}
	if all > 0 {
		coverage = float64(held / all)
	}
	return reasons, coverage
}
