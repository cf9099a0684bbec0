package composer

import (
	"cmp"
	"slices"
	"strings"

	"remit/catalog"
)

// productKey is a way to write the name of a server in a job.
type productKey struct {
	words  []string
	joined string
	server string
}

func (k productKey) compare(o productKey) int {
	return cmp.Or(-cmp.Compare(len(k.words), len(o.words)), strings.Compare(k.joined, o.joined), strings.Compare(k.server, o.server))
}

// productKeys reads the ways to name a server off its configured name: without the words that its tools never use
// ("slack-prod" is Slack), by its first word where most tools use it, and with short forms written out.
func productKeys(server string, tools []*tool) []productKey {
	words := catalog.Words(server)
	if len(words) == 0 {
		return nil // nobody can name it
	}
	share := func(w string) float64 {
		n := 0
		for _, t := range tools {
			if s := stem(w); t.nameStems[s] || t.gistStems[s] {
				n++
			}
		}
		return float64(n) / float64(len(tools))
	}
	var core []string
	for _, w := range words {
		if share(w) >= 0.05 && !generic[stem(w)] {
			core = append(core, w)
		}
	}
	if len(core) == 0 {
		core = words[:1]
	}
	forms := [][]string{words, core}
	if share(words[0]) >= 0.5 {
		forms = append(forms, words[:1])
	}
	for _, f := range slices.Clone(forms) {
		if long := writtenOut(f); long != nil {
			forms = append(forms, long)
			if len(long) > 2 {
				forms = append(forms, long[1:])
			}
		}
	}
	var keys []productKey
	for _, f := range forms {
		k := productKey{words: f, joined: strings.Join(f, ""), server: server}
		if !slices.ContainsFunc(keys, func(o productKey) bool { return o.compare(k) == 0 }) {
			keys = append(keys, k)
		}
	}
	return keys
}

func writtenOut(words []string) (out []string) {
	changed := false
	for _, w := range words {
		if long, ok := alias[w]; ok {
			out, changed = append(out, strings.Fields(long)...), true
		} else {
			out = append(out, w)
		}
	}
	if !changed {
		return nil
	}
	return out
}

// mention is a product that the job names.
type mention struct {
	first, last int             // words of the job
	servers     map[string]bool // that offer it; empty when no server does
	text        string          // as written
}

// everyday words of English are names of products as well; they count only where they are written as a name.
var everyday = set(`time memory fetch everything file files context buffer segment front box drive calendar mail teams loop range
	stripe square ghost pipe craft make signal slack notion shortcut linear clarity sentry render frame sketch workspace help desk
	support search browser code data docs notes forms sheets tasks projects issues events contacts`)

// calendarWords are names only when a domain follows them ("monday.com").
var (
	calendarWords = set(`monday tuesday wednesday thursday friday saturday sunday march may april june july august january today`)
	domains       = set(`com io app dev ai org net`)
)

var productBefore = set(`in from via our using through into with to on and of`)

// mentions finds the products of ws, longest names first.
func (x *index) mentions(ws []word) []mention {
	var out []mention
	for i := 0; i < len(ws); i++ {
		best := mention{first: i, last: -1, servers: map[string]bool{}}
		for _, k := range x.keys {
			last, ok := k.at(ws, i)
			if !ok || last < best.last {
				continue
			}
			if last > best.last {
				best.last, best.servers = last, map[string]bool{}
			}
			best.servers[k.server] = true
		}
		if best.last < 0 {
			if m, ok := x.unknown(ws, i); ok {
				out = append(out, m)
				i = m.last
			}
			continue
		}
		best.text = rawOf(ws[i : best.last+1])
		out = append(out, best)
		i = best.last
	}
	return out
}

// brand says that m is written as a name is, or in a job without any capital letter. Servers can be called "calendar" too.
func (r reading) brand(m mention) bool {
	proper := func(w word) bool { return w.proper() }
	return slices.ContainsFunc(r.words[m.first:m.last+1], proper) || !slices.ContainsFunc(r.words, proper)
}

func rawOf(ws []word) string {
	raw := make([]string, len(ws))
	for i, w := range ws {
		raw[i] = w.raw
	}
	return strings.Join(raw, " ")
}

// at says whether k stands at word i, in as many words or written together or apart ("Argo CD", "argocd").
func (k productKey) at(ws []word, i int) (last int, ok bool) {
	joined := ""
	for j := i; j < len(ws) && j < i+4 && len(joined) < len(k.joined); j++ {
		joined += ws[j].text
		if j > i && endsSentence(ws[j-1], ws[j].gap) {
			return 0, false
		}
		if joined == k.joined {
			return j, len(k.words) > 1 && j > i || namesProduct(ws, i, j)
		}
	}
	return 0, false
}

// namesProduct says that a single word is meant as a name and not as the everyday word.
func namesProduct(ws []word, i, j int) bool {
	w := ws[i]
	if calendarWords[w.text] {
		return j+1 < len(ws) && ws[j+1].gap == "." && domains[ws[j+1].text]
	}
	starts := i == 0 || endsSentence(ws[i-1], w.gap)
	if everyday[w.text] {
		return w.proper() && !starts
	}
	return w.proper() || i > 0 && productBefore[ws[i-1].text] || len(w.text) > 5
}

var notProducts = set(`i we english german french spanish monday tuesday wednesday thursday friday saturday sunday january february march
	april may june july august september october november december mondays fridays europe usa uk eu team`)

// unknown finds a name that looks like a product and that no server of the catalog has: written as only brands are, or as a
// name after a word that says through what the work is done. A name that a tool's own name holds is no gap.
func (x *index) unknown(ws []word, i int) (mention, bool) {
	w := ws[i]
	if last, ok := brandAt(ws, i); ok && !x.together(ws[i:last+1]) && !x.named(ws, i+1, last) {
		return mention{first: i, last: last, servers: map[string]bool{}, text: rawOf(ws[i : last+1])}, true
	}
	if !w.proper() || notProducts[w.text] || i == 0 || endsSentence(ws[i-1], w.gap) || len(w.text) < 3 {
		return mention{}, false
	}
	j := i
	for j+1 < len(ws) && ws[j+1].proper() && strings.TrimSpace(ws[j+1].gap) == "" && j < i+2 {
		j++
	}
	before := ws[i-1].text
	through := before == "via" || before == "through" || before == "using" || before == "our" || before == "on" || before == "in"
	for k := i; k <= j; k++ {
		if strings.ToUpper(ws[k].raw) == ws[k].raw && k == j && i == j {
			return mention{}, false // an abbreviation: PDF, VAT, SPF
		}
		if x.inNames(ws[k].stem) {
			return mention{}, false
		}
	}
	if !w.innerCapital() && !(through && x.df[w.stem] < 5) {
		return mention{}, false
	}
	return mention{first: i, last: j, servers: map[string]bool{}, text: rawOf(ws[i : j+1])}, true
}

// named says that the name of a server begins at one of the words from first to last ("Google [Cloud Run]").
func (x *index) named(ws []word, first, last int) bool {
	for i := first; i <= last; i++ {
		for _, k := range x.keys {
			if end, ok := k.at(ws, i); ok && end > i {
				return true
			}
		}
	}
	return false
}

func brandAt(ws []word, i int) (last int, ok bool) {
	for _, b := range brands {
		parts := strings.Fields(b)
		if i+len(parts) > len(ws) || !ws[i].proper() {
			continue
		}
		for k, p := range parts {
			if ok = ws[i+k].text == p; !ok {
				break
			}
		}
		if ok {
			return i + len(parts) - 1, true
		}
	}
	return 0, false
}

// together says that the name of one tool holds all of ws.
func (x *index) together(ws []word) bool {
	for _, t := range x.tools {
		all := true
		for _, w := range ws {
			all = all && t.nameStems[w.stem]
		}
		if all {
			return true
		}
	}
	return false
}

func (x *index) inNames(stem string) bool {
	if x.df[stem] == 0 {
		return false
	}
	for _, t := range x.tools {
		if t.nameStems[stem] {
			return true
		}
	}
	return false
}
