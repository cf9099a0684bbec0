package store_test

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/audit"
	"remit/store"
)

// A migration that is not there for every engine, under the same name, would leave one of them behind.
func TestMigrationsComeInPairs(t *testing.T) {
	files := func(engine string) (names []string) {
		found, err := fs.Glob(os.DirFS("migrations/"+engine), "*")
		if err != nil || len(found) == 0 {
			t.Fatal(found, err)
		}
		return found
	}
	if diff := cmp.Diff(files("sqlite"), files("postgres")); diff != "" {
		t.Errorf("migrations of sqlite (-) and postgres (+) differ; write the missing ones under the same names: %s", diff)
	}
}

// elsewhere is what one engine has alone: its own tables, the limits that only replicas share, the time that divides the record into parts, and
// the number of an entry in its indexes, which in SQLite is the row's.
var elsewhere = regexp.MustCompile(`goose_db_version|sqlite_sequence|^(table|key|index) (counting|counted|counted_at|running|question)\.|^key audit\.time |^index audit_\w+\.seq `)

// Both engines have the same tables, columns, keys and indexes at the end.
func TestSchemasAreTheSame(t *testing.T) {
	var got [2][]string
	for i, e := range engines(t) {
		e.open(t).Close()
		db := e.raw(t)
		for _, query := range map[string][]string{
			"sqlite": {
				`select m.type || ' ' || m.name || '.' || c.name || ' ' || (c."notnull" or m.type = 'table' and c.pk > 0) || ' ' || coalesce(c.dflt_value, '') from sqlite_schema m, pragma_table_info(m.name) c where m.type in ('table', 'view')`,
				`select 'key ' || m.name || '.' || c.name || ' ' || c.pk from sqlite_schema m, pragma_table_info(m.name) c where c.pk > 0`,
				`select 'index ' || l.name || '.' || i.name || ' ' || l."unique" from sqlite_schema m, pragma_index_list(m.name) l, pragma_index_info(l.name) i where l.origin = 'c'`,
				`select 'trigger ' || name from sqlite_schema where type = 'trigger'`,
			},
			"postgres": {
				`select case r.relkind when 'v' then 'view' else 'table' end || ' ' || r.relname || '.' || a.attname || ' ' || a.attnotnull::int || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
					from pg_class r join pg_attribute a on a.attrelid = r.oid left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
					where r.relnamespace = 'public'::regnamespace and r.relkind in ('r', 'v', 'p') and not r.relispartition and a.attnum > 0 and not a.attisdropped`,
				`select 'key ' || r.relname || '.' || a.attname || ' ' || array_position(x.indkey::int[], a.attnum::int) + 1 from pg_index x join pg_class r on r.oid = x.indrelid
					join pg_attribute a on a.attrelid = r.oid and a.attnum = any (x.indkey) where x.indisprimary and not r.relispartition and r.relnamespace = 'public'::regnamespace`,
				`select 'index ' || i.relname || '.' || a.attname || ' ' || x.indisunique::int from pg_index x join pg_class i on i.oid = x.indexrelid
					join pg_attribute a on a.attrelid = x.indrelid and a.attnum = any (x.indkey) where not x.indisprimary and not i.relispartition and i.relnamespace = 'public'::regnamespace`,
				`select 'trigger ' || tgname from pg_trigger where not tgisinternal and tgname not like 'tell\_%'`,
			},
		}[e.name] {
			rows, err := db.Query(query)
			for err == nil && rows.Next() {
				var line string
				if err = rows.Scan(&line); err == nil && !elsewhere.MatchString(line) {
					got[i] = append(got[i], plain(line))
				}
			}
			if err != nil {
				t.Fatal(query, err)
			}
		}
		slices.Sort(got[i])
	}
	if len(got[0]) < 150 {
		t.Fatalf("only %d lines were found", len(got[0]))
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("schemas of sqlite (-) and postgres (+) differ: %s", diff)
	}
}

// plain drops how the engines spell the same: the type of a default, and that a key is never null.
func plain(line string) string {
	line = regexp.MustCompile(`::[a-z]+|nextval.*`).ReplaceAllString(line, "")
	return strings.TrimSpace(line)
}

// Ten replicas that start at once on an empty database all open it, and their writes make one chain.
func TestTenStartAtOnce(t *testing.T) {
	e := engines(t)[1]
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			s, err := store.Open(t.Context(), e.where)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Append(t.Context(), entry("x")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := e.open(t)
	defer s.Close()
	if head, err := s.Verify(t.Context()); err != nil || head.Seq != 10 {
		t.Errorf("got %v, %v, want ten entries", head, err)
	}
}

// Who opens the tables of an earlier version hears of it before they are changed, since that may take minutes; nobody else does.
func TestUpgradeIsTold(t *testing.T) {
	for _, e := range engines(t) {
		var told []string
		upgrading := func(from, to int64) {
			var is int64
			if err := e.raw(t).QueryRow("select max(version_id) from goose_db_version").Scan(&is); err != nil || is != from {
				t.Errorf("%s: told of version %d, and the tables have %d, %v", e.name, from, is, err)
			}
			told = append(told, fmt.Sprintf("%d to later: %t", from, to > from))
		}
		for start := range 3 {
			s, err := store.Open(t.Context(), e.where, upgrading)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if start == 0 {
				downgrade(t, e, 20)
			}
		}
		if want := []string{"20 to later: true"}; !slices.Equal(told, want) {
			t.Errorf("%s: told %q, want %q", e.name, told, want)
		}
	}
}

// An older Remit does not open what a newer one has changed, and leaves it as it is.
func TestNewerTables(t *testing.T) {
	for _, e := range engines(t) {
		e.open(t).Close()
		db := e.raw(t)
		if _, err := db.Exec("insert into goose_db_version (version_id, is_applied) values ($1, $2)", 9999, true); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(t.Context(), e.where)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "a newer Remit has changed its tables (version 9999, this one knows") || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%s: got %v, want a refusal with the next step", e.name, err)
		}
		if _, err := db.Exec("delete from goose_db_version where version_id = $1", 9999); err != nil {
			t.Fatal(err)
		}
		e.open(t).Close()
	}
}

// Errors say which database, what to do, and no password.
func TestDatabaseThatIsNotThere(t *testing.T) {
	for where, want := range map[string]string{
		"postgres://remit:hunter2@127.0.0.1:1/remit": "postgres://127.0.0.1:1/remit",
		"postgres://remit:hunter2@127.0.0.1:port/x":  "write postgres://user:password@host:5432/name",
		"postgresql://%zz:hunter2@/":                 "write postgres://user:password@host:5432/name",
		"/proc/none/remit.db":                        "/proc/none/remit.db",
	} {
		s, err := store.Open(t.Context(), where)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error with %s", where, err, want)
		}
	}
}

// text that a database cannot hold is recorded all the same, and takes no other entry with it.
func hostileText(t *testing.T, e engine) {
	s := e.open(t)
	defer s.Close()
	ctx := t.Context()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			a := audit.Entry{Kind: audit.ToolCall, Tool: "a\x00b", Call: audit.Call{Client: "\xff" + fmt.Sprint(i), Trace: "\ufeff"}, Decision: audit.Refused, Reason: "\x00\xc3"}
			if i%2 == 0 {
				a = audit.Entry{Kind: audit.ToolCall, Tool: "crm/find", Decision: audit.Allowed}
			}
			ticket, err := s.Begin(ctx, a)
			if err == nil {
				err = s.Finish(ctx, ticket, a)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if head, err := s.Verify(ctx); err != nil || head.Seq != 20 {
		t.Errorf("got %v, %v, want 20 entries", head, err)
	}
}
