package fakemcp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// readCatalog reads the tools of one server from a file with a tool a line,
// and gives them the shape of the protocol.
func readCatalog(path, server string) ([]json.RawMessage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the catalog cannot be read: %w", err)
	}
	defer f.Close()
	var tools []json.RawMessage
	in := bufio.NewScanner(f)
	in.Buffer(nil, 16<<20)
	for n := 1; in.Scan(); n++ {
		var line struct {
			Server       string          `json:"server"`
			Name         json.RawMessage `json:"name"`
			Title        json.RawMessage `json:"title"`
			Description  json.RawMessage `json:"description"`
			InputSchema  json.RawMessage `json:"input_schema"`
			OutputSchema json.RawMessage `json:"output_schema"`
			Annotations  json.RawMessage `json:"annotations"`
		}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("the catalog %s has no tool on line %d: %w", path, n, err)
		}
		if line.Server != server {
			continue
		}
		tool := []byte(`{"name":` + string(line.Name))
		for _, part := range []struct {
			name string
			raw  json.RawMessage
		}{
			{"title", line.Title}, {"description", line.Description}, {"inputSchema", line.InputSchema},
			{"outputSchema", line.OutputSchema}, {"annotations", line.Annotations},
		} {
			if part.raw != nil && string(part.raw) != "null" {
				tool = fmt.Appendf(tool, `,%q:%s`, part.name, part.raw)
			}
		}
		tools = append(tools, append(tool, '}'))
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("the catalog %s cannot be read: %w", path, err)
	}
	if len(tools) == 0 {
		return nil, fmt.Errorf("the catalog %s has no tool of server %q: check the name", path, server)
	}
	return tools, nil
}
