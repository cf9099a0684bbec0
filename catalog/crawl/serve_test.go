package crawl_test

import (
	"net/http"
	"net/http/httptest"
)

func serve(h http.Handler) (url string, stop func()) {
	s := httptest.NewServer(h)
	return s.URL, func() { s.CloseClientConnections(); s.Close() }
}
