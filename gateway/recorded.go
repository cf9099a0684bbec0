package gateway

import (
	"remit/audit"
	"remit/internal/strictjson"
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

// recordArguments notes how large the arguments are and which, without their content.
func (c *call) recordArguments() *fault {
	text, err := strictjson.Canonical(c.arguments, strictjson.Limits{Depth: maxDepth})
	if err != nil { // parse let them pass: a defect
		return rpcFault(codeInvalidParams, `The member "arguments" of params cannot be read: %s`, clean(err.Error(), 300))
	}
	c.entry.ArgumentBytes, c.entry.ArgumentDigest = int64(len(c.arguments)), audit.Digest(text)
	return nil
}

// recordResult notes the same of the result as the agent gets it, masks and all.
func (c *call) recordResult() {
	c.entry.ResultBytes = int64(len(c.result[0]) + len(c.result[1]))
	c.entry.ResultDigest = audit.Digest(c.result[:]...)
}
