package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Schema is the JSON Schema of the file, for editors that complete and check YAML by one.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true, FieldNameTag: "yaml",
		RequiredFromJSONSchemaTags: true, Mapper: durations, LookupComment: helpOf}
	s := r.ReflectFromType(reflect.TypeFor[File]())
	s.Title = "Remit's configuration (remit.yaml)"
	annotate(s, reflect.TypeFor[File]())
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

func durations(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[Days]() {
		return &jsonschema.Schema{Type: "string", Pattern: `^[0-9]+d$|^0?$`}
	}
	if t != reflect.TypeFor[time.Duration]() {
		return nil
	}
	return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`}
}

// helpOf returns the text that --help shows for a field.
func helpOf(t reflect.Type, field string) string {
	if t.Kind() != reflect.Struct {
		return ""
	}
	f, ok := t.FieldByName(field)
	if !ok {
		return ""
	}
	help := strings.ReplaceAll(f.Tag.Get("help"), "${data}", "~/.local/share/remit")
	return strings.ReplaceAll(help, "$$", "$")
}

// annotate adds the defaults and the allowed values, which the flags have in their own tags.
func annotate(s *jsonschema.Schema, t reflect.Type) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		property, ok := s.Properties.Get(name)
		if !ok {
			continue
		}
		if f.Type.Kind() == reflect.Struct {
			annotate(property, f.Type)
		}
		if f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct && property.AdditionalProperties != nil {
			annotate(property.AdditionalProperties, f.Type.Elem())
		}
		if values := f.Tag.Get("enum"); values != "" {
			of := property
			if property.Items != nil {
				of = property.Items // each of a list is one of them
			}
			for value := range strings.SplitSeq(values, ",") {
				of.Enum = append(of.Enum, value)
			}
		}
		if text := f.Tag.Get("default"); text != "" && !strings.Contains(text, "${") {
			switch property.Type {
			case "string":
				property.Default = text
			case "array":
				property.Default = strings.Split(text, ",")
			default:
				property.Default = json.RawMessage(text)
			}
		}
	}
}
