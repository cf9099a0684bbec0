package ship

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"
)

// Config of a sink.
type Config struct {
	// URL is tcp://, tls://, udp://, unix:// or unixgram:// for syslog (RFC 5424), http:// or https:// for OTLP.
	URL     string
	Headers map[string]string // of OTLP
	CA      string            // file with the certificates that the receiver's is checked against; empty means the system's
	Cert    string            // file with a certificate of ours
	Key     string            // file with its key
	Timeout time.Duration     // of one batch
}

// Validate says what is wrong with c, if anything; it opens nothing.
func (c Config) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return errors.New("its url cannot be read")
	}
	local, secure := u.Scheme == "unix" || u.Scheme == "unixgram", u.Scheme == "tls" || u.Scheme == "https"
	switch {
	case ports[u.Scheme] == "" && !local:
		return fmt.Errorf("its url begins with %q: it must be tcp, tls, udp, unix or unixgram for syslog, http or https for OTLP", u.Scheme)
	case local && (u.Path == "" || u.Host != ""):
		return errors.New("its url needs the path of a socket, such as unixgram:///dev/log")
	case !local && u.Hostname() == "":
		return errors.New("its url needs a host")
	case u.User != nil:
		return errors.New("its url names a user: give credentials in headers")
	case !secure && (c.CA != "" || c.Cert != ""):
		return errors.New("certificates need a tls or https url")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("cert and key belong together")
	case len(c.Headers) > 0 && u.Scheme != "http" && u.Scheme != "https":
		return errors.New("headers need an http or https url")
	case c.Timeout < time.Second:
		return errors.New("its timeout must be at least 1s")
	}
	return nil
}

// ports are those that a URL without one means.
var ports = map[string]string{"tcp": "601", "tls": "6514", "udp": "514", "http": "80", "https": "443"}

// Open prepares a sink. Nothing is sent or dialled yet.
func Open(c Config) (Sink, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	secure, err := c.tls()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return newOTLP(u, c.Headers, secure), nil
	}
	return newSyslog(u, secure), nil
}

func (c Config) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("its ca: %w", err)
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("its ca: %s holds no certificate in PEM", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("its cert: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
