package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"remit/internal/strictjson"
)

// Digest identifies a definition: "sha256:" and the hex SHA-256 of its canonical form, in which members are sorted and
// white space is gone but every string and every spelling of a number counts. Two definitions with one digest read the
// same to a model; any other change of a name, description, schema, annotation, icon or _meta gives another digest.
type Digest string

// DigestOf refuses JSON that two parsers could read differently, so that no two readings share a digest.
func DigestOf(definition json.RawMessage) (Digest, error) {
	canonical, err := strictjson.Canonical(definition, DefinitionLimits)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return Digest("sha256:" + hex.EncodeToString(sum[:])), nil
}

// Short is the digest as a person compares it.
func (d Digest) Short() string {
	if len(d) < 19 {
		return string(d)
	}
	return string(d[7:19])
}
