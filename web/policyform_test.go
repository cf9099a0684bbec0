package web

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"remit/persona"
	"remit/policy"
)

const payDefinition = `{"name":"pay","inputSchema":{"type":"object","properties":{"to":{"type":"string"},"amount":{"type":"number"},"a/b~c":{"type":"string"},"options":{"type":"object"}}}}`

// everyField has a policy with every field that the form knows, and values that are easily lost.
const everyField = `{
	"limits":[{"calls":20,"per":"day"},{"calls":2,"per":"second","by":"key"},{"calls":3,"per":"hour","by":"persona"},{"calls":9,"per":"minute","by":"tool"}],
	"concurrent":3,
	"arguments":[{"path":"/to","const":"#ops"},{"path":"/to","enum":["a b","\"quoted\""," 5 ","7","","line\nbreak","<&>"]},{"path":"/to","enum":["one"]},{"path":"/to","const":7},
		{"path":"/amount","minimum":1.50,"maximum":1e2,"optional":true},{"path":"/a~1b~0c","max_length":5,"pattern":" a|(?:b c)\\\\ "},{"path":"/options","const":{"a":[1,"x"]}},
		{"path":"/options/deep","forbidden":true},{"path":"/options"},{"path":"/options","enum":["text",null,true,12345678901234567890]},{"path":"/to","const":"a\u0062"}],
	"conditions":[{"cel":"args.amount < 5.0\n&& args.to != \"\"","message":"too much,\nreally"},{"cel":"true"}],
	"hours":[{"days":["fri","Mon"],"from":"08:00","to":"24:00","zone":"Europe/Berlin"},{"from":"22:00","to":"06:00"}],
	"tasks":true,"mask":[{"detector":"email","mode":"redact"},{"pattern":"x+","mode":"hash"},{"path":"/customer/iban","mode":"block"},{"detector":"iban","mode":"report"}],
	"max_result_bytes":1000,"timeout_seconds":5}`

func payGrant(t *testing.T, text string) persona.Grant {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return persona.Grant{Pin: persona.Pin{Tool: "bank/pay", Definition: json.RawMessage(payDefinition)}, Name: "pay", Policy: p}
}

// sent is what a browser sends of a form that nobody touched.
func sent(f policyForm) url.Values {
	v := url.Values{formMark(f.Tool): {"1"}, textField(f.Tool): {strings.ReplaceAll(f.Text, "\n", "\r\n")}}
	add := func(field formField) {
		switch field.Kind {
		case "select":
			on := max(0, slices.IndexFunc(field.Options, func(o formOption) bool { return o.On }))
			v.Set(field.Name, field.Options[on].Value)
		case "days":
			for _, o := range field.Options {
				if o.On {
					v.Add(field.Name, o.Value)
				}
			}
		case "code", "lines":
			v.Set(field.Name, strings.ReplaceAll(field.Value, "\n", "\r\n"))
		default:
			v.Set(field.Name, strings.NewReplacer("\n", "", "\r", "").Replace(field.Value))
		}
	}
	for _, s := range f.Sections {
		for _, r := range s.Rows {
			for _, field := range r.Fields {
				add(field)
			}
		}
	}
	for _, field := range f.Totals {
		add(field)
	}
	for _, o := range f.Asks {
		if o.On {
			v.Add(f.AskName, o.Value)
		}
	}
	return v
}

func TestPolicyFormKeepsEverything(t *testing.T) {
	g := payGrant(t, everyField)
	f := newPolicyForm("p", 1, g)
	back, p, ok := readPolicyForm(sent(f), "p", 1, g)
	if !ok {
		t.Fatalf("got %+v", back)
	}
	if diff := cmp.Diff(policyText(g.Policy), policyText(p)); diff != "" {
		t.Errorf("(-stored +saved):\n%s", diff)
	}
	if diff := cmp.Diff(f, back); diff != "" {
		t.Errorf("the form changed (-shown +read):\n%s", diff)
	}
	for _, list := range []any{g.Policy.Limits, g.Policy.Arguments, g.Policy.Conditions, g.Policy.Hours, g.Policy.Mask} {
		v := reflect.ValueOf(list)
		for i := range v.Type().Elem().NumField() {
			set := false
			for k := range v.Len() {
				set = set || !v.Index(k).Field(i).IsZero()
			}
			if !set {
				t.Errorf("no rule of this test has %s.%s", v.Type().Elem(), v.Type().Elem().Field(i).Name)
			}
		}
	}
}

// What the fields do not know of a policy is not lost when they are saved.
func TestPolicyFormKeepsWhatItDoesNotKnow(t *testing.T) {
	known := []string{"Limits", "Concurrent", "Arguments", "Conditions", "Hours", "Mask", "MaxResultBytes", "TimeoutSeconds", "Tasks"}
	g := payGrant(t, everyField)
	want := reflect.ValueOf(&g.Policy).Elem()
	for i := range want.NumField() {
		if !slices.Contains(known, want.Type().Field(i).Name) {
			fill(want.Field(i), 7)
		}
	}
	form := sent(newPolicyForm("p", 1, g))
	form.Set("concurrent:bank/pay", "4")
	f := emptyPolicyForm("p", 1, g)
	got, _ := f.readFields(form, g)
	g.Policy.Concurrent = 4
	if diff := cmp.Diff(policyText(g.Policy), policyText(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPolicyFormProblems(t *testing.T) {
	g := payGrant(t, `{"limits":[{"calls":5,"per":"day"}]}`)
	for _, tc := range []struct {
		name  string
		typed url.Values // beside what is stored
		want  string     // the problem; empty when it is saved
		at    string     // the field that is marked
		saved string
	}{
		{"a limit is added", url.Values{"limits:1:calls:bank/pay": {" 2 "}, "limits:1:per:bank/pay": {"hour"}}, "", "", `{"limits":[{"calls":5,"per":"day"},{"calls":2,"per":"hour"}]}`},
		{"rows may have gaps", url.Values{"limits:9:calls:bank/pay": {"2"}, "limits:9:per:bank/pay": {"hour"}}, "", "", `{"limits":[{"calls":5,"per":"day"},{"calls":2,"per":"hour"}]}`},
		{"an empty row is none", url.Values{"limits:1:calls:bank/pay": {""}, "limits:1:per:bank/pay": {"day"}, "mask:0:detector:bank/pay": {""}, "mask:0:mode:bank/pay": {"redact"}}, "", "", `{"limits":[{"calls":5,"per":"day"}]}`},
		{"a row is emptied", url.Values{"limits:0:calls:bank/pay": {""}}, "", "", `{}`},
		{"no number", url.Values{"limits:0:calls:bank/pay": {"five"}}, `"five" is no whole number`, "limits:0:calls", ""},
		{"out of range", url.Values{"limits:0:calls:bank/pay": {"0"}}, "calls are 1 to 10000", "limits:0:calls", ""},
		{"no period", url.Values{"limits:0:per:bank/pay": {"week"}}, `not "week"`, "limits:0:per", ""},
		{"a text as value", url.Values{"arguments:0:path:bank/pay": {"/to"}, "arguments:0:values:bank/pay": {"#ops\r\n5\r\n"}}, "", "", `{"limits":[{"calls":5,"per":"day"}],"arguments":[{"path":"/to","enum":["#ops","5"]}]}`},
		{"a number as value", url.Values{"arguments:0:path:bank/pay": {"/amount"}, "arguments:0:values:bank/pay": {"5"}}, "", "", `{"limits":[{"calls":5,"per":"day"}],"arguments":[{"path":"/amount","const":5}]}`},
		{"no such argument", url.Values{"arguments:0:path:bank/pay": {"/nobody"}}, `no argument "nobody"`, "arguments:0:path", ""},
		{"no pointer", url.Values{"arguments:0:path:bank/pay": {"to"}}, `not "to"`, "arguments:0:path", ""},
		{"no pattern", url.Values{"arguments:0:path:bank/pay": {"/to"}, "arguments:0:pattern:bank/pay": {"("}}, "no regular expression", "arguments:0:pattern", ""},
		{"no maximum", url.Values{"arguments:0:path:bank/pay": {"/amount"}, "arguments:0:maximum:bank/pay": {"much"}}, `"much" is no number`, "arguments:0:maximum", ""},
		{"a number too long", url.Values{"arguments:0:path:bank/pay": {"/amount"}, "arguments:0:maximum:bank/pay": {"1e999999"}}, "compared", "", ""},
		{"no CEL", url.Values{"conditions:0:cel:bank/pay": {"args.amount <"}}, "line 1, column", "conditions:0:cel", ""},
		{"only a message", url.Values{"conditions:0:message:bank/pay": {"why"}}, "the expression is empty", "conditions:0:cel", ""},
		{"no hour", url.Values{"hours:0:from:bank/pay": {"8"}, "hours:0:to:bank/pay": {"18:00"}}, `not "8"`, "hours:0:from", ""},
		{"no zone", url.Values{"hours:0:from:bank/pay": {"08:00"}, "hours:0:to:bank/pay": {"18:00"}, "hours:0:zone:bank/pay": {"Atlantis"}}, `"Atlantis"`, "hours:0:zone", ""},
		{"no day", url.Values{"hours:0:from:bank/pay": {"08:00"}, "hours:0:to:bank/pay": {"18:00"}, "hours:0:days:bank/pay": {"someday"}}, `not "someday"`, "", ""},
		{"two masks in one", url.Values{"mask:0:detector:bank/pay": {"email"}, "mask:0:path:bank/pay": {"/x"}, "mask:0:mode:bank/pay": {"redact"}}, "one of detector", "", ""},
		{"a hostile detector", url.Values{"mask:0:detector:bank/pay": {`"><script>`}, "mask:0:mode:bank/pay": {"redact"}}, "there is no detector", "", ""},
		{"a total", url.Values{"timeout_seconds:bank/pay": {"30"}}, "", "", `{"limits":[{"calls":5,"per":"day"}],"timeout_seconds":30}`},
		{"no total", url.Values{"timeout_seconds:bank/pay": {"-3"}}, "timeout_seconds is 0 to 3600", "timeout_seconds", ""},
		{"as text", url.Values{"policy:bank/pay": {`{"concurrent":2}`}}, "", "", `{"concurrent":2}`},
		{"as text, emptied", url.Values{"policy:bank/pay": {" "}}, "", "", `{}`},
		{"as wrong text", url.Values{"policy:bank/pay": {`{"concurrent":"2"}`}}, "not valid", "", ""},
		{"both ways", url.Values{"policy:bank/pay": {`{"concurrent":2}`}, "timeout_seconds:bank/pay": {"30"}}, "undo one of the two", "", ""},
		{"both ways, one wrong", url.Values{"policy:bank/pay": {`{"concurrent":2}`}, "timeout_seconds:bank/pay": {"x"}}, "undo one of the two", "", ""},
		{"more rules than a policy takes", manyLimits(), "over the limit of 32", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			form := sent(newPolicyForm("p", 1, g))
			for name, value := range tc.typed {
				form[name] = slices.Clone(value)
			}
			f, p, ok := readPolicyForm(form, "p", 1, g)
			if ok != (tc.want == "") {
				t.Fatalf("saved %v, %+v", ok, f)
			}
			if ok {
				want, err := policy.Parse([]byte(tc.saved))
				if diff := cmp.Diff(policyText(want), policyText(p)); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				return
			}
			problems, marked := f.Problem, ""
			for _, s := range f.Sections {
				for _, r := range s.Rows {
					problems += r.Problem
					for _, field := range r.Fields {
						if field.Bad != "" {
							marked += field.Name + " "
						}
					}
				}
			}
			for _, field := range f.Totals {
				if field.Bad != "" {
					marked += field.Name + " "
				}
			}
			if !strings.Contains(problems, tc.want) || !strings.Contains(marked, tc.at) || tc.at != "" && strings.Count(marked, " ") != 1 {
				t.Errorf("got %q at %q, want %q at %q", problems, marked, tc.want, tc.at)
			}
			again := sent(f)
			for name, value := range tc.typed {
				if got := again.Get(name); strings.TrimSpace(got) != strings.TrimSpace(value[0]) && name != "hours:0:days:bank/pay" {
					t.Errorf("%s: %q came back for %q", name, got, value[0])
				}
			}
		})
	}
}

func manyLimits() url.Values {
	v := url.Values{}
	for i := range 33 {
		v[fieldName("limits", i, "calls", "bank/pay")], v[fieldName("limits", i, "per", "bank/pay")] = []string{"5"}, []string{"day"}
	}
	return v
}
