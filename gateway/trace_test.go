package gateway

import (
	"strings"
	"testing"
)

func TestTraceID(t *testing.T) {
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for text, want := range map[string]string{
		"00-" + id + "-" + parent + "-01":                             id,
		"01-" + id + "-" + parent + "-01-later":                       id,
		"00-" + id + "-" + parent + "-01-later":                       "",
		"ff-" + id + "-" + parent + "-01":                             "",
		"00-00000000000000000000000000000000-" + parent + "-01":       "",
		"00-" + id + "-0000000000000000-01":                           "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01":       "",
		"00-" + id + "-" + parent + "-01\n":                           "",
		"01-" + id + "-" + parent + "-01-" + strings.Repeat("x", 100): "",
		"": "", "'; drop table audit": "",
	} {
		if got := traceID(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestTraceState(t *testing.T) {
	for state, want := range map[string]bool{
		"a=1": true, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE": true, " a=1 ,\tb@c=2,": true, "tenant@system=a b": true, "a=" + strings.Repeat("v", 256): true,
		strings.Repeat("a=1,", 8)[:3]: true, "": false, ",": false, "a": false, "a=": false, "=1": false, "A=1": false, "a=1,a=2": false, "a=b=c": false,
		"a=\x00": false, "a=ü": false, "a=1\r\nX: y": false, "some words": false, "a=" + strings.Repeat("v", 257): false,
		strings.Repeat(",", 32) + "a=1": false, strings.Repeat("a=1", 400): false,
	} {
		if got := validState(state); got != want {
			t.Errorf("%.60q: got %v, want %v", state, got, want)
		}
	}
}
