package configs

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Schema is the JSON Schema (draft 2020-12) of a config, for editors. It has
// the keys, types, bounds, known values and meanings that [Load] goes by, and
// not what it checks between values.
func Schema() []byte {
	c := defaults()
	root := table().root.schema(&c)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "lwtrain config"
	keys := root["properties"].(map[string]any)
	keys["recipe"] = map[string]any{
		"type": "string", "enum": RecipeNames(), "description": "a shipped recipe that the file starts from; the file's own keys win",
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("configs: %v", err)) // made of maps and strings alone
	}
	return append(out, '\n')
}

// schema describes a field. c holds the defaults, nil inside a list.
func (f *field) schema(c *Config) map[string]any {
	s := map[string]any{}
	if f.doc != "" {
		s["description"] = f.doc
	}
	switch f.kind {
	case section:
		return f.object(s, f.keys, c)
	case several:
		one := f.item().schema(nil)
		delete(one, "description")
		s["anyOf"] = []any{one, map[string]any{"type": "array", "items": one}}
	case list:
		s["type"] = "array"
		s["items"] = f.element()
	case heldOut:
		s["anyOf"] = []any{
			map[string]any{"type": "number", "minimum": 0, "exclusiveMaximum": 1},
			map[string]any{"type": "integer", "minimum": 0},
			map[string]any{"type": "array", "items": f.element()},
		}
	case free:
		s["type"] = "object"
		if f.typ == reflect.TypeFor[map[string]string]() {
			s["additionalProperties"] = map[string]any{"type": "string"}
		}
	case coded:
		s["type"] = []string{"string", "integer"}
	default:
		s["type"] = map[kind]string{text: "string", whole: "integer", number: "number", boolean: "boolean"}[f.kind]
		f.constrain(s)
	}
	if c != nil && f.kind != list && f.kind != heldOut {
		if v, ok := c.leaf(f); ok && f.path != "model.path" && f.path != "output.dir" && !(f.kind == several && v.IsNil()) {
			s["default"] = v.Interface()
		}
	}
	return s
}

func (f *field) object(s map[string]any, keys []*field, c *Config) map[string]any {
	properties := map[string]any{}
	for _, k := range keys {
		properties[k.name] = k.schema(c)
	}
	s["properties"] = properties
	s["additionalProperties"] = false
	s["type"] = "object"
	if f.path != "" {
		s["type"] = []string{"object", "null"}
	}
	return s
}

func (f *field) element() map[string]any {
	e := f.object(map[string]any{}, f.keys, nil)
	e["type"] = "object"
	e["anyOf"] = []any{map[string]any{"required": []string{"path"}}, map[string]any{"required": []string{"paths"}}}
	properties := e["properties"].(map[string]any)
	properties["path"] = map[string]any{"description": properties["path"].(map[string]any)["description"],
		"anyOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}}
	return e
}

// constrain adds bounds and known values.
func (f *field) constrain(s map[string]any) {
	for key, v := range map[string]*float64{
		"minimum": f.min, "maximum": f.max, "exclusiveMinimum": f.above, "exclusiveMaximum": f.below,
	} {
		if v != nil {
			s[key] = *v
		}
	}
	if f.enum == nil {
		return
	}
	values := []any{}
	for _, e := range f.enum {
		values = append(values, e)
		if e == "true" || e == "false" {
			values = append(values, e == "true")
			delete(s, "type")
		}
	}
	s["enum"] = values
}
