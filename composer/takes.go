package composer

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"remit/policy"
)

// role says which parameters mean a thing. A rival means it too, in another way than the job says it.
type role struct {
	main  map[string]bool
	rival *regexp.Regexp
}

func named(list string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Split(list, ",") {
		m[strings.TrimSpace(n)] = true
	}
	return m
}

var (
	channelRole = role{named("channel, channel name, channels, channel names, chat channel, slack channel, target channel"),
		regexp.MustCompile(`\b(?:channels?|conversations?|chat ids?|rooms?)\b`)}
	toRole = role{named("to, recipient, recipients, to address, to addresses, to email, to emails, email to, recipient email, recipient emails, to recipients"),
		regexp.MustCompile(`\brecipients?\b|\bb?cc\b|\b(?:distribution|mailing) list\b|^to\b`)}
	copyNames    = named("cc, bcc, cc recipients, bcc recipients, cc emails, bcc emails, cc addresses, bcc addresses, cc email, bcc email")
	repoRole     = role{named("repo, repository, repo name, repository name"), regexp.MustCompile(`\b(?:repos?|repositor(?:y|ies))\b`)}
	ownerRole    = role{named("owner, org, organization, organisation, repo owner, repository owner, owner name"), nil}
	fullRepo     = named("full name, repo full name, repository full name")
	saysFullRepo = regexp.MustCompile(`\b(?:owner|org|organization|user)[a-z]*/|full name`)
	folderRole   = role{named("path, paths, file path, file paths, filepath, directory, dir, folder, folder path, dir path, directory path"),
		regexp.MustCompile(`\b(?:paths?|source|destination|src|dest|cwd|root|directory|folder|filename)\b`)}
	amountRole = role{named("amount, amount cents, amount in cents, cents, total amount, refund amount, payment amount, transfer amount"),
		regexp.MustCompile(`\b(?:amounts?|cents|total|sum)\b`)}
	currencyNames = named("currency, currency code")
	inCents       = regexp.MustCompile(`\bcents?\b|\bpence\b|minor (?:currency )?units?|smallest (?:currency )?units?`)
)

// mains are the parameters that mean the thing, and the rivals are those that may mean it beside them.
func (r role) of(all []param) (mains, rivals []param) {
	for _, p := range all {
		switch {
		case r.main[p.words]:
			mains = append(mains, p)
		case r.rival != nil && r.rival.MatchString(p.words):
			rivals = append(rivals, p)
		}
	}
	return mains, rivals
}

// errNone says that no parameter takes what is stated.
var errNone = fmt.Errorf("no parameter takes it")

// one is the only main parameter, with rules that forbid its rivals: a server may prefer them.
func (r role) one(all []param) (param, policy.Policy, error) {
	mains, rivals := r.of(all)
	var rest policy.Policy
	switch {
	case len(mains) == 0 && len(rivals) > 0:
		return param{}, rest, fmt.Errorf("it may be meant of %.60q, and does not say what that takes", rivals[0].name)
	case len(mains) == 0:
		return param{}, rest, errNone
	case len(mains) > 1:
		return param{}, rest, fmt.Errorf("it could be meant of %.60q or of %.60q", mains[0].name, mains[1].name)
	}
	for _, p := range rivals {
		if p.required {
			return param{}, rest, fmt.Errorf("it could be meant of %.60q or of %.60q", mains[0].name, p.name)
		}
		rest.Arguments = append(rest.Arguments, policy.Constraint{Path: p.path(), Forbidden: true})
	}
	return mains[0], rest, nil
}

// rule makes the statements of one kind into rules for a tool with these parameters. An error says why it makes none.
func (t *tool) rule(all []param, k kind, said []stated) (policy.Policy, error) {
	switch k {
	case channels:
		return channelRule(all, said)
	case recipients:
		return t.recipientRule(all, said)
	case repositories:
		return repositoryRule(all, said)
	case folders:
		return folderRule(all, said)
	case amounts:
		return amountRule(all, said)
	case hours:
		return hoursRule(all, said)
	}
	return policy.Policy{}, errNone
}

// among says that the parameter is one of the texts, or that all of a list are.
func (p param) among(values []string) (policy.Policy, error) {
	var raw []json.RawMessage
	for _, v := range values {
		text, _ := json.Marshal(v)
		if len(p.enum) > 0 && !slices.ContainsFunc(p.enum, func(e json.RawMessage) bool { return string(e) == string(text) }) {
			return policy.Policy{}, fmt.Errorf("%.60q does not take %s", p.name, text)
		}
		raw = append(raw, text)
	}
	switch {
	case p.text() && len(raw) == 1:
		return policy.Policy{Arguments: []policy.Constraint{{Path: p.path(), Const: raw[0]}}}, nil
	case p.text():
		return policy.Policy{Arguments: []policy.Constraint{{Path: p.path(), Enum: raw}}}, nil
	case p.list():
		list, _ := json.Marshal(raw)
		return p.each("v in " + string(list))
	}
	return policy.Policy{}, fmt.Errorf("%w: %.60q takes no text", errNone, p.name)
}

// matching says the same of a pattern; optional parameters of a second kind may be left out.
func (p param) matching(pattern string, optional bool) (policy.Policy, error) {
	switch {
	case p.text():
		return policy.Policy{Arguments: []policy.Constraint{{Path: p.path(), Pattern: pattern, Optional: optional}}}, nil
	case p.list():
		out, err := p.each(`v.matches(r"^(?:` + pattern + `)$")`)
		if err == nil && optional {
			out.Conditions[0].CEL = "!has(args." + p.name + ") || " + out.Conditions[0].CEL
		}
		return out, err
	}
	return policy.Policy{}, fmt.Errorf("%w: %.60q takes no text", errNone, p.name)
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// each is a condition on all of a list. The texts in it are of the characters that a finder names, and the name is an identifier,
// so that neither can say more.
func (p param) each(expression string) (policy.Policy, error) {
	if !identifier.MatchString(p.name) {
		return policy.Policy{}, fmt.Errorf("no condition can name %.60q", p.name)
	}
	return policy.Policy{Conditions: []policy.Condition{{CEL: "args." + p.name + ".all(v, " + expression + ")"}}}, nil
}

func values(said []stated) []string {
	var out []string
	for _, s := range said {
		if !slices.Contains(out, s.value) {
			out = append(out, s.value)
		}
	}
	return out
}

func channelRule(all []param, said []stated) (policy.Policy, error) {
	p, rest, err := channelRole.one(all)
	if err != nil {
		return rest, err
	}
	list := values(said)
	bare := strings.Contains(p.about, "without #") || strings.Contains(p.about, "without the #") || strings.Contains(p.about, "without leading #")
	if bare || len(p.enum) > 0 && !slices.ContainsFunc(p.enum, func(e json.RawMessage) bool { return strings.HasPrefix(string(e), `"#`) }) {
		for i := range list {
			list[i] = strings.TrimPrefix(list[i], "#")
		}
	}
	out, err := p.among(list)
	return joinPolicies(out, rest), err
}

const localPart = `[A-Za-z0-9._+-]+`

// recipientRule constrains who is written to, copies included: they are a way out like the other.
func (t *tool) recipientRule(all []param, said []stated) (policy.Policy, error) {
	var copies, others []param
	for _, p := range all {
		if copyNames[p.words] {
			copies = append(copies, p)
		} else {
			others = append(others, p)
		}
	}
	p, rest, err := toRole.one(others)
	if err != nil {
		return rest, err
	}
	mail := t.nameStems["mail"] || t.nameStems["email"] || p.format == "email"
	if !strings.Contains(p.words, "recipient") && !mail && !strings.Contains(p.about, "mail") && !strings.Contains(p.about, "recipient") {
		return rest, fmt.Errorf("%w: %.60q does not say that it takes an address", errNone, p.name)
	}
	list, domains := values(said), false
	patterns := make([]string, len(list))
	for i, v := range list {
		patterns[i] = regexp.QuoteMeta(v)
		if v[0] == '@' {
			patterns[i], domains = localPart+patterns[i], true
		}
	}
	pattern := strings.Join(patterns, "|")
	out, err := p.matching(pattern, false)
	if !domains && err == nil {
		out, err = p.among(list)
	}
	for _, also := range copies {
		if err == nil {
			var more policy.Policy
			more, err = also.matching(pattern, true)
			out = joinPolicies(out, more)
		}
	}
	return joinPolicies(out, rest), err
}

// repositoryRule never lets one owner be combined with another's repository.
func repositoryRule(all []param, said []stated) (policy.Policy, error) {
	for _, p := range all {
		if fullRepo[p.words] {
			return policy.Policy{}, fmt.Errorf("it could be meant of %.60q", p.name)
		}
	}
	repo, rest, err := repoRole.one(all)
	if err != nil {
		return rest, err
	}
	list := values(said)
	owner, _, err := ownerRole.one(all)
	switch {
	case err == nil:
		owners, repos := []string{}, []string{}
		for _, v := range list {
			o, r, _ := strings.Cut(v, "/")
			if !slices.Contains(owners, o) {
				owners = append(owners, o)
			}
			repos = append(repos, r)
		}
		if len(owners) > 1 {
			return rest, fmt.Errorf("a rule on %.60q and one on %.60q would let them be combined; write a condition", owner.name, repo.name)
		}
		first, err := owner.among(owners)
		if err != nil {
			return rest, err
		}
		second, err := repo.among(repos)
		return joinPolicies(first, second, rest), err
	case err != errNone || !saysFullRepo.MatchString(repo.about):
		return rest, fmt.Errorf("whether %.60q takes the owner's name too is not said", repo.name)
	}
	out, err := repo.among(list)
	return joinPolicies(out, rest), err
}

// below is what may follow a folder: names of plain characters, none of them "." or "..". Backslashes, percent signs and other
// characters that a server could read as a way up are left out.
const below = `(?:/\.?[A-Za-z0-9_-][A-Za-z0-9 _.-]*)*/?`

func folderRule(all []param, said []stated) (policy.Policy, error) {
	p, rest, err := folderRole.one(all)
	if err != nil {
		return rest, err
	}
	var patterns []string
	for _, v := range values(said) {
		for _, name := range strings.Split(v[1:], "/") {
			if strings.Trim(name, ".") == "" {
				return rest, fmt.Errorf("%q is not the plain path of a folder", v)
			}
		}
		patterns = append(patterns, regexp.QuoteMeta(v)+below)
	}
	out, err := p.matching(strings.Join(patterns, "|"), false)
	return joinPolicies(out, rest), err
}

// amountRule takes the least that is stated. A currency that the caller chooses is fixed as well.
func amountRule(all []param, said []stated) (policy.Policy, error) {
	p, rest, err := amountRole.one(all)
	if err != nil {
		return rest, err
	}
	if !p.number() {
		return rest, fmt.Errorf("%.60q takes a text, which has no maximum", p.name)
	}
	var least *big.Rat
	for _, s := range said {
		n, ok := new(big.Rat).SetString(s.value)
		if s.value == "" || !ok {
			return rest, fmt.Errorf("what several calls add up to is not counted; limit each call and how many there may be")
		}
		if s.unit != said[0].unit {
			return rest, fmt.Errorf("it is said in several currencies")
		}
		if least == nil || n.Cmp(least) < 0 {
			least = n
		}
	}
	if inCents.MatchString(p.words) || inCents.MatchString(p.about) {
		least.Mul(least, big.NewRat(100, 1))
	}
	limit := strings.TrimSuffix(strings.TrimRight(least.FloatString(2), "0"), ".")
	out := policy.Policy{Arguments: []policy.Constraint{{Path: p.path(), Minimum: json.RawMessage("0"), Maximum: json.RawMessage(limit)}}}
	for _, c := range all {
		if !currencyNames[c.words] {
			continue
		}
		spellings := []string{said[0].unit, strings.ToLower(said[0].unit)}
		if len(c.enum) > 0 {
			spellings = slices.DeleteFunc(spellings, func(s string) bool {
				return !slices.ContainsFunc(c.enum, func(e json.RawMessage) bool { return string(e) == `"`+s+`"` })
			})
		}
		if len(spellings) == 0 {
			return rest, fmt.Errorf("%.60q does not know %s", c.name, said[0].unit)
		}
		more, err := c.among(spellings)
		if err != nil {
			return rest, err
		}
		out = joinPolicies(out, more)
	}
	return joinPolicies(out, rest), nil
}

var ofTime = regexp.MustCompile(`\b(?:start|starts|end|ends|time|times|date|dates|when|begin|until|since|due|slot|slots|schedule|from|hour|hours)\b`)

// hoursRule leaves it to a person where the tool deals in times itself: "create meetings during working hours".
func hoursRule(all []param, said []stated) (policy.Policy, error) {
	for _, p := range all {
		if ofTime.MatchString(p.words) {
			return policy.Policy{}, fmt.Errorf("it may be meant of %.60q, not of when the tool is called", p.name)
		}
	}
	var out policy.Policy
	for _, s := range said {
		if s.vague {
			return out, fmt.Errorf("on which days is not said plainly")
		}
		h := policy.Hours{From: "09:00", To: "17:00", Days: []string{"mon", "tue", "wed", "thu", "fri"}}
		if from, to, ok := strings.Cut(s.value, "-"); ok {
			h = policy.Hours{From: from, To: to, Zone: s.unit}
			if s.days {
				h.Days = []string{"mon", "tue", "wed", "thu", "fri"}
			}
		}
		out.Hours = append(out.Hours, h)
	}
	return out, nil
}

// joinPolicies puts rules together.
func joinPolicies(parts ...policy.Policy) policy.Policy {
	var out policy.Policy
	for _, p := range parts {
		out.Limits = append(out.Limits, p.Limits...)
		out.Arguments = append(out.Arguments, p.Arguments...)
		out.Conditions = append(out.Conditions, p.Conditions...)
		out.Hours = append(out.Hours, p.Hours...)
	}
	return out
}
