package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// document is what is read of a Kubernetes object.
type document struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string]string
	Spec     struct {
		PodSelector *map[string]any  `yaml:"podSelector"`
		PolicyTypes []string         `yaml:"policyTypes"`
		Ingress     []map[string]any `yaml:"ingress"`
		Egress      []map[string]any `yaml:"egress"`
		Template    struct{ Spec podSpec }
	}
}

type podSpec struct {
	Automount  *bool          `yaml:"automountServiceAccountToken"`
	Grace      int            `yaml:"terminationGracePeriodSeconds"`
	Security   map[string]any `yaml:"securityContext"`
	Containers []struct {
		Args      []string
		Security  map[string]any `yaml:"securityContext"`
		Liveness  map[string]any `yaml:"livenessProbe"`
		Readiness map[string]any `yaml:"readinessProbe"`
		Resources struct{ Requests, Limits map[string]string }
	}
}

// validated holds documents against the schemas of a version of Kubernetes, and returns how many there are.
func validated(text, version string) (string, error) {
	cmd := exec.Command(python("python"), "kubernetes.py", version)
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// TestKustomize builds the base as kubectl does and holds it against Kubernetes' schemas, oldest and newest that are supported; its pods
// against the restricted standard; its networks against "nothing but"; and the configuration in it against Remit itself.
func TestKustomize(t *testing.T) {
	text, err := manifests("kustomize", "../deploy/kustomize")
	if err != nil {
		t.Fatal(err)
	}
	built := string(text)
	for _, version := range []string{"1.29", "1.37"} {
		if n, err := validated(built, version); err != nil || n != fmt.Sprint(strings.Count(built, "\n---\n")+1) {
			t.Errorf("Kubernetes %s: %s documents, %v", version, n, err)
		}
	}
	for _, mistake := range [][2]string{{"readinessProbe:", "readynessProbe:"}, {"replicas: 3", "replicas: three"}, {"podSelector: {}", "selector: {}"}} {
		if _, err := validated(substitute(t, built, mistake[0], mistake[1]), "1.37"); err == nil {
			t.Errorf("%q passes the check", mistake[1])
		}
	}
	of := map[string][]document{}
	for part := range strings.SplitSeq(built, "\n---\n") {
		var d document
		if err := yaml.Unmarshal([]byte(part), &d); err != nil {
			t.Fatal(err)
		}
		of[d.Kind] = append(of[d.Kind], d)
		if d.Metadata.Namespace != "remit" && d.Kind != "Namespace" {
			t.Errorf("%s %s is outside the namespace", d.Kind, d.Metadata.Name)
		}
	}
	if len(of["Secret"]) > 0 {
		t.Error("the base brings a Secret, which would hold values")
	}
	for _, want := range []string{"Namespace", "ServiceAccount", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"} {
		if len(of[want]) == 0 {
			t.Fatalf("there is no %s", want)
		}
	}
	restricted(t, of["Deployment"][0].Spec.Template.Spec)
	nothing, some := false, false
	for _, p := range of["NetworkPolicy"] {
		s := p.Spec
		everybody := s.PodSelector != nil && len(*s.PodSelector) == 0 && len(s.PolicyTypes) == 2
		nothing = nothing || everybody && len(s.Ingress)+len(s.Egress) == 0
		for _, rule := range append(s.Ingress, s.Egress...) {
			some = true
			if rule["from"] == nil && rule["to"] == nil {
				t.Errorf("%s lets everybody through: %v", p.Metadata.Name, rule)
			}
			if strings.Contains(fmt.Sprint(rule), "app.kubernetes.io/name") { // kustomize's own addition to matchLabels
				t.Errorf("%s asks for Remit's label of others: %v", p.Metadata.Name, rule)
			}
		}
	}
	if !nothing || !some {
		t.Errorf("the network policies are not nothing but some: %+v", of["NetworkPolicy"])
	}

	// Remit reads the configuration of the pods, whose references stay references.
	dir := t.TempDir()
	config := filepath.Join(dir, "remit.yaml")
	if err := os.WriteFile(config, []byte(of["ConfigMap"][0].Data["remit.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, "config", "--config", config).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "${file:/run/secrets/remit/audit-key}") || !strings.Contains(string(out), "drain: 15s") {
		t.Errorf("remit config: %v\n%s", err, out)
	}
	if err := os.WriteFile(config, []byte(of["ConfigMap"][0].Data["remit.yaml"]+"\nlisten-on: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "config", "--config", config).CombinedOutput(); err == nil {
		t.Errorf("a setting that there is not passes: %s", out)
	}
}

// restricted holds pods against the restricted pod security standard, and against what a replica needs.
func restricted(t *testing.T, s podSpec) {
	t.Helper()
	const drain, inFlight = 15, 10
	if s.Automount == nil || *s.Automount || s.Grace < 2*(drain+inFlight) {
		t.Errorf("a token is mounted, or the end comes too soon: %+v", s)
	}
	if s.Security["runAsNonRoot"] != true || fmt.Sprint(s.Security["seccompProfile"]) != "map[type:RuntimeDefault]" || fmt.Sprint(s.Security["runAsUser"]) != "65532" {
		t.Errorf("pods may be root: %v", s.Security)
	}
	for _, c := range s.Containers {
		if c.Security["allowPrivilegeEscalation"] != false || c.Security["readOnlyRootFilesystem"] != true || fmt.Sprint(c.Security["capabilities"]) != "map[drop:[ALL]]" {
			t.Errorf("the container may more than it should: %v", c.Security)
		}
		if c.Resources.Requests["cpu"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
			t.Errorf("it is not bounded: %+v", c.Resources)
		}
		if !strings.Contains(fmt.Sprint(c.Liveness), "/healthz") || !strings.Contains(fmt.Sprint(c.Readiness), "/readyz") {
			t.Errorf("its probes are %v and %v", c.Liveness, c.Readiness)
		}
	}
}
