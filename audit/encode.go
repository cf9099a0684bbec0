package audit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// AppendJSON appends the entry as encoding/json writes it, byte for byte, at a fifth of the cost: what is sealed and verified are
// these bytes.
func (e *Entry) AppendJSON(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"seq":`...), e.Seq, 10)
	b = append(b, `,"time":"`...)
	b, err := e.Time.AppendText(b)
	if err != nil {
		panic(fmt.Sprintf("audit: the time of an entry did not encode: %v", err))
	}
	b = appendText(append(b, `","kind":`...), e.Kind)
	for _, f := range [...]struct{ name, text string }{{`,"person":`, e.Person}, {`,"agent":`, e.Agent}, {`,"user":`, e.User}, {`,"key":`, e.Key}, {`,"persona":`, e.Persona}} {
		b = appendMember(b, f.name, f.text)
	}
	b = appendNumber(b, `,"revision":`, int64(e.Revision))
	b = appendMember(b, `,"tool":`, e.Tool)
	b = appendMember(b, `,"digest":`, e.Digest)
	b = appendText(append(b, `,"decision":`...), string(e.Decision))
	b = appendMember(b, `,"reason":`, e.Reason)
	b = appendMember(b, `,"policy":`, e.Policy)
	b = appendNumber(b, `,"micros":`, e.Micros)
	b = e.Call.appendMembers(b)
	b = e.Shadow.appendMember(b)
	if len(e.Detail) > 0 {
		b = append(b, `,"detail":{`...)
		for i, name := range slices.Sorted(maps.Keys(e.Detail)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(append(appendText(b, name), ':'), e.Detail[name])
		}
		b = append(b, '}')
	}
	b = appendText(append(b, `,"prev":`...), e.Prev)
	return append(appendText(append(b, `,"hash":`...), e.Hash), '}')
}

func (c *Call) appendMembers(b []byte) []byte {
	b = appendNumber(b, `,"argument_bytes":`, c.ArgumentBytes)
	b = appendMember(b, `,"argument_digest":`, c.ArgumentDigest)
	b = appendMember(b, `,"arguments":`, c.Arguments)
	b = appendNumber(b, `,"result_bytes":`, c.ResultBytes)
	b = appendMember(b, `,"result_digest":`, c.ResultDigest)
	b = appendNumber(b, `,"upstream_micros":`, c.UpstreamMicros)
	for _, f := range [...]struct{ name, text string }{{`,"protocol":`, c.Protocol}, {`,"client":`, c.Client}, {`,"client_version":`, c.ClientVersion},
		{`,"trace":`, c.Trace}, {`,"approval":`, c.Approval}} {
		b = appendMember(b, f.name, f.text)
	}
	return b
}

// appendMember appends the member "shadow" with what encoding/json makes of it: few entries have one.
func (s Shadow) appendMember(b []byte) []byte {
	if s == (Shadow{}) {
		return b
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("audit: a shadow of strings and numbers did not encode: %v", err))
	}
	return append(append(b, `,"shadow":`...), text...)
}

func appendMember(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendText(append(b, name...), text)
}

func appendNumber(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), n, 10)
}

// appendText appends a string of JSON. Text of other characters than printable ASCII is left to encoding/json.
func appendText(b []byte, text string) []byte {
	start := len(b)
	b = append(b, '"')
	from := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(append(b, text[from:i]...), '\\', c)
			from = i + 1
		case c < ' ' || c > '~' || c == '<' || c == '>' || c == '&':
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(fmt.Sprintf("audit: a string did not encode: %v", err))
			}
			return append(b[:start], quoted...)
		}
	}
	return append(append(b, text[from:]...), '"')
}
