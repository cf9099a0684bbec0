package config

import "bytes"

// plainJSON takes comments and trailing commas out of JSON as editors write it. Each removed byte becomes a space, so
// positions in errors stay true; text within strings is not touched.
func plainJSON(text []byte) []byte {
	out := bytes.Clone(text)
	comma := -1 // position of a comma after which nothing came yet
	for i := 0; i < len(out); i++ {
		switch out[i] {
		case '"':
			comma = -1
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
		case '/':
			i = blank(out, i)
		case ',':
			comma = i
		case '}', ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case ' ', '\t', '\n', '\r':
		default:
			comma = -1
		}
	}
	return out
}

// blank overwrites the comment that begins at i, if one does, and returns its last byte's position.
func blank(out []byte, i int) int {
	end := -1
	switch {
	case bytes.HasPrefix(out[i:], []byte("//")):
		if end = bytes.IndexByte(out[i:], '\n'); end < 0 {
			end = len(out) - i
		}
	case bytes.HasPrefix(out[i:], []byte("/*")):
		if end = bytes.Index(out[i+2:], []byte("*/")) + 4; end < 4 {
			return i // it never ends: left for the decoder to complain about
		}
	default:
		return i
	}
	for k := i; k < i+end; k++ {
		if out[k] != '\n' {
			out[k] = ' '
		}
	}
	return i + end - 1
}
