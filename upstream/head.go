package upstream

import (
	"bytes"
	"context"
	"maps"
	"net/http"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// common is what the calls of a session have in common. It is not changed.
type common struct {
	session, version string
	request          *http.Request // without a body
	header           []byte        // its header, as it is written
}

// callHead is what the header of a call's request holds beside what is in the request itself. The zero value is nothing.
type callHead struct {
	*common
	method, name string // as the newer era mirrors them, fit for a header
}

// common returns what a call has in common with those before it; it is made anew after a handshake.
func (g *gate) common() (*common, error) {
	last := g.calls.Load()
	if last != nil && last.session == g.wire.GetSessionId() && last.version == g.conn.protocol() {
		return last, nil
	}
	req, err := g.newRequest(context.Background(), http.MethodPost, nil)
	if err != nil {
		return nil, err
	}
	req.Header["Content-Type"] = onlyJSON
	g.configure(req)
	var header bytes.Buffer
	_ = req.Header.Write(&header) // to memory
	last = &common{req.Header.Get(transport.HeaderKeySessionID), req.Header.Get(transport.HeaderKeyProtocolVersion), req, header.Bytes()}
	g.calls.Store(last)
	return last, nil
}

// mirrored are the names and values of the newer era; an empty value is not sent.
func (h callHead) mirrored() [2][2]string {
	return [2][2]string{{mcp.HeaderMethod, h.method}, {mcp.HeaderName, h.name}}
}

// write writes the lines.
func (h callHead) write(out *bytes.Buffer) {
	if h.common != nil {
		out.Write(h.header)
	}
	for _, line := range h.mirrored() {
		if line[1] != "" {
			out.WriteString(line[0])
			out.WriteString(": ")
			out.WriteString(line[1])
			out.WriteString("\r\n")
		}
	}
}

// whole is the request with all of its header in it.
func (h callHead) whole(req *http.Request) *http.Request {
	if h.common == nil {
		return req
	}
	all := maps.Clone(h.request.Header)
	maps.Copy(all, req.Header)
	for _, line := range h.mirrored() {
		if line[1] != "" {
			all.Set(line[0], line[1])
		}
	}
	req = req.WithContext(req.Context())
	req.Header = all
	return req
}

// encodedName is what is called, in printable ASCII.
func (r request) encodedName() string {
	name, _ := mcp.EncodeHeaderValue(r.called) // any text can be encoded
	return name
}

// paramHeaders are the parameters that the tool's schema wants in the header, too.
func (r request) paramHeaders(params pieces) http.Header {
	if !bytes.Contains(r.schema, []byte("x-mcp-header")) {
		return nil
	}
	h, tool := http.Header{}, mcp.Tool{RawInputSchema: r.schema}
	for name, value := range mcp.GenerateParamHeaders(&tool, params.whole()) {
		h.Set(name, value)
	}
	return h
}
