//go:build !amd64

package embed

func fastest() kernel { return portable }
