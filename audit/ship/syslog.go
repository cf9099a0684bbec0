package ship

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"remit/audit"
)

// syslog sends messages of RFC 5424: on streams with octet counting (RFC 6587, over TLS RFC 5425), else one a datagram.
type syslog struct {
	network, address string
	secure           *tls.Config // nil without TLS
	host             string

	conn   net.Conn
	gone   chan struct{} // closed when the receiver ended the stream
	recent []frame       // what may be lost on the way, if the stream ends
}

// frame is a message that was written to a stream.
type frame struct {
	text []byte
	at   time.Time
}

// Syslog acknowledges nothing: what was written shortly before a stream ended is written again on the next one.
const (
	recentFor   = 30 * time.Second
	recentMost  = 1000
	closeWithin = 2 * time.Second
)

const maxDatagram = 60_000 // bytes; UDP carries up to 65,507

func newSyslog(u *url.URL, secure *tls.Config) *syslog {
	s := &syslog{network: u.Scheme, address: u.Path}
	if u.Host != "" {
		s.address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), ports[u.Scheme]))
	}
	if u.Scheme == "tls" {
		s.network, s.secure = "tcp", secure
	}
	s.host = "-"
	if name, err := os.Hostname(); err == nil && name != "" {
		s.host = name
	}
	return s
}

func (s *syslog) stream() bool { return s.network == "tcp" || s.network == "unix" }

// Send writes the entries.
func (s *syslog) Send(ctx context.Context, entries []audit.Entry) error {
	messages := make([][]byte, 0, len(entries))
	for _, e := range entries {
		m, err := s.message(e)
		if err != nil {
			return err
		}
		messages = append(messages, m)
	}
	s.forget()
	if s.conn != nil && s.stream() {
		select {
		case <-s.gone:
			s.drop()
		default:
		}
	}
	first := 0
	if s.conn == nil {
		first = len(s.recent)
		messages = append(s.texts(), messages...)
		if len(messages) == 0 {
			return nil
		}
		if err := s.dial(ctx); err != nil {
			return fmt.Errorf("the receiver cannot be reached: %w", err)
		}
	}
	if err := s.write(ctx, messages); err != nil {
		s.drop()
		return fmt.Errorf("writing to the receiver: %w", err)
	}
	s.recent = s.recent[first:]
	if s.stream() {
		for _, m := range messages {
			s.recent = append(s.recent, frame{m, time.Now()})
		}
	}
	return nil
}

// texts are the messages that may be lost on the way.
func (s *syslog) texts() [][]byte {
	var out [][]byte
	for _, f := range s.recent {
		out = append(out, f.text)
	}
	return out
}

// message is one entry. Facility 13 is that of logs of audit.
func (s *syslog) message(e audit.Entry) ([]byte, error) {
	body, err := text(e)
	if err != nil {
		return nil, err
	}
	if !s.stream() && len(body) > maxDatagram {
		// Enough to look the rest up by, and to see that the chain goes on.
		if body, err = json.Marshal(map[string]any{"seq": e.Seq, "kind": e.Kind, "decision": e.Decision, "prev": e.Prev, "hash": e.Hash, "cut": true}); err != nil {
			return nil, err
		}
	}
	var m rfc5424.SyslogMessage
	m.SetPriority(13*8 + severity(e.Decision)).SetVersion(1).SetTimestamp(e.Time.UTC().Format("2006-01-02T15:04:05.000000Z")).
		SetHostname(s.host).SetAppname("remit").SetMsgID(e.Kind).SetMessage(string(body))
	line, err := m.String()
	if err != nil {
		return nil, fmt.Errorf("entry %d cannot be written as a syslog message: %w", e.Seq, err)
	}
	if s.stream() {
		line = fmt.Sprintf("%d %s", len(line), line)
	}
	return []byte(line), nil
}

// severity is informational, warning for what was refused, error for what did not come to its end.
func severity(d audit.Decision) uint8 {
	switch d {
	case audit.Refused:
		return 4
	case audit.Failed, audit.Unknown:
		return 3
	}
	return 6
}

func (s *syslog) dial(ctx context.Context) (err error) {
	if s.secure != nil {
		s.conn, err = (&tls.Dialer{Config: s.secure}).DialContext(ctx, s.network, s.address)
	} else {
		s.conn, err = (&net.Dialer{}).DialContext(ctx, s.network, s.address)
	}
	if err != nil {
		s.conn = nil
		return err
	}
	if s.stream() {
		conn, gone := s.conn, make(chan struct{})
		s.gone = gone
		go func() { // a receiver says nothing: what is read is the end
			defer close(gone)
			var b [512]byte
			for {
				if _, err := conn.Read(b[:]); err != nil {
					return
				}
			}
		}()
	}
	return nil
}

func (s *syslog) write(ctx context.Context, messages [][]byte) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.conn.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	if s.stream() {
		_, err := s.conn.Write(bytes.Join(messages, nil))
		return err
	}
	for _, m := range messages {
		if _, err := s.conn.Write(m); err != nil {
			return err
		}
	}
	return nil
}

// forget drops what is old enough to have arrived.
func (s *syslog) forget() {
	s.recent = s.recent[max(0, len(s.recent)-recentMost):]
	for len(s.recent) > 0 && time.Since(s.recent[0].at) > recentFor {
		s.recent = s.recent[1:]
	}
}

func (s *syslog) drop() {
	_ = s.conn.Close()
	s.conn = nil
}

// Close ends the stream after what was written, and gives the receiver a moment to end it as well, which it does when it has
// read all.
func (s *syslog) Close() error {
	if s.conn == nil {
		return nil
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok && s.stream() {
		if err := half.CloseWrite(); err == nil {
			select {
			case <-s.gone:
			case <-time.After(closeWithin):
			}
		}
	}
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
