// Command manifests reads deployments as the tools do that carry them out, and fails where they would: a Compose file, validated
// against the specification's schema and for what its parts refer to, as JSON; a folder of Kustomize's, built, as YAML.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "manifests: write compose FILE, or kustomize FOLDER")
		os.Exit(2)
	}
	text, err := read(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
	os.Stdout.Write(text)
}

func read(kind, path string) ([]byte, error) {
	switch kind {
	case "compose":
		options, err := cli.NewProjectOptions([]string{path})
		if err != nil {
			return nil, err
		}
		project, err := options.LoadProject(context.Background())
		if err != nil {
			return nil, err
		}
		return project.MarshalJSON()
	case "kustomize":
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
		if err != nil {
			return nil, err
		}
		return built.AsYaml()
	}
	return nil, fmt.Errorf("%q is neither compose nor kustomize", kind)
}
