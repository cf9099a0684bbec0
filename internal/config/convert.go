package config

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Import is the outcome of taking servers over from other clients' files.
type Import struct {
	Add   map[string]Upstream // ready for the file: secrets are references
	From  map[string]string   // the file that each came from
	Set   []string            // environment variables that the references need, sorted; never their values
	Lines []string            // what was left out or changed, in words for a person

	values map[string]string // secret values by variable, to give equal ones one name and others another
}

// NewImport starts an empty import.
func NewImport() *Import {
	return &Import{Add: map[string]Upstream{}, From: map[string]string{}, values: map[string]string{}}
}

var (
	unusableName = regexp.MustCompile(`[^a-z0-9._-]+`)
	unusableVar  = regexp.MustCompile(`[^A-Z0-9_]+`)
	clientRef    = regexp.MustCompile(`\$\{(env|input):([^{}]+)\}`)
	anyRef       = regexp.MustCompile(`\$\{([^{}]*)\}`)
)

// Take adds the servers of one file.
func (im *Import) Take(path string, servers []ClientServer) {
	for _, s := range servers {
		name, u := cleanName(s.Name), im.referencesOf(s.Upstream)
		if s.Skip == "" {
			s.Skip = unknownReference(u)
		}
		if s.Skip != "" {
			im.say("%s: left out: %s", s.Name, s.Skip)
			continue
		}
		u = im.withoutSecrets(name, u)
		free, known := im.place(name, u)
		if known {
			im.say("%s: left out: %s has the same server", s.Name, im.From[free])
			continue
		}
		if free != s.Name {
			im.say("%s: named %s", s.Name, free)
		}
		for _, note := range s.Notes {
			im.say("%s: %s", free, note)
		}
		im.Add[free], im.From[free] = u, path
	}
	im.Set = im.variables()
}

func (im *Import) say(format string, args ...any) {
	im.Lines = append(im.Lines, fmt.Sprintf(format, args...))
}

func cleanName(name string) string {
	name = strings.Trim(unusableName.ReplaceAllString(strings.ToLower(name), "-"), "-.")
	if name == "" {
		name = "server"
	}
	return name[:min(len(name), 60)]
}

// place returns a name that is free among the servers taken so far, or the one under which u was taken already.
func (im *Import) place(name string, u Upstream) (free string, known bool) {
	for i := 1; ; i++ {
		free = name
		if i > 1 {
			free = fmt.Sprintf("%s-%d", name, i)
		}
		other, taken := im.Add[free]
		if !taken {
			return free, false
		}
		if reflect.DeepEqual(other, u) {
			return free, true
		}
	}
}

// referencesOf writes the client's own forms as ours: ${env:NAME} and ${input:id}.
func (im *Import) referencesOf(u Upstream) Upstream {
	return u.mapped(func(text string) string {
		text = strings.ReplaceAll(text, "${userHome}", "${HOME}")
		return clientRef.ReplaceAllStringFunc(text, func(ref string) string {
			m := clientRef.FindStringSubmatch(ref)
			if m[1] == "env" {
				return "${" + m[2] + "}"
			}
			return "${" + variable(m[2]) + "}"
		})
	})
}

func variable(words ...string) string {
	name := strings.Trim(unusableVar.ReplaceAllString(strings.ToUpper(strings.Join(words, "_")), "_"), "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "V_" + name
	}
	return name
}

// unknownReference says which reference of u only the editor can resolve.
func unknownReference(u Upstream) (why string) {
	u.mapped(func(text string) string {
		for _, m := range anyRef.FindAllStringSubmatch(text, -1) {
			name, _, _ := strings.Cut(m[1], ":-")
			if why == "" && (!variableName.MatchString(name) || name == "workspaceFolder" || name == "pathSeparator") {
				why = fmt.Sprintf("it uses ${%s}, which only the editor knows: write the value there and import again", m[1])
			}
		}
		return text
	})
	return why
}

// mapped returns u with change applied to every text.
func (u Upstream) mapped(change func(string) string) Upstream {
	u.Command, u.Dir, u.URL = change(u.Command), change(u.Dir), change(u.URL)
	u.Args = slices.Clone(u.Args)
	for i := range u.Args {
		u.Args[i] = change(u.Args[i])
	}
	u.Env, u.Headers = maps.Clone(u.Env), maps.Clone(u.Headers)
	for _, values := range []map[string]string{u.Env, u.Headers} {
		for name, value := range values {
			values[name] = change(value)
		}
	}
	return u
}

// withoutSecrets replaces what looks like a secret by a reference to an environment variable.
func (im *Import) withoutSecrets(server string, u Upstream) Upstream {
	for _, name := range slices.Sorted(maps.Keys(u.Env)) {
		if value := u.Env[name]; looksSecret(name, value) {
			u.Env[name] = im.refer(value, variable(name), variable(server, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.Headers)) {
		if value := u.Headers[name]; looksSecret(name, value) {
			kept := scheme.FindString(value)
			u.Headers[name] = kept + im.refer(value[len(kept):], variable(server, name))
		}
	}
	for _, arg := range secretArgs(u.Args) {
		text := u.Args[arg.index]
		u.Args[arg.index] = text[:arg.start] + im.refer(text[arg.start:], variable(server, "ARG", fmt.Sprint(arg.index+1)))
	}
	u.URL = im.urlWithoutSecrets(server, u.URL)
	return u
}

func (im *Import) urlWithoutSecrets(server, text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	if u.User != nil {
		return im.refer(text, variable(server, "URL"))
	}
	for _, name := range secretQuery(text) {
		value := u.Query().Get(name)
		ref := im.refer(value, variable(server, name))
		text = strings.NewReplacer("="+url.QueryEscape(value), "="+ref, "="+value, "="+ref).Replace(text)
	}
	return text
}

// refer returns a reference by the first of the names that does not stand for another value.
func (im *Import) refer(value string, names ...string) string {
	for i := 0; ; i++ {
		name := names[min(i, len(names)-1)]
		if i >= len(names) {
			name = fmt.Sprintf("%s_%d", name, i)
		}
		if old, taken := im.values[name]; !taken || old == value {
			im.values[name] = value
			return "${" + name + "}"
		}
	}
}

// variables returns the environment variables that the references of the servers to add need, sorted; never their values.
func (im *Import) variables() []string {
	var out []string
	for _, u := range im.Add {
		u.mapped(func(text string) string {
			for _, m := range reference.FindAllStringSubmatch(text, -1) {
				name, _, hasDefault := strings.Cut(m[1], ":-")
				if variableName.MatchString(name) && name != "HOME" && !hasDefault && !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
			return text
		})
	}
	slices.Sort(out)
	return out
}
