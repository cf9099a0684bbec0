package policy

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	var p Policy
	if err := json.Unmarshal([]byte(`{"limits":[{"calls":20,"per":"day"},{"calls":2,"per":"second","by":"key"}],"concurrent":3,
		"arguments":[{"path":"/channel","const":"#ops"},{"path":"/amount","minimum":1,"maximum":100,"optional":true},{"path":"/bcc","forbidden":true},{"path":"/filter","max_length":9}],
		"hours":[{"days":["mon","fri"],"from":"08:00","to":"18:00"}],"mask":[{"detector":"email","mode":"redact"},{"path":"/iban","mode":"block"}],
		"max_result_bytes":1000,"timeout_seconds":5,"conditions":[{"cel":"args.amount < 5"}],
		"tasks":true,"approval":{"minutes":15,"when":"args.amount > 3"}}`), &p); err != nil {
		t.Fatal(err)
	}
	want := []string{"LETS ITS SERVER WORK ON AFTER THE CALL, as a task: the agent fetches the result later, and no time of a call bounds the work",
		"mon, fri from 08:00 to 18:00 UTC only", `/channel is "#ops"`, "/amount at least 1, at most 100, or is left out", "/bcc is not given",
		"/filter at most 9 characters", "only if args.amount < 5", "a person approves each call, within 15 min, where args.amount > 3 is true or cannot be told", "at most 20 a day", "at most 2 a second for each key", "at most 3 at once", "at most 5 s a call",
		"results of at most 1000 bytes", "hides email", "withholds answers with /iban"}
	if got := p.Words(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if !(Policy{}).IsZero() || p.IsZero() || (Policy{Tasks: true}).IsZero() {
		t.Error("IsZero is wrong")
	}
}
