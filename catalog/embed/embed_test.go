package embed

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shared loads the embedded model once for all tests.
var shared = sync.OnceValues(New)

func encoder(t testing.TB) *Encoder {
	t.Helper()
	e, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func embedOne(t testing.TB, text string) []float32 {
	t.Helper()
	vectors, err := encoder(t).Embed(t.Context(), []string{text})
	if err != nil {
		t.Fatal(err)
	}
	return vectors[0]
}

// reference is what the training's own code (JAX) and the tokenizer of its base model made of a text; train/export.py writes it.
type reference struct {
	Text   string
	Tokens []int32
	Vector []byte // JSON's base64; float32, little endian
}

func (r reference) vector() []float32 {
	out := make([]float32, len(r.Vector)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.Vector[4*i:]))
	}
	return out
}

func references(t testing.TB) []reference {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []reference
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("only %d references", len(list))
	}
	return list
}

func TestTokensAreTheReferences(t *testing.T) {
	e := encoder(t)
	for _, ref := range references(t) {
		if clean(ref.Text) != strings.TrimSpace(ref.Text) {
			continue // clean is stricter than the reference
		}
		got, want := e.tokens(ref.Text), ref.Tokens
		if !slices.Equal(got, want) {
			t.Errorf("%.60q (-want +got):\n%s", ref.Text, cmp.Diff(want, got))
		}
	}
}

// leastCosine is how near the int8 weights must bring a text to its reference: rounding shows most where a token or two are all
// there is.
func (r reference) leastCosine() float64 {
	if len(r.Tokens) < 5 {
		return 0.997
	}
	return 0.999
}

func TestVectorsAreTheReferences(t *testing.T) {
	e := encoder(t)
	least, total, count := 1.0, 0.0, 0
	for _, ref := range references(t) {
		s := e.scratch.Get().(*scratch)
		got, want := cosine(e.network.run(s, ref.Tokens), ref.vector()), ref.leastCosine()
		e.scratch.Put(s)
		if !(got >= want) {
			t.Errorf("%.60q: cosine got %.6f, want at least %v", ref.Text, got, want)
		}
		least, total, count = min(least, got), total+got, count+1
	}
	t.Logf("cosine against the reference: least %.6f, mean %.6f, %d texts", least, total/float64(count), count)
}

// The whole way, from the text: what clean leaves alone must come out as the reference has it.
func TestEmbedIsTheReference(t *testing.T) {
	for _, ref := range references(t) {
		if clean(ref.Text) != ref.Text {
			continue
		}
		if got, want := cosine(embedOne(t, ref.Text), ref.vector()), ref.leastCosine(); !(got >= want) {
			t.Errorf("%.60q: cosine got %.6f, want at least %v", ref.Text, got, want)
		}
	}
}

func TestMeaning(t *testing.T) {
	for _, c := range []struct{ query, near, far string }{
		{"send money to a person", "create payment", "list calendar events"},
		{"remove old rows from storage", "delete all records older than ninety days from the archive", "get the current weather"},
		{"what is on my agenda tomorrow", "list calendar events", "create payment"},
		{"will it rain in Paris", "get the weather forecast for a city", "open a pull request"},
	} {
		query := embedOne(t, c.query)
		near, far := cosine(query, embedOne(t, c.near)), cosine(query, embedOne(t, c.far))
		t.Logf("%q: %.3f to %q, %.3f to %q", c.query, near, c.near, far, c.far)
		if near <= far {
			t.Errorf("%q: got nearer to %q (%.3f), want %q (%.3f)", c.query, c.far, far, c.near, near)
		}
	}
}

func TestSameVector(t *testing.T) {
	for name, c := range map[string]struct{ a, b string }{
		"white space is one space":      {" list\tthe \r\n\n files ", "list the files"},
		"control characters are spaces": {"list\x00the\x1bfiles", "list the files"},
		"invisible ones are nothing":    {"li\u200bst the\ufeff files", "list the files"},
		"invalid UTF-8 is a space":      {"list\xff\xfethe files", "list the files"},
		"blank is empty":                {" \n\t\x00\xff ", ""},
		"case and accents":              {"LISTE les Éléments", "liste les elements"},
		"past the last token":           {strings.Repeat("word ", 129), strings.Repeat("word ", 500)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(embedOne(t, c.b), embedOne(t, c.a)); diff != "" {
				t.Errorf("%q and %q differ", c.a, c.b)
			}
		})
	}
}

func TestOrderAndLength(t *testing.T) {
	var texts []string
	for _, ref := range references(t) {
		texts = append(texts, ref.Text)
	}
	e := encoder(t)
	vectors, err := e.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if got, want := len(vectors[i]), e.Dim(); got != want {
			t.Errorf("%.40q: got %d values, want %d", text, got, want)
		}
		if got, want := math.Sqrt(dot(vectors[i], vectors[i])), 1.0; !(math.Abs(got-want) < 1e-5) {
			t.Errorf("%.40q: length got %v, want %v", text, got, want)
		}
		if diff := cmp.Diff(embedOne(t, text), vectors[i]); diff != "" {
			t.Errorf("%.40q: alone and in a batch differ", text)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	texts := []string{"create payment", "list calendar events", "", "read a file", "open a pull request"}
	e := encoder(t)
	want, err := e.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			got, err := e.Embed(t.Context(), texts)
			if err != nil || !cmp.Equal(got, want) {
				t.Errorf("got other vectors than alone, error %v", err)
			}
		})
	}
	wg.Wait()
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := encoder(t).Embed(ctx, []string{"create payment"})
	if want := context.Canceled; got != nil || !errors.Is(err, want) {
		t.Errorf("got %v, %v, want no vectors and %v", got, err, want)
	}
	if got, err := encoder(t).Embed(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("no texts: got %v, %v, want nothing", got, err)
	}
}

func TestHostileTextIsBounded(t *testing.T) {
	const size = 10 << 20
	for name, text := range map[string]string{
		"one letter":      strings.Repeat("a", size),
		"invalid UTF-8":   strings.Repeat("\xff", size),
		"continuations":   strings.Repeat("\x80", size),
		"combining marks": "a" + strings.Repeat("\u0301", size/2),
		"expanding":       strings.Repeat("\ufdfa", size/3),
		"white space":     strings.Repeat(" \n", size/2),
		"nul":             strings.Repeat("\x00", size),
		"dashes":          strings.Repeat("-", size),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			v := embedOne(t, text)
			if got, want := time.Since(start), time.Minute; got > want {
				t.Errorf("took %v, want less than %v", got, want)
			}
			if got, want := dot(v, v), 1.0; !(math.Abs(got-want) < 1e-5) {
				t.Errorf("length got %v, want %v", got, want)
			}
		})
	}
}

func FuzzTokenizer(f *testing.F) {
	for _, ref := range references(f) {
		f.Add(ref.Text)
	}
	f.Add("\xff\xfe\x80 \u0301\u0301 \U0010ffff")
	tok := encoder(f).tokenizer
	f.Fuzz(func(t *testing.T, text string) {
		ids := tok.encode(clean(text), 128)
		if len(ids) < 2 || len(ids) > 128 || ids[0] != tok.start || ids[len(ids)-1] != tok.end {
			t.Fatalf("got %v, want at most 128 tokens between start and end", ids)
		}
		for i, id := range ids[1 : len(ids)-1] {
			if id < 0 || id >= tok.n || id == tok.start || id == tok.end {
				t.Errorf("token %d is %d, want a piece of the vocabulary", i+1, id)
			}
		}
		if again := clean(clean(text)); again != clean(text) {
			t.Errorf("clean: got %q the second time, want %q", again, clean(text))
		}
	})
}

func BenchmarkEmbed20Tokens(b *testing.B)  { benchmark(b, 20) }
func BenchmarkEmbed120Tokens(b *testing.B) { benchmark(b, 120) }

func benchmark(b *testing.B, tokens int) {
	texts := []string{strings.Repeat("word ", tokens-2)}
	e := encoder(b)
	if got, want := len(e.tokens(texts[0])), tokens; got != want {
		b.Fatalf("got %d tokens, want %d", got, want)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Embed(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEmbed20TokensPlainGo(b *testing.B) {
	e, err := load(weights, portable)
	if err != nil {
		b.Fatal(err)
	}
	text := []string{strings.Repeat("word ", 18)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Embed(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(); err != nil {
			b.Fatal(err)
		}
	}
}

func cosine(a, b []float32) float64 {
	return dot(a, b) / math.Sqrt(dot(a, a)*dot(b, b))
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
