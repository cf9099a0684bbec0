package upstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"remit/internal/fakemcp"
	"remit/internal/strictjson"
)

// still is the address of a server of the era that answers every call with the same result of so many bytes. It allocates nothing for
// a call, so that what a benchmark counts is this package's.
func still(t testing.TB, era string, size int) string {
	t.Helper()
	result := `{"content":[{"type":"text","text":"` + strings.Repeat("x", max(0, size-40)) + `"}]}`
	return accepting(t, func(c net.Conn, _ int) { serveStill(c, era, result) })
}

func serveStill(c net.Conn, era, result string) {
	in, body, out, text := bufio.NewReader(c), make([]byte, 4096), make([]byte, 0, 16<<10), make([]byte, 0, 16<<10)
	for {
		length := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				for _, c := range value[:len(value)-2] {
					length = length*10 + int(c-'0')
				}
			}
		}
		if _, err := io.ReadFull(in, body[:length]); err != nil {
			return
		}
		answer, status, more := result, "200 OK", ""
		switch has := func(method string) bool { return bytes.Contains(body[:length], []byte(method)) }; {
		case has(`"tools/call"`):
		case length == 0 || has(`"notifications/`): // also the end of the session
			status, answer = "202 Accepted", ""
		case has(`"server/discover"`) && era == fakemcp.Modern:
			answer = `{"supportedVersions":["` + era + `"],"capabilities":{"tools":{}},"serverInfo":{"name":"still","version":"1"}}`
		case has(`"initialize"`):
			answer, more = `{"protocolVersion":"`+era+`","capabilities":{"tools":{}},"serverInfo":{"name":"still","version":"1"}}`, "Mcp-Session-Id: 2c9b1e06a9b84f0f\r\n"
		default:
			status, answer = "400 Bad Request", ""
		}
		if text = text[:0]; answer != "" {
			_, id, _ := bytes.Cut(body[:length], []byte(`"id":`))
			id = id[:bytes.IndexAny(id, ",}")]
			text = append(append(append(append(append(text, `{"jsonrpc":"2.0","id":`...), id...), `,"result":`...), answer...), '}')
		}
		out = append(append(append(out[:0], "HTTP/1.1 "...), status...), "\r\nContent-Type: application/json\r\n"...)
		out = append(append(out, more...), "Date: Thu, 26 Nov 2026 14:00:00 GMT\r\nContent-Length: "...)
		out = append(append(strconv.AppendInt(out, int64(len(text)), 10), "\r\n\r\n"...), text...)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// calls is a call of a server that stands still, under a context as the gateway has it, whose deadline comes first, for each era and
// two sizes of a result.
func calls(t testing.TB, each func(name string, call func())) {
	for _, era := range []string{"2025-06-18", fakemcp.Modern} {
		for _, size := range []int{100, 10_000} {
			s := one(t, Config{Name: "still", URL: still(t, era, size), CallTimeout: 2 * time.Hour})
			until(t, s, "ready", isReady)
			ctx, end := context.WithTimeout(t.Context(), time.Hour)
			defer end()
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			arguments, _ := strictjson.Read([]byte(`{"n":3,"text":"hello"}`), 1)
			each(fmt.Sprintf("%s/%dB", era, size), func() {
				if got, err := s.Call(ctx, Call{Tool: "echo", Arguments: arguments}); err != nil || len(got.Text) < size-10 {
					t.Fatalf("got %s, %v", got, err)
				}
			})
		}
	}
}

// BenchmarkCall is a call over plain HTTP, the network included, and the server's turn, which allocates nothing.
func BenchmarkCall(b *testing.B) {
	calls(b, func(name string, call func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	})
}

// maxAllocations is of one call over plain HTTP: more is a change that somebody has to mean.
const maxAllocations = 28

// What a call allocates does not creep up, and does not grow with the result.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	calls(t, func(name string, call func()) {
		got := testing.AllocsPerRun(200, call)
		t.Logf("%s: %.0f allocations", name, got)
		if got > maxAllocations {
			t.Errorf("%s: %.0f allocations, more than %d", name, got, maxAllocations)
		}
	})
}
