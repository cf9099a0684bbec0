package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"remit/audit"
	"remit/credential"
	"remit/store"
)

// Sealed records are written over the version that was read, with the key in use, or not at all.
func sealed(t *testing.T, e engine) {
	ctx := t.Context()
	s := e.open(t)
	defer s.Close()
	place := credential.Place{Kind: "connection", Name: "crm", Owner: "ada"}
	change := func(kind string) *audit.Entry { e := entry(kind); return &e }
	if k, err := s.Seal(ctx); err != nil || k.KeyID != "" {
		t.Fatalf("no key yet: got %+v, %v", k, err)
	}
	if err := s.Rekey(ctx, "", credential.Seal{KeyID: "k1", Proof: []byte("p1")}, nil, entry("secret.key")); err != nil {
		t.Fatal(err)
	}
	if err := s.Rekey(ctx, "", credential.Seal{KeyID: "k0", Proof: []byte("p0")}, nil, entry("secret.key")); !errors.Is(err, credential.ErrKeyMoved) {
		t.Errorf("a second first key: got %v", err)
	}
	record := func(version int64, body string) credential.Sealed {
		r := credential.Sealed{Place: place, Version: version}
		if body != "" {
			r.Body = []byte(body)
		}
		return r
	}
	for _, c := range []struct {
		name, key string
		r         credential.Sealed
		want      error
	}{
		{"delete what is not there", "k1", record(0, ""), credential.ErrMoved},
		{"change what is not there", "k1", record(1, "x"), credential.ErrMoved},
		{"with another key", "k0", record(0, "x"), credential.ErrKeyMoved},
		{"new", "k1", record(0, "a"), nil},
		{"new, and there is one", "k1", record(0, "b"), credential.ErrMoved},
		{"over it", "k1", record(1, "b"), nil},
		{"over the one before", "k1", record(1, "c"), credential.ErrMoved},
		{"delete the one before", "k1", record(1, ""), credential.ErrMoved},
	} {
		if err := s.Reseal(ctx, c.key, c.r, change("test."+c.name)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	got, err := s.Sealed(ctx, place)
	if diff := cmp.Diff(credential.Sealed{Place: place, Version: 2, Body: []byte("b")}, got, cmpopts.IgnoreFields(credential.Sealed{}, "Changed")); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
	entries, err := s.Entries(ctx, audit.Query{Limit: 10})
	if err != nil || len(entries) != 3 {
		t.Errorf("got %d entries, %v, want that of the key and of two changes", len(entries), err)
	}
	if _, err := s.Sealed(ctx, credential.Place{Kind: "connection", Name: "crm", Owner: "bob"}); !errors.Is(err, credential.ErrNone) {
		t.Errorf("another owner: got %v", err)
	}

	// Of two who take a record, one gets it; and what has expired goes with the next write.
	once := credential.Sealed{Place: credential.Place{Kind: "connecting", Name: "s", Owner: "ada"}, Body: []byte("x"), Expires: time.Now().Add(time.Hour)}
	past := credential.Sealed{Place: credential.Place{Kind: "connecting", Name: "t", Owner: "ada"}, Body: []byte("x"), Expires: time.Now().Add(-time.Hour)}
	for _, r := range []credential.Sealed{past, once} {
		if err := s.Reseal(ctx, "k1", r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.SealedOf(ctx, "connecting", "ada"); err != nil || len(all) != 1 || all[0].Name != "s" {
		t.Errorf("got %v, %v, want the one that has not expired", all, err)
	}
	var took atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := s.TakeSealed(ctx, once.Place); err == nil {
				took.Add(1)
			} else if !errors.Is(err, credential.ErrNone) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if took.Load() != 1 {
		t.Errorf("%d took it", took.Load())
	}
	rekeyed(t, s, place)
}

// rekeyed checks that a new key changes every record or none.
func rekeyed(t *testing.T, s *store.Store, place credential.Place) {
	ctx := t.Context()
	gone := credential.Sealed{Place: credential.Place{Kind: "connection", Name: "crm", Owner: "bob"}, Body: []byte("damaged")}
	if err := s.Reseal(ctx, "k1", gone, nil); err != nil {
		t.Fatal(err)
	}
	to := credential.Seal{KeyID: "k2", Proof: []byte("p2")}
	broken := errors.New("broken")
	if err := s.Rekey(ctx, "k1", to, func(credential.Sealed) ([]byte, error) { return nil, broken }, entry("secret.key")); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if k, err := s.Seal(ctx); err != nil || k.KeyID != "k1" {
		t.Errorf("a new key that failed: got %+v, %v", k, err)
	}
	err := s.Rekey(ctx, "k1", to, func(r credential.Sealed) ([]byte, error) {
		if string(r.Body) == "damaged" {
			return nil, nil
		}
		return append([]byte("new "), r.Body...), nil
	}, entry("secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Sealed(ctx, place); err != nil || string(got.Body) != "new b" || got.Version != 3 {
		t.Errorf("got %q in version %d, %v", got.Body, got.Version, err)
	}
	if _, err := s.Sealed(ctx, gone.Place); !errors.Is(err, credential.ErrNone) {
		t.Errorf("what could not be changed: got %v", err)
	}
	if err := s.Reseal(ctx, "k1", credential.Sealed{Place: place, Version: 3, Body: []byte("x")}, nil); !errors.Is(err, credential.ErrKeyMoved) {
		t.Errorf("the old key: got %v", err)
	}
}
