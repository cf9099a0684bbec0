// Command prepare makes what a benchmark of the gateway needs in a crawled store: a live persona that grants every tool of the
// catalog, or some, one of them under a policy, and an access key, whose secret it prints.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"remit/catalog"
	"remit/identity"
	"remit/persona"
	"remit/policy"
	"remit/store"
)

func main() {
	data := flag.String("database", "", "the store's file; remit crawl has made it")
	tool := flag.String("tool", "", "the tool that has a policy, as SERVER/TOOL")
	rules := flag.String("policy", "{}", "its policy, in JSON")
	most := flag.Int("most", 0, "grant only so many of the tools; 0 is all")
	detectors := flag.Bool("detectors", false, "print the detectors that a mask may name, and nothing else")
	flag.Parse()
	if *detectors {
		for _, d := range policy.Detectors {
			fmt.Println(d.Name)
		}
		return
	}
	secret, err := prepare(context.Background(), *data, catalog.ID(*tool), *rules, *most)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
	fmt.Println(secret)
}

func prepare(ctx context.Context, data string, tool catalog.ID, rules string, most int) (secret string, err error) {
	p, err := policy.Parse([]byte(rules))
	if err != nil {
		return "", err
	}
	db, err := store.Open(ctx, data)
	if err != nil {
		return "", err
	}
	defer db.Close()
	tools, err := db.Tools(ctx)
	if err != nil {
		return "", err
	}
	if most > 0 {
		tools = tools[:min(most, len(tools))]
	}
	offered, seen := map[catalog.ID]catalog.Tool{}, persona.Digests{}
	proposal := persona.Proposal{Job: "Call everything as fast as it goes."}
	for _, t := range tools {
		offered[t.ID], seen[t.ID] = t, t.Digest
		grant := persona.Grant{Pin: persona.Pin{Tool: t.ID}}
		if t.ID == tool {
			grant.Policy = p
		}
		proposal.Grants = append(proposal.Grants, grant)
	}
	registry := persona.Registry{Store: db, MaxTools: max(len(tools), 1), Current: func(id catalog.ID) (catalog.Tool, bool) { t, ok := offered[id]; return t, ok }}
	author := identity.Principal{Person: "author", Roles: []identity.Role{identity.Author}}
	reviewer := identity.Principal{Person: "reviewer", Roles: []identity.Role{identity.Reviewer}}
	for _, move := range []func() error{
		func() error { return registry.Create(ctx, author, "bench", "Bench", proposal) },
		func() error { return registry.Submit(ctx, author, "bench", 1) },
		func() error { return registry.Approve(ctx, reviewer, "bench", 1, seen) },
	} {
		if err := move(); err != nil {
			return "", err
		}
	}
	directory := identity.Directory{Store: db}
	secret, _, err = directory.IssueKey(ctx, identity.Operator(), identity.KeySpec{Agent: "load", User: "bench", Persona: "bench", Expires: time.Now().Add(24 * time.Hour)})
	return secret, err
}
