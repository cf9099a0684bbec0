package composer_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"remit/catalog"
	"remit/composer"
	"remit/internal/strictjson"
	"remit/persona"
	"remit/policy"
)

// office is a catalog whose tools take what jobs speak of.
func office(t testing.TB) *catalog.Catalog {
	t.Helper()
	c := catalog.New(catalog.Config{})
	text := `{"type":"string"}`
	tool := func(server, name, about, required, properties string) catalog.Tool {
		return parsed(t, server, fmt.Sprintf(`{"name":%q,"description":%q,"inputSchema":{"type":"object","properties":{%s},"required":[%s]}}`, name, about, properties, required))
	}
	err := c.Replace([]catalog.Tool{
		tool("chirp", "post_message", "Post a message to a channel.", `"channel","text"`, `"channel":`+text+`,"channel_id":`+text+`,"text":`+text),
		tool("chirp", "read_messages", "Read the messages of a channel.", `"channel_name"`, `"channel_name":`+text),
		tool("mailroom", "send_email", "Send an email.", `"to","body"`, `"to":`+text+`,"cc":{"type":"array","items":{"type":"string"}},"bcc":`+text+`,"body":`+text),
		tool("forge", "create_issue", "Create an issue in a repository.", `"owner","repo","title"`, `"owner":`+text+`,"repo":`+text+`,"title":`+text),
		tool("forge", "list_issues", "List the issues of a repository.", `"owner","repo"`, `"owner":`+text+`,"repo":`+text),
		tool("disk", "write_file", "Write a file.", `"path","content"`, `"path":`+text+`,"content":`+text),
		tool("disk", "move_file", "Move a file.", `"source","destination"`, `"source":`+text+`,"destination":`+text),
		tool("till", "refund_payment", "Refund a payment.", `"payment","amount"`, `"payment":`+text+`,"amount":{"type":"integer","description":"in cents"},"currency":`+text),
		tool("bank", "transfer_money", "Transfer money to an account.", `"account","amount"`, `"account":`+text+`,"amount":{"type":"number"}`),
		tool("base", "run_query", "Run a SQL statement on the database.", `"sql"`, `"sql":`+text),
		tool("planora", "create_meeting", "Create a meeting.", `"start","title"`, `"start":`+text+`,"title":`+text),
		tool("crm", "update_customer", "Update a customer.", `"id"`, `"id":`+text+`,"note":`+text),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// said is what a draft has of rules and of open points, one a line.
func said(d composer.Draft) []string {
	var out []string
	for _, c := range d.Choices {
		for _, r := range c.Rules {
			out = append(out, fmt.Sprintf("%s: %s", c.Tool, r.Text))
		}
	}
	for _, o := range d.Open {
		out = append(out, fmt.Sprintf("open %s", d.Job[o.Words.Start:o.Words.End]))
	}
	slices.Sort(out)
	return out
}

const (
	readOps  = `chirp/read_messages: /channel_name is "#ops"`
	onlyID   = "chirp/post_message: /channel_id is not given"
	toAcme   = `mailroom/send_email: /to matches [A-Za-z0-9._+-]+@acme\.com`
	bccAcme  = `mailroom/send_email: /bcc matches [A-Za-z0-9._+-]+@acme\.com, or is left out`
	ccAcme   = `mailroom/send_email: only if !has(args.cc) || args.cc.all(v, v.matches(r"^(?:[A-Za-z0-9._+-]+@acme\.com)$"))`
	bccAlice = `mailroom/send_email: /bcc matches alice@acme\.com, or is left out`
	ccAlice  = `mailroom/send_email: only if !has(args.cc) || args.cc.all(v, v.matches(r"^(?:alice@acme\.com)$"))`
)

func TestRulesFromWords(t *testing.T) {
	c := office(t)
	for _, tc := range []struct {
		job  string
		want []string
	}{
		// Channels.
		{"Post a message to #ops.", []string{onlyID, `chirp/post_message: /channel is "#ops"`}},
		{"Post a message in the channel #ops.", []string{onlyID, `chirp/post_message: /channel is "#ops"`}},
		{"Post messages only in #ops.", []string{readOps, onlyID, `chirp/post_message: /channel is "#ops"`}},
		{"Post messages to #ops and #dev.", []string{onlyID, `chirp/post_message: /channel is one of "#ops", "#dev"`}},
		{"Post messages to #ops or #ops.", []string{onlyID, `chirp/post_message: /channel is "#ops"`}},
		{"Read the messages in #support and post a message to #ops.",
			[]string{onlyID, `chirp/post_message: /channel is "#ops"`, `chirp/read_messages: /channel_name is "#support"`}},
		{"Post messages to the chat. Only #ops.", []string{readOps, onlyID, `chirp/post_message: /channel is "#ops"`}},
		{"Do not post messages to #ops.", nil},
		{"Post a message to the team. Never post to #ops.", []string{"open #ops"}},
		{"Post a message, but never to #ops.", []string{"open #ops"}},
		{"Post messages to any channel except #ops.", []string{"open #ops"}},
		{"Post messages anywhere but not in #ops.", []string{"open #ops"}},
		{"Post messages to #ops and other channels.", []string{"open #ops"}},
		{"Post messages to all channels but #ops.", []string{"open #ops"}},
		{"Post a message to the team, and refrain from posting to #ops.", []string{"open #ops"}},
		{"Post a message (in `#ops`), \"}]}; {{.}} <script>", []string{onlyID, `chirp/post_message: /channel is "#ops"`}},
		{"Post a message to #ops, never to #general.", []string{onlyID, `chirp/post_message: /channel is "#ops"`}},
		{"Posting a message to #ops is forbidden.", []string{"open #ops"}},
		{"When somebody posts in #ops, update the customer.", nil},
		{"Update the customer in #ops.", []string{"open #ops"}},
		{"Post a message about issue #12.", nil},
		{"Post a message to the ops channel.", nil},
		{"Post a message to #ops. Post a message to the channel that the customer names.", []string{"open #ops"}},
		// E-mail, copies included.
		{"Send an email to alice@acme.com.", []string{bccAlice, `mailroom/send_email: /to is "alice@acme.com"`, ccAlice}},
		{"Send emails, only to @acme.com.", []string{bccAcme, toAcme, ccAcme}},
		{"Send emails. Only emails to @Acme.com.", []string{bccAcme, toAcme, ccAcme}},
		{"Send emails to people at acme.com.", []string{bccAcme, toAcme, ccAcme}},
		{"Send an email with the note from bob@other.example.", nil},
		{"Send emails, not to alice@acme.com.", []string{"open alice@acme.com"}},
		{"If a customer writes to support@acme.com, update the customer.", nil},
		{"Post a message to alice@acme.com.", []string{"open alice@acme.com"}},
		// Repositories.
		{"Create an issue, only in the repository acme/web.", []string{`forge/create_issue: /owner is "acme"`, `forge/create_issue: /repo is "web"`,
			`forge/list_issues: /owner is "acme"`, `forge/list_issues: /repo is "web"`}},
		{"Create issues in the repositories acme/web and acme/api.", []string{`forge/create_issue: /owner is "acme"`, `forge/create_issue: /repo is one of "web", "api"`}},
		{"Create issues in the acme/web repository.", []string{`forge/create_issue: /owner is "acme"`, `forge/create_issue: /repo is "web"`}},
		{"Create issues in the repositories acme/web and evil/api.", []string{"open acme/web", "open evil/api"}},
		{"Create an issue in the repository web.", nil},
		{"Create an issue about the and/or problem.", nil},
		{"Create issues in no repository acme/web.", []string{"open acme/web"}},
		// Folders.
		{"Write a file, only in the folder /srv/reports.", []string{`disk/write_file: /path matches /srv/reports(?:/\.?[A-Za-z0-9_-][A-Za-z0-9 _.-]*)*/?`}},
		{"Write files into /srv/reports/.", []string{`disk/write_file: /path matches /srv/reports(?:/\.?[A-Za-z0-9_-][A-Za-z0-9 _.-]*)*/?`}},
		{"Write files in the folder /srv/../etc.", []string{"open /srv/../etc"}},
		{"Move files, only within /srv/reports.", []string{"open /srv/reports"}},
		{"Write files everywhere except in /srv/reports.", []string{"open /srv/reports"}},
		// Amounts.
		{"Refund payments of up to 50 euros.", []string{"till/refund_payment: /amount at least 0, at most 5000", `till/refund_payment: /currency is one of "EUR", "eur"`}},
		{"Transfer money, at most $1,000.50.", []string{"bank/transfer_money: /amount at least 0, at most 1000.5"}},
		{"Transfer money. Never more than 100 USD.", []string{"bank/transfer_money: /amount at least 0, at most 100"}},
		{"Transfer money to the account, at most 100 dollars a day.", []string{"open at most 100 dollars"}},
		{"Transfer money to at most 5 accounts.", nil},
		{"Transfer at most 1.000 euros.", nil},
		{"Transfer money to the account, up to 50 euros or up to 60 dollars.", []string{"open up to 50 euros", "open up to 60 dollars"}},
		{"Update the customer, at most 50 euros.", nil},
		// Hours.
		{"Update the customer, between 8:00 and 18:00 Europe/Berlin.", []string{"crm/update_customer: from 08:00 to 18:00 Europe/Berlin only"}},
		{"Update the customer from 9 am to 5 pm on weekdays.", []string{"crm/update_customer: mon, tue, wed, thu, fri from 09:00 to 17:00 UTC only", "open from 9 am to 5 pm"}},
		{"Update the customer during working hours.", []string{"crm/update_customer: mon, tue, wed, thu, fri from 09:00 to 17:00 UTC only", "open during working hours"}},
		{"Update the customer from 3 to 5 times.", nil},
		{"Update the customer, on Mondays between 8:00 and 10:00.", []string{"open between 8:00 and 10:00"}},
		{"Update the customer, from 8:00 to 10:00, Monday to Friday.", []string{"crm/update_customer: mon, tue, wed, thu, fri from 08:00 to 10:00 UTC only", "open from 8:00 to 10:00"}},
		{"Create a meeting during working hours.", []string{"open during working hours"}},
		{"Update the customer, but not during working hours.", []string{"open during working hours"}},
		// Statements of SQL are left to a person.
		{"Run queries on the database, only SELECT.", []string{"open only SELECT"}},
		{"Run queries on the database. Use only SELECT statements.", []string{"open only SELECT statements"}},
		// Limits.
		{"Update the customer, at most 20 customers a day.", []string{"crm/update_customer: at most 20 a day"}},
		{"Update the customer, at most 5 an hour, at most 5 an hour.", []string{"crm/update_customer: at most 5 a hour"}},
	} {
		t.Run(tc.job, func(t *testing.T) {
			d := compose(t, c, tc.job)
			want := slices.Sorted(slices.Values(tc.want))
			if diff := cmp.Diff(want, said(d)); diff != "" {
				t.Errorf("(-want +got):\n%s%v", diff, grants(d))
			}
			usable(t, c, d)
		})
	}
}

// usable checks that every drafted policy can be served with its tool, that its rules are all of it, and that it cites the job.
func usable(t *testing.T, c *catalog.Catalog, d composer.Draft) {
	t.Helper()
	for _, choice := range d.Choices {
		tool, _ := c.Tool(choice.Tool)
		g := persona.Grant{Pin: persona.Pin{Tool: tool.ID, Definition: tool.Definition}, Name: "x", Policy: choice.Policy}
		if _, _, err := g.Served(); err != nil {
			t.Errorf("%q: the policy of %s cannot be used: %v", d.Job, choice.Tool, err)
		}
		var texts []string
		for _, r := range choice.Rules {
			texts = append(texts, r.Text)
			for _, w := range r.Words {
				if w.Start < 0 || w.Start >= w.End || w.End > len(d.Job) {
					t.Errorf("%q: a rule cites %v", d.Job, w)
				}
			}
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(choice.Policy.Words())), slices.Sorted(slices.Values(texts))); diff != "" {
			t.Errorf("%q: rules of %s (-policy +rules):\n%s", d.Job, choice.Tool, diff)
		}
	}
}

// Attack: an agent tries to leave the folder, the domain, the repository and the channel that its job names.
func TestRulesHold(t *testing.T) {
	c := office(t)
	for _, tc := range []struct {
		job, tool   string
		pass, fails []string
	}{
		{"Write a file, only in the folder /srv/reports.", "disk/write_file",
			[]string{`{"path":"/srv/reports/a.txt"}`, `{"path":"/srv/reports"}`, `{"path":"/srv/reports/2026/.keep"}`, `{"path":"/srv/reports/a b..txt"}`},
			[]string{`{"path":"/srv/reports/../secret"}`, `{"path":"/srv/reports/a/../../x"}`, `{"path":"/srv/reports/.."}`, `{"path":"/srv/reports/./x"}`,
				`{"path":"/srv/reports2/x"}`, `{"path":"/srv/reports/%2e%2e/x"}`, `{"path":"/srv/reports\\..\\x"}`, `{"path":"/srv/reports/a\n/etc"}`,
				`{"path":"/srv/reports/．．/x"}`, `{"path":"/srv/reports//x"}`, `{"path":"/SRV/reports/x"}`, `{"path":"/srv/reports/~root"}`, `{"path":"x/srv/reports/a"}`, `{"path":"/srv/reports/a\u0000"}`, `{}`}},
		{"Send emails, only to @acme.com.", "mailroom/send_email",
			[]string{`{"to":"a.b+c@acme.com","body":""}`, `{"to":"a@acme.com","cc":["b@acme.com"],"bcc":"c@acme.com"}`},
			[]string{`{"to":"a@acme.com.evil.example"}`, `{"to":"a@evil.example"}`, `{"to":"a@acme.com, b@evil.example"}`, `{"to":"\"x@evil.example\"@acme.com"}`, `{"to":"x%evil.example@acme.com"}`,
				`{"to":"b@evil.example\n@acme.com"}`, `{"to":["a@acme.com"]}`, `{"to":"a@acme.com","cc":["b@evil.example"]}`, `{"to":"a@acme.com","cc":"b@evil.example"}`,
				`{"to":"a@acme.com","bcc":"b@evil.example"}`, `{"to":"a@acmexcom"}`, `{"to":"@acme.com"}`}},
		{"Create issues in the repositories acme/web and acme/api.", "forge/create_issue",
			[]string{`{"owner":"acme","repo":"api"}`}, []string{`{"owner":"evil","repo":"web"}`, `{"owner":"acme","repo":"other"}`, `{"repo":"web"}`}},
		{"Post a message to #ops.", "chirp/post_message", []string{`{"channel":"#ops"}`},
			[]string{`{"channel":"#Ops"}`, `{"channel":"ops"}`, `{"channel":"#ops","channel_id":"C1"}`, `{"channel":["#ops"]}`, `{}`}},
		{"Refund payments of up to 50 euros.", "till/refund_payment", []string{`{"amount":5000,"currency":"eur"}`},
			[]string{`{"amount":5001,"currency":"eur"}`, `{"amount":50,"currency":"BTC"}`, `{"amount":50}`, `{"amount":-1e9,"currency":"EUR"}`, `{"currency":"EUR"}`}},
	} {
		for _, choice := range compose(t, c, tc.job).Choices {
			if string(choice.Tool) != tc.tool {
				continue
			}
			rules, err := choice.Policy.Compile(nil)
			if err != nil || choice.Policy.IsZero() {
				t.Fatalf("%s: got %+v, %v", tc.job, choice.Policy, err)
			}
			for i, args := range append(slices.Clone(tc.pass), tc.fails...) {
				d := rules.Decide(policy.Call{Arguments: strictjson.Unread(args), Now: time.Now()})
				if want := i < len(tc.pass); d.Allowed != want {
					t.Errorf("%s %s: allowed %v, want %v", tc.tool, args, d.Allowed, want)
				}
			}
		}
	}
}

// Attack: a server writes its schema so that a drafted rule would say something else, or could not be used at all.
func TestHostileParameters(t *testing.T) {
	for _, properties := range []string{
		`"to ) || true //":{"type":"array","items":{"type":"string"},"description":"mail"}`,
		`"to":{"type":"array","items":{"type":"string"},"description":"mail"},"c.c":{"type":"array","items":{"type":"string"}}`,
		`"to":false`, `"to":{"type":{"a":1}}`, `"to":{"type":["string","null"],"enum":["x"]}`, `"to":{"anyOf":[{"anyOf":[{"anyOf":[{"type":"string"}]}]}],"description":"mail"}`,
		`"To":{"type":"string","description":"mail"},"to":{"type":"string","description":"mail"}`,
		`"t~o/":{"type":"string"}`, `"to":{"type":"string","description":"mail","pattern":"("}`,
		`"recipient":{"type":"string"},"in":{"type":"array","items":{"type":"string"}}`,
	} {
		c := catalog.New(catalog.Config{})
		must(t, c.Replace([]catalog.Tool{parsed(t, "m", `{"name":"send_email","description":"Send an email.","inputSchema":{"type":"object","properties":{`+properties+`},"required":["to"]},"InputSchema":{"properties":{"to":{"type":"string"}}}}`)}, nil))
		for _, job := range []string{"Send an email only to alice@acme.com.", "Send an email to @acme.com.", "Send an email to #ops, at most 5 a day."} {
			usable(t, c, compose(t, c, job))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever a job says, what is drafted can be used.
func TestDraftedPoliciesCompile(t *testing.T) {
	parts := []string{"Post a message", "Send an email", "Create an issue", "Write a file", "Refund payments", "Transfer money", "Run queries", "Update the customer",
		"to #ops", "in #dev", "only", "never", "to alice@acme.com", "to @acme.com", "in the repository acme/web", "in the folder /srv/x", "at most 50 euros", "up to $7", "at most 3 a day",
		"during working hours", "between 8:00 and 6 pm", "only SELECT", ".", ",", "and", "or", ";", "\"", "`", "(", ")) || true //", "\\", "{{", "#", "@", "/..", "$1e9 a day", "'"}
	c := office(t)
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var b strings.Builder
		for range 3 + r.IntN(12) {
			b.WriteString(parts[r.IntN(len(parts))])
			b.WriteString([]string{" ", " ", " ", ""}[r.IntN(4)])
		}
		d, err := composer.New(composer.Config{Finder: c}).Compose(t.Context(), b.String())
		if err == nil {
			usable(t, c, d)
		}
	}
	usable(t, c, compose(t, c, "Post a message. "+strings.Repeat("Only to #x1, at most 9 a day and to #y2, only SELECT. ", 350)))
}
