package web

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// guard puts before every route what must hold for all: headers, the Host allow-list, the cross-origin check, the limit.
func (s *site) guard(next http.Handler) (http.Handler, error) {
	cross := http.NewCrossOriginProtection()
	if s.public != nil {
		if err := cross.AddTrustedOrigin(s.public.Scheme + "://" + s.public.Host); err != nil {
			return nil, err
		}
	}
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, s.Hosts...)
	if s.public != nil {
		hosts = append(hosts, s.public.Hostname())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if s.https(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !slices.ContainsFunc(hosts, func(name string) bool { return strings.EqualFold(name, hostname(r.Host)) }) {
			http.Error(w, "This site does not answer to that host name. Use its configured public address.", http.StatusMisdirectedRequest)
			return
		}
		if err := cross.Check(r); err != nil {
			http.Error(w, "This form was sent from another site and was refused. Open Remit itself and try again.", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	}), nil
}

// hostname is a Host header without its port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// https says whether people reach the site over TLS, ended here or at a proxy.
func (s *site) https(r *http.Request) bool {
	return r.TLS != nil || s.public != nil && s.public.Scheme == "https"
}

// origin is where people and agents reach Remit, without a slash at the end.
func (s *site) origin(r *http.Request) string {
	switch {
	case s.public != nil:
		return s.public.String()
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
