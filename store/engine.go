package store

import (
	"database/sql"
	"strings"

	"github.com/pressly/goose/v3"
)

// engine is what differs between the databases; all other SQL is one text.
type engine struct {
	dialect goose.Dialect
	folder  string // of the migrations, which come in pairs: a file of the same name for each engine
	shared  bool   // whether several processes serve on it
	open    func(where string) (writer, reads *sql.DB, err error)
	name    func(where string) string // without its password
	lock    string                    // makes every other change wait for the end of this one; "" where the engine does so by itself
	size    string
	clock   string // of the database: microseconds since 1970
}

// engineOf tells a URL from a path.
func engineOf(where string) engine {
	if strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://") {
		return postgres
	}
	return sqlite
}
