package gateway

import "testing"

func TestTraceID(t *testing.T) {
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for text, want := range map[string]string{
		"00-" + id + "-" + parent + "-01":                       id,
		"01-" + id + "-" + parent + "-01-later":                 id,
		"00-" + id + "-" + parent + "-01-later":                 "",
		"ff-" + id + "-" + parent + "-01":                       "",
		"00-00000000000000000000000000000000-" + parent + "-01": "",
		"00-" + id + "-0000000000000000-01":                     "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01": "",
		"00-" + id + "-" + parent + "-01\n":                     "",
		"":                                                      "", "'; drop table audit": "",
	} {
		if got := traceID(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
