package store_test

import (
	"errors"
	"testing"
	"time"

	"remit/catalog"
	"remit/catalog/crawl"
	"remit/store"
)

// A turn is one process's at a time; each taker has a greater fence, and with an older one nothing is written.
func TestTurns(t *testing.T) {
	e := engines(t)[1]
	a, b := e.open(t), e.open(t)
	defer a.Close()
	defer b.Close()
	ctx := t.Context()
	look := func(s *store.Store, wanted ...string) crawl.Turn {
		t.Helper()
		turns, err := s.Turns(ctx, wanted, time.Hour)
		if err != nil || len(turns) != 1 {
			t.Fatal(turns, err)
		}
		return turns[0]
	}
	save := func(s *store.Store, turn crawl.Turn, description string) error {
		_, err := s.SaveListing(ctx, turn, []catalog.Tool{tool(t, "crm", "find", description)}, noon)
		return err
	}
	first := look(a, "crm")
	if !first.Mine || !first.Died || first.Fence != 1 {
		t.Errorf("the first to want it: got %+v", first)
	}
	if got := look(b, "crm"); got.Mine || got.Free {
		t.Errorf("while another has it: got %+v", got)
	}
	asked, err := b.Ask(ctx, "crm")
	if err != nil || asked != 1 {
		t.Errorf("asked: %d, %v", asked, err)
	}
	if err := save(a, first, "one"); err != nil {
		t.Error(err)
	}
	if got := look(b); got.Kept != 1 || got.Answered != 0 || got.Listed.IsZero() {
		t.Errorf("a listing that began before it was asked for: got %+v", got)
	}
	if err := save(a, look(a), "one"); err != nil {
		t.Error(err)
	}
	if got := look(b); got.Kept != 1 || got.Answered != 1 {
		t.Errorf("a listing after that, of the same: got %+v", got)
	}
	first.Last = crawl.LastListing{Problem: "down", Unsteady: true, Changes: []time.Time{noon}}
	if err := a.Report(ctx, first, true); err != nil {
		t.Error(err)
	}
	if got := look(b); got.Last.Problem != "down" || !got.Last.Unsteady || len(got.Last.Changes) != 1 || got.Asked != 2 {
		t.Errorf("what was reported: got %+v", got)
	}
	if err := a.Yield(ctx, "crm"); err != nil {
		t.Error(err)
	}
	second := look(b, "crm")
	if !second.Mine || second.Died || second.Fence != 2 {
		t.Errorf("after it was yielded: got %+v", second)
	}
	if err := save(a, first, "late"); !errors.Is(err, crawl.ErrTurn) {
		t.Errorf("with the old fence: got %v", err)
	}
	if err := a.KeepVectors(ctx, first, "model", nil); !errors.Is(err, crawl.ErrTurn) {
		t.Errorf("vectors with the old fence: got %v", err)
	}
	if err := a.Report(ctx, first, false); err != nil || look(b).Asked != 2 {
		t.Errorf("a report with the old fence: %v", err)
	}
	if err := save(b, second, "two"); err != nil {
		t.Error(err)
	}
	if third, err := a.Take(ctx, "crm", time.Hour); err != nil || !third.Mine || third.Fence != 3 {
		t.Errorf("taken from another: got %+v, %v", third, err)
	}
	if _, err := e.raw(t).Exec("update crawl set expires = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Turns(ctx, nil, time.Hour); err != nil {
		t.Error(err)
	}
	if got := look(b, "crm"); !got.Mine || !got.Died || got.Fence != 4 {
		t.Errorf("of one that was not heard of: got %+v", got)
	}
	tools, err := a.Tools(ctx, "crm", "erp")
	if err != nil || len(tools) != 1 || tools[0].Description != "two" {
		t.Errorf("kept: %v, %v", tools, err)
	}
}
