package gateway

import (
	"remit/audit"
	"remit/internal/strictjson"
	"remit/policy"
)

// software is what a client says it is. Nothing is decided on it.
type software struct{ name, version string }

const maxClientInRecord = 64 // bytes

func clientOf(m members, name string) software {
	info, _ := m.object(name)
	client, _ := info.text("name")
	version, _ := info.text("version")
	return software{clean(client, maxClientInRecord), clean(version, maxClientInRecord)}
}

// recorded is what the record says of a call before its parameters are read.
func (x *exchange) recorded() audit.Call {
	version, client := modernVersion, clientOf(x.meta, metaClient)
	if x.session != nil {
		version, client = x.session.version, x.session.client
	}
	return audit.Call{Protocol: version, Client: client.name, ClientVersion: client.version, Trace: x.trace.id}
}

// recordArguments notes how large the arguments are and which.
func (c *call) recordArguments() *fault {
	text, err := c.arguments.Canonical(strictjson.Limits{Depth: maxDepth})
	if err != nil { // parse let them pass: a defect
		return rpcFault(codeInvalidParams, `The member "arguments" of params cannot be read: %s`, clean(err.Error(), 300))
	}
	c.entry.ArgumentBytes, c.entry.ArgumentDigest, c.canonical = int64(len(c.arguments.Text)), audit.Digest(text), text
	return nil
}

// maxArgumentsInRecord bounds what of arguments is kept, in bytes. What is longer is not cut, which could cut a mask, but left out.
const maxArgumentsInRecord = 4 << 10

// What is masked in recorded arguments whatever the grant's policy says; and where no grant says anything.
var (
	secrets = redacting(func(name string) bool {
		return name == "api_key" || name == "bearer_token" || name == "private_key" || name == "payment_card"
	})
	everything = redacting(func(string) bool { return true })
)

func redacting(detector func(name string) bool) *policy.Compiled {
	var p policy.Policy
	for _, d := range policy.Detectors {
		if detector(d.Name) {
			p.Mask = append(p.Mask, policy.Mask{Detector: d.Name, Mode: policy.Redact})
		}
	}
	c, err := p.Compile(nil)
	if err != nil {
		panic(err) // a defect: these are our own
	}
	return c
}

// keepArguments puts the arguments into the entry, after the masks of the grant and those of secrets. What cannot be masked
// is left out.
func (g *Gateway) keepArguments(c *call) {
	if !g.c.KeepArguments || len(c.canonical) > maxArgumentsInRecord || c.grant != nil && c.grant.corrupt != nil {
		return
	}
	if text, ok := c.maskedForRecord(c.canonical); ok {
		c.entry.Arguments = text
	}
}

// maskedForRecord is a value as the record may hold it. ok is false for one that cannot be masked, or is too long.
func (c *call) maskedForRecord(value []byte) (text string, ok bool) {
	rules := everything
	if c.grant != nil {
		rules = c.grant.rules
	}
	masked, _, err := rules.MaskArguments(value)
	if err == nil {
		masked, _, err = secrets.MaskArguments(masked)
	}
	return string(masked), err == nil && len(masked) <= maxArgumentsInRecord
}

// recordResult notes the same of the result as the agent gets it, masks and all.
func (c *call) recordResult() {
	c.entry.ResultBytes = int64(len(c.result[0]) + len(c.result[1]))
	c.entry.ResultDigest = audit.Digest(c.result[:]...)
}
