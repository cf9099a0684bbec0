package ship

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	syslogformat "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"remit/audit"
)

func open(t *testing.T, c Config) Sink {
	t.Helper()
	c.Timeout = 10 * time.Second
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// takeMessage reads a message as a collector does.
func (g *got) takeMessage(t *testing.T, m syslogformat.Message) {
	r, ok := m.(*rfc5424.SyslogMessage)
	if !ok || r.Message == nil || r.MsgID == nil {
		t.Errorf("got %+v, want a message of RFC 5424", m)
		return
	}
	if *r.Facility != 13 || *r.Severity != 4 || *r.Appname != "remit" || *r.MsgID != audit.ToolCall || r.Timestamp.IsZero() {
		t.Errorf("got facility %d, severity %d, %s %s at %v", *r.Facility, *r.Severity, *r.Appname, *r.MsgID, r.Timestamp)
	}
	if err := g.take(*r.Message); err != nil {
		t.Error(err)
	}
}

// serveStream takes octet-counted messages from each connection; one that is told to ends after so many.
func (g *got) serveStream(t *testing.T, l net.Listener, endAfter int) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			most := endAfter
			endAfter = 0 // only the first connection is cut
			go func() {
				defer c.Close()
				n := 0
				octetcounting.NewParser(syslogformat.WithListener(func(r *syslogformat.Result) {
					if r.Error != nil || most > 0 && n == most {
						c.Close()
						return
					}
					n++
					g.takeMessage(t, r.Message)
				})).Parse(bufio.NewReader(c))
			}()
		}
	}()
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSyslogOverStreams(t *testing.T) {
	tcp, unix := listen(t, "tcp", "127.0.0.1:0"), listen(t, "unix", filepath.Join(t.TempDir(), "s"))
	pair, ca := certificate(t)
	secure := tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), &tls.Config{Certificates: []tls.Certificate{pair}})
	for name, tc := range map[string]struct {
		l net.Listener
		c Config
	}{
		"tcp": {tcp, Config{URL: "tcp://" + tcp.Addr().String()}}, "unix": {unix, Config{URL: "unix://" + unix.Addr().String()}},
		"tls": {secure, Config{URL: "tls://" + secure.Addr().String(), CA: ca}},
	} {
		t.Run(name, func(t *testing.T) {
			var g got
			g.serveStream(t, tc.l, 0)
			s := record(t, batch+5)
			stop := follow(t, s, open(t, tc.c))
			g.wantAll(t, batch+5)
			stop()
		})
	}
}

// A receiver that ends the stream in the middle gets everything on the next one.
func TestSyslogStreamThatBreaks(t *testing.T) {
	var g got
	l := listen(t, "tcp", "127.0.0.1:0")
	g.serveStream(t, l, 30)
	s := record(t, 100)
	defer follow(t, s, open(t, Config{URL: "tcp://" + l.Addr().String()}))()
	g.wantAll(t, 100)
	add(t, s, 3)
	g.wantAll(t, 103)
}

// A receiver whose certificate is not known gets nothing.
func TestSyslogOfAStranger(t *testing.T) {
	pair, _ := certificate(t)
	_, other := certificate(t)
	var g got
	l := listen(t, "tcp", "127.0.0.1:0")
	g.serveStream(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}}), 0)
	s := record(t, 1)
	defer follow(t, s, open(t, Config{URL: "tls://" + l.Addr().String(), CA: other}))()
	until(t, "the problem is seen", func() bool {
		p, _ := s.Shipped(t.Context(), "siem")
		return strings.Contains(p.Problem, "certificate")
	})
	if n := g.numbers(); len(n) > 0 {
		t.Errorf("it got %v", n)
	}
}

func TestSyslogOverDatagrams(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	unix, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	for url, from := range map[string]net.PacketConn{"udp://" + udp.LocalAddr().String(): udp, "unixgram://" + socket: unix} {
		t.Run(url[:4], func(t *testing.T) {
			defer from.Close()
			var g got
			s := record(t, 3)
			huge := hostile
			huge.Reason = strings.Repeat("x", maxDatagram)
			if err := s.Append(t.Context(), huge); err != nil {
				t.Fatal(err)
			}
			go func() {
				b := make([]byte, 1<<16)
				for {
					n, _, err := from.ReadFrom(b)
					if err != nil {
						return
					}
					m, err := rfc5424.NewParser().Parse(b[:n])
					if err != nil {
						t.Error(err)
						return
					}
					g.takeMessage(t, m)
				}
			}()
			defer follow(t, s, open(t, Config{URL: url}))()
			until(t, "all arrive", func() bool { return len(g.numbers()) == 4 })
			if last := g.entries[3]; last.Hash == "" || last.Reason != "" {
				t.Errorf("what is too large for a datagram must be told by its number and hash: got %+v", last)
			}
		})
	}
}

func TestOTLP(t *testing.T) {
	var g got
	answers := []int{503, 429, 302, 200}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var said collector.ExportLogsServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &said)
		}
		if err != nil || r.URL.Path != "/v1/logs" || r.Header.Get("Authorization") != "Bearer t" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("got %s %v, %v", r.URL, r.Header, err)
		}
		if len(answers) > 1 {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(answers[0])
			answers = answers[1:]
			return
		}
		for _, l := range said.ResourceLogs[0].ScopeLogs[0].LogRecords {
			if l.SeverityText != "WARN" || l.EventName != "remit.tool.call" || l.TimeUnixNano == 0 || len(l.TraceId) != 0 && len(l.TraceId) != 16 {
				t.Errorf("got %v", l)
			}
			if err := g.take(l.Body.GetStringValue()); err != nil {
				t.Error(err)
			}
		}
		answer, _ := proto.Marshal(&collector.ExportLogsServiceResponse{})
		w.Write(answer)
	}))
	defer receiver.Close()
	s := record(t, batch+3)
	traced := hostile
	traced.Trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	if err := s.Append(t.Context(), traced); err != nil {
		t.Fatal(err)
	}
	defer follow(t, s, open(t, Config{URL: receiver.URL, Headers: map[string]string{"Authorization": "Bearer t"}}))()
	g.wantAll(t, batch+4)
}

// What a collector refuses is not taken for sent, and no secret of the address is told.
func TestOTLPRefuses(t *testing.T) {
	refuses, err := proto.Marshal(&collector.ExportLogsServiceResponse{PartialSuccess: &collector.ExportLogsPartialSuccess{RejectedLogRecords: 1}})
	if err != nil {
		t.Fatal(err)
	}
	entries := []audit.Entry{hostile.Seal(0, "")}
	for body, want := range map[string]string{string(refuses): "refused 1 of 1", "<html>": "not OTLP"} {
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) }))
		defer receiver.Close()
		if err := open(t, Config{URL: receiver.URL}).Send(t.Context(), entries); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if err := open(t, Config{URL: gone.URL + "/?token=hunter2"}).Send(t.Context(), entries); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// certificate is one for loopback, and a file with it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
