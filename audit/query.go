package audit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Query selects entries that fit all of what is given. The zero value selects the newest 100.
type Query struct {
	Persona, Agent, User, Person, Key, Kind string
	Without                                 []string // entries of these personas are left out
	Tool                                    string   // "server/tool", or the name that an agent made up
	Server                                  string   // all tools of it
	Policy                                  string   // the step that refused, or a rule in it: "policy" or "policy/hours"
	Client, Trace                           string
	Revision                                int // of whichever persona
	Decision                                Decision
	Shadow                                  int      // of entries with what this revision would have decided beside the live one
	ShadowDecision                          Decision // of the shadow, and its rule
	ShadowPolicy                            string
	Since, Until                            time.Time // from Since on and before Until; zero is open
	Before                                  int64     // sequence number; 0 means from the newest
	Limit                                   int       // default 100, at most 1,000; an export has none
}

// ParseTime reads a bound of a query: a day or a time in UTC ("2026-11-25", "2026-11-25T08:00:00Z"), or how long before
// now ("36h", "400d"). Nothing gives the zero time.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	hours, days := strings.CutSuffix(text, "d")
	if n, err := strconv.ParseUint(hours, 10, 16); days && err == nil {
		text = fmt.Sprint(n*24, "h")
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: give a day such as 2026-11-25, a time such as 2026-11-25T08:00:00Z, or how long ago, such as 36h or 30d", text)
}

// Tally counts the entries of calls that have a persona, a tool, a decision and a rule in common.
type Tally struct {
	Persona, Tool string
	Decision      Decision
	Policy        string
	Count         int
	Last          time.Time
}

// Forwarded says that the calls reached a server, or may have.
func (t Tally) Forwarded() bool { return t.Decision.Forwarded() }

// Shipped says how far the record was sent to a sink, a place outside that gets every entry.
type Shipped struct {
	Sink    string
	Upto    Head      // the last entry that the sink got
	Sent    time.Time // when
	Failed  time.Time // of the problem
	Problem string    // why nothing can be sent now; empty when something can
}
