// Package layers is the table of who may import whom, as a test. It parses the files itself, so that no cached answer of
// the go command stands in for them. A new package or arrow is a line here that a reviewer reads.
package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// allowed lists, for each package, which of ours it may import. Command packages may import all.
var allowed = map[string][]string{
	"audit":                   {}, // whatever decides or changes can write to the record
	"audit/notary":            {"audit", "internal/durable"},
	"audit/ship":              {"audit"},
	"identity":                {"audit", "internal/invalid", "policy"}, // an access key has limits of its own
	"internal/invalid":        {},
	"identity/oidc":           {"identity", "internal/outbound", "internal/strictjson"},
	"internal/strictjson":     {},
	"catalog":                 {"internal/strictjson"},
	"catalog/vector":          {"catalog"},
	"catalog/tokens":          {},
	"catalog/embed":           {"catalog/embed/modelfile"},
	"catalog/embed/modelfile": {},
	"catalog/crawl":           {"catalog", "upstream"},
	"upstream":                {"internal/strictjson"},
	"credential":              {"audit", "identity", "internal/outbound", "internal/strictjson", "upstream"},
	"persona":                 {"audit", "catalog", "identity", "internal/invalid", "policy"},
	"persona/manifest":        {"catalog", "identity", "persona", "policy"},
	"persona/usage":           {"audit", "catalog", "identity", "persona"},
	"policy":                  {"internal/strictjson"},
	"composer":                {"catalog", "composer/trees", "internal/visible", "persona", "policy", "prompts"},
	"composer/trees":          {},
	"composer/fit":            nil,
	"prompts":                 {},
	"internal/llm":            {"composer", "prompts"}, // composer declares what a model is asked
	"approval":                {"audit", "identity"},
	"approval/webhook":        {"approval"},
	"gateway":                 {"approval", "audit", "catalog", "identity", "internal/remote", "internal/strictjson", "internal/visible", "persona", "policy", "upstream"},
	"gateway/replay":          {"audit", "gateway", "persona", "policy"},
	"store":                   {"approval", "audit", "catalog", "catalog/crawl", "credential", "evals", "identity", "internal/durable", "persona", "policy"},
	"evals":                   {"catalog", "composer", "persona", "policy"},
	"evals/world":             {"approval", "audit", "catalog", "evals", "gateway", "identity", "internal/fakemcp", "persona", "policy", "store", "upstream"},
	"evals/page":              {"evals", "internal/visible"},
	"web":                     {"approval", "audit", "catalog", "catalog/crawl", "composer", "credential", "evals", "evals/page", "identity", "internal/invalid", "internal/remote", "internal/strictjson", "internal/visible", "persona", "persona/usage", "policy", "upstream", "web/api"},
	"web/api":                 {"approval", "audit", "catalog", "evals", "identity", "internal/invalid", "persona", "policy"},
	"internal/config":         {"credential", "upstream"},
	"internal/outbound":       {},
	"internal/fakeoauth":      {},
	"internal/demo":           {},
	"internal/telemetry":      {"audit", "catalog/crawl", "gateway", "internal/strictjson", "persona", "upstream"},
	"internal/fakemcp":        {},
	"internal/fakeoidc":       {},
	"internal/visible":        {},
	"internal/remote":         {},
	"internal/slowbody":       {},
	"internal/durable":        {},
	"internal/fakeopenai":     {},
	"internal/services":       {},
	"internal/coord":          {"policy"},
	"cmd/remit":               nil,
	"bench/backing":           {"internal/services"},
	"bench/prepare":           nil,
	"bench/table":             nil,
	"catalog/embed/convert":   nil,
	"e2e/gosdk":               {}, // a module of its own
	"e2e/manifests":           {}, // another
}

// owners lists which packages may import a third-party module, and why it is there.
var owners = map[string][]string{
	"github.com/mark3labs/mcp-go":              {"upstream", "internal/demo"},                                                                                              // MCP transports; demo servers
	"github.com/sashabaranov/go-openai":        {"internal/llm"},                                                                                                           // the only caller of a model
	"github.com/philippgille/chromem-go":       {"catalog/vector"},                                                                                                         // keeps the vectors in memory
	"github.com/labstack/echo/v4":              {"web"},                                                                                                                    // routes of the site
	"github.com/invopop/jsonschema":            {"internal/config", "evals", "web", "composer"},                                                                            // JSON Schema of the configuration file, of suites, of the API and of a model's answers
	"github.com/go-json-experiment/json":       {"internal/strictjson", "gateway", "upstream", "persona", "persona/manifest", "policy", "internal/config", "evals", "web"}, // JSON without ambiguity
	"github.com/santhosh-tekuri/jsonschema/v6": {"gateway"},                                                                                                                // arguments against input schemas
	"github.com/yosida95/uritemplate/v3":       {"gateway"},                                                                                                                // which URIs a resource template stands for (RFC 6570), in linear time
	"cel.dev/cel-go":                           {"policy"},                                                                                                                 // conditions on a call: typed, bounded in cost, without loops or effects
	"modernc.org/sqlite":                       {"store"},                                                                                                                  // SQLite without cgo
	"github.com/jackc/pgx/v5":                  {"store", "internal/services", "bench/backing"},                                                                            // PostgreSQL, with notifications
	"github.com/redis/go-redis/v9":             {"internal/coord"},                                                                                                         // limits that replicas share
	"github.com/pressly/goose/v3":              {"store"},                                                                                                                  // migrations
	"github.com/oklog/ulid/v2":                 {"store"},                                                                                                                  // sortable unique ids
	"github.com/tiktoken-go/tokenizer":         {"catalog/tokens"},                                                                                                         // o200k tokens
	"github.com/cenkalti/backoff/v5":           {"upstream", "internal/llm", "audit/ship", "approval/webhook"},                                                             // retry delays
	"github.com/alecthomas/kong":               {"cmd/remit", "internal/config"},                                                                                           // flags, environment, help
	"github.com/goccy/go-yaml":                 {"internal/config", "evals", "persona/manifest"},                                                                           // strict YAML that keeps comments and places
	"github.com/agnivade/levenshtein":          {"internal/config"},                                                                                                        // nearest valid key
	"github.com/schollz/progressbar/v3":        {"cmd/remit"},                                                                                                              // progress of a crawl
	"go.opentelemetry.io/otel":                 {"internal/telemetry"},                                                                                                     // traces: the SDK and its OTLP exporter
	"github.com/prometheus/client_golang":      {"internal/telemetry"},                                                                                                     // metrics: reads state when it is scraped, and lints names, which OpenTelemetry's exporter does not
	"github.com/coreos/go-oidc/v3":             {"identity/oidc"},                                                                                                          // discovery, key sets, signatures of ID and logout tokens
	"golang.org/x/oauth2":                      {"credential", "identity/oidc"},                                                                                            // authorization code with PKCE
	"code.dny.dev/ssrf":                        {"internal/outbound"},                                                                                                      // refuses private addresses when dialling
	"go.opentelemetry.io/proto/otlp":           {"audit/ship"},                                                                                                             // OTLP logs
	"google.golang.org/protobuf":               {"audit/ship"},                                                                                                             // their encoding
	"github.com/leodido/go-syslog/v4":          {"audit/ship"},                                                                                                             // messages of RFC 5424
	"golang.org/x/mod":                         {"audit/notary"},                                                                                                           // signed notes, the form of transparency logs' checkpoints
	"github.com/compose-spec/compose-go/v2":    {"e2e/manifests"},                                                                                                          // reads Compose files as docker compose does, in tests
	"sigs.k8s.io/kustomize":                    {"e2e/manifests"},                                                                                                          // builds the Kustomize base as kubectl does, in tests
	"github.com/modelcontextprotocol/go-sdk":   {"e2e/gosdk"},                                                                                                              // the official Go SDK as a client, in tests
	"golang.org/x/crypto":                      {"identity"},                                                                                                               // argon2id
	"golang.org/x/sync":                        {"catalog", "catalog/crawl", "cmd/remit", "credential", "evals", "store"},                                                  // errgroup, singleflight
	"golang.org/x/sys":                         {"catalog/embed", "catalog/vector"},                                                                                        // processor features
	"golang.org/x/term":                        {"cmd/remit"},                                                                                                              // is it a terminal?
	"golang.org/x/text":                        {"catalog/embed", "gateway", "policy"},                                                                                     // NFKC, also before masking; the validator's messages
	"golang.org/x/time":                        {"credential", "identity/oidc", "internal/llm", "web"},                                                                     // rate limits
}

// modelFree must not reach a model, an embedding or a prompt: the gateway runs without them.
var modelFree = []string{"prompts", "internal/llm", "catalog/embed", "catalog/vector", "composer"}

const module = "remit/"

// imports returns what each package of ours imports in its non-test files.
func imports(t *testing.T) map[string][]string {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]bool{}
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && file != root) {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(file, "go.mod")); d.IsDir() && file != root && err == nil {
			return filepath.SkipDir // a module of its own
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(dir)
		if found[pkg] == nil {
			found[pkg] = map[string]bool{}
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[pkg][p] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for pkg, set := range found {
		for p := range set {
			out[pkg] = append(out[pkg], p)
		}
		sort.Strings(out[pkg])
	}
	return out
}

func TestImports(t *testing.T) {
	for pkg, list := range imports(t) {
		may, known := allowed[pkg]
		if !known {
			t.Errorf("package %s is not in the table: add a line that says what it may import", pkg)
			continue
		}
		for _, p := range list {
			if ours, ok := strings.CutPrefix(p, module); ok {
				if may != nil && !slices.Contains(may, ours) {
					t.Errorf("%s imports %s, which the table does not allow", pkg, ours)
				}
				continue
			}
			if host, _, _ := strings.Cut(p, "/"); strings.Contains(host, ".") {
				if mod := owner(p); !slices.Contains(owners[mod], pkg) {
					t.Errorf("%s imports %s, which it does not own", pkg, p)
				}
			}
		}
	}
}

// owner returns the module of the table that holds the package.
func owner(p string) string {
	for mod := p; mod != "."; mod = path.Dir(mod) {
		if _, ok := owners[mod]; ok {
			return mod
		}
	}
	return p
}

func TestGatewayReachesNoModel(t *testing.T) {
	graph := imports(t)
	reached := map[string]bool{}
	var walk func(pkg string)
	walk = func(pkg string) {
		for _, p := range graph[pkg] {
			if ours, ok := strings.CutPrefix(p, module); ok && !reached[ours] {
				reached[ours] = true
				walk(ours)
			}
		}
	}
	walk("gateway")
	if len(reached) == 0 {
		t.Fatal("the gateway imports nothing of ours: the walk is broken")
	}
	for _, bad := range modelFree {
		if reached[bad] {
			t.Errorf("package gateway reaches %s", bad)
		}
	}
}

// Every package says what it owns.
func TestPackageComments(t *testing.T) {
	for pkg := range imports(t) {
		files, err := filepath.Glob(filepath.Join("../..", pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && !strings.HasSuffix(file, "_test.go") &&
				(strings.Contains(string(text), "// Package "+path.Base(pkg)+" ") || strings.Contains(string(text), "// Command "))
		}) {
			t.Errorf("package %s has no comment that begins with its name", pkg)
		}
	}
}
