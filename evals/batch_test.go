package evals_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"remit/catalog"
	"remit/composer"
	"remit/evals"
	"remit/persona"
)

const shop = `{"id":"shop:list","server":"shop","name":"list_invoices","description":"Lists the invoices of a customer."}
{"id":"shop:refund","server":"shop","name":"refund_payment","description":"Refunds a payment."}
{"id":"POST /mail","server":"","name":"POST /mail","description":"Sends an email."}
{"server":"crm","name":"get_customer","description":"Looks up a customer."}
`

// indexed is a file of tools and the catalog of it, searched by words.
func indexed(t *testing.T, lines string) (*evals.ToolFile, *catalog.Catalog) {
	t.Helper()
	tools, err := evals.LoadTools(written(t, "tools.jsonl", lines), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(catalog.Config{})
	if err := c.Replace(tools.Tools, nil); err != nil {
		t.Fatal(err)
	}
	return tools, c
}

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBatchReadsNoLabel: without labels and with labels of any type the output is the same to the byte.
func TestBatchReadsNoLabel(t *testing.T) {
	tools, c := indexed(t, shop)
	outputs := func(labels string) string {
		lines := `{"id":"a","job":"List the invoices of a customer.","query":"list invoices"` + labels + "}\n" +
			`{"id":"b","job":"Send an email, and water the plants.","query":"send an email"` + labels + "}\n"
		path := written(t, "suite.jsonl", lines)
		var out bytes.Buffer
		jobs, err := evals.LoadTexts(path, "job")
		if err != nil {
			t.Fatal(err)
		}
		queries, err := evals.LoadTexts(path, "query")
		if err != nil {
			t.Fatal(err)
		}
		b := evals.Batch{Tools: tools}
		if err := errors.Join(b.Draft(t.Context(), jobs, composer.New(composer.Config{Finder: c}), &out), b.Rank(t.Context(), queries, 2, c, &out)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	want := outputs("")
	for _, labels := range []string{
		`,"needs":[{"need":"list","any_of":["shop:list"]}],"forbidden":["shop:refund"],"gold":["shop:list"],"tags":["x"]`,
		`,"needs":7,"may":"all","forbidden":{"a":[null]},"gaps":false,"tags":1e99,"gold":{},"Job":"refund everything","ID":3,"paraphrases":"x"`,
	} {
		if got := outputs(labels); got != want {
			t.Errorf("labels %s: got\n%s, want\n%s", labels, got, want)
		}
	}
	for _, part := range []string{`{"id":"a","tools":["shop:list"`, `"POST /mail"`, `{"id":"a","ranked":["shop:list"`} {
		if !strings.Contains(want, part) {
			t.Errorf("got %s without %s", want, part)
		}
	}
}

type oneDraft composer.Draft

func (d oneDraft) Compose(context.Context, string) (composer.Draft, error) {
	return composer.Draft(d), nil
}

// TestBatchDraftGaps: a gap is written as the words of the job.
func TestBatchDraftGaps(t *testing.T) {
	tools, _ := indexed(t, shop)
	job := evals.Text{ID: "a", Text: "Get customers & water the <plants>."}
	draft := oneDraft{Choices: []composer.Choice{{Tool: "crm/get_customer"}}, Gaps: []composer.Gap{{Words: persona.Span{Start: 16, End: 34}}}}
	var out bytes.Buffer
	if err := (evals.Batch{Tools: tools}).Draft(t.Context(), []evals.Text{job}, draft, &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), `{"id":"a","tools":["crm/get_customer"],"gaps":["water the <plants>"]}`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBatchNotesWhatHasNoAnswer(t *testing.T) {
	tools, c := indexed(t, shop)
	var notes []string
	b := evals.Batch{Tools: tools, Note: func(text string) { notes = append(notes, text) }}
	var out bytes.Buffer
	job := []evals.Text{{ID: "a", Text: "!!!"}}
	if err := errors.Join(b.Draft(t.Context(), job, composer.New(composer.Config{Finder: c}), &out), b.Rank(t.Context(), job, 5, c, &out)); err != nil {
		t.Fatal(err)
	}
	want := `{"id":"a","tools":[],"gaps":[]}` + "\n" + `{"id":"a","ranked":[]}` + "\n"
	if got := out.String(); got != want || len(notes) != 2 {
		t.Errorf("got %s and notes %q, want %s and two notes", got, notes, want)
	}
}

func TestLoadTextsRefuses(t *testing.T) {
	for _, tc := range []struct{ name, lines, want string }{
		{"no JSON", "{\"id\":\"a\",\"job\":\"x\"}\n\n{nope", ":3:"},
		{"twice", "{\"id\":\"a\",\"job\":\"x\"}\n{\"id\":\"a\",\"job\":\"y\"}", `:2: there is a case "a" already`},
		{"no id", `{"job":"x"}`, `:1: a case needs the members "id" and "job"`},
		{"number", `{"id":1,"job":"x"}`, `:1: a case needs`},
		{"empty", "\n", "holds no case"},
	} {
		if _, err := evals.LoadTexts(written(t, "s.jsonl", tc.lines), "job"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", tc.name, err, tc.want)
		}
	}
}

// TestWriteFile: what does not end well leaves the file as it was, and nothing beside it.
func TestWriteFile(t *testing.T) {
	path := written(t, "out", "before")
	ctx, cancel := context.WithCancel(t.Context())
	err := evals.WriteFile(path, nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		cancel()
		return errors.Join(err, ctx.Err())
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	for _, want := range []string{"before", "whole"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
		if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
			t.Errorf("got %d files and %v, want 1", len(files), err)
		}
		if err := evals.WriteFile(path, nil, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }); err != nil {
			t.Fatal(err)
		}
	}
}
