package policy

import (
	"slices"
	"strings"
)

// Ask is something that a tool's server may ask of the client while it answers a call. With Tasks it is the part of a policy that allows:
// without it a server may ask for nothing, and what the server writes goes to a person, or to the agent's model, unread.
type Ask string

const (
	AskForm  Ask = "elicitation"     // what a person at the client fills into a form
	AskPage  Ask = "elicitation-url" // that a person at the client opens a web page
	AskModel Ask = "sampling"        // what the agent's model answers to a prompt of the server's
)

// Asks are all that there are.
var Asks = []Ask{AskForm, AskPage, AskModel}

var askWords = map[Ask]string{
	AskForm:  "LETS ITS SERVER ASK THE PERSON at the client to fill in a form, and read what they answer",
	AskPage:  "LETS ITS SERVER SEND THE PERSON at the client to a web page that the server names",
	AskModel: "LETS ITS SERVER PROMPT THE AGENT'S MODEL with a text of the server's own, and read what it answers",
}

const taskWords = "LETS ITS SERVER WORK ON AFTER THE CALL, as a task: the agent fetches the result later, and no time of a call bounds the work"

// Lets says for a reviewer what the policy allows beside the call.
func (p Policy) Lets() (words []string) {
	for _, a := range Asks {
		if slices.Contains(p.Asks, a) {
			words = append(words, askWords[a])
		}
	}
	if p.Tasks {
		words = append(words, taskWords)
	}
	return words
}

func (p Policy) validAsks() error {
	for i, a := range p.Asks {
		if !slices.Contains(Asks, a) {
			var known []string
			for _, k := range Asks {
				known = append(known, string(k))
			}
			return invalid("asks are %s, not %q", strings.Join(known, ", "), a)
		}
		if slices.Contains(p.Asks[:i], a) {
			return invalid("asks have %q twice", a)
		}
	}
	if len(p.Asks) > 0 && p.Approval != nil {
		return invalid("a call that a person approves cannot ask for more: what is answered is nothing that they saw; take out asks or approval")
	}
	return nil
}
