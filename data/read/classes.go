package read

import (
	"encoding/json"
	"fmt"

	"lwtrain/internal/plainjson"
)

// feature is what Hugging Face's datasets say of a column beside its type: a class of
// ClassLabel lies there as its number, and means its name. nil: nothing.
type feature struct {
	classes []string
	element *feature            // of a list
	members map[string]*feature // of a struct
}

// featuresKey is where the metadata of a table has the features of its columns.
const featuresKey = "huggingface"

// mostFeatures bounds the values of such metadata.
const mostFeatures = 1 << 20

// featuresOf reads the features of a table's columns.
func featuresOf(metadata string) (*feature, error) {
	var known struct {
		Info struct{ Features json.RawMessage }
	}
	err := plainjson.Decode([]byte(metadata), mostFeatures, &known)
	if err == nil && known.Info.Features != nil {
		var f *feature
		if f, err = parseFeature(known.Info.Features, 0); err == nil {
			return f, nil
		}
	}
	if err != nil {
		return nil, &brokenFile{detail: fmt.Sprintf("the features of its columns, which datasets wrote: %v", err),
			hint: "write the table again, without the metadata " + featuresKey}
	}
	return nil, nil
}

// parseFeature reads a feature: {"_type": "ClassLabel", "names": [...]}, {"_type": "List", "feature": ...}
// (Sequence and LargeList are such), a list of one, or an object of those of its members.
func parseFeature(raw json.RawMessage, depth int) (*feature, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	var list, object = []json.RawMessage(nil), map[string]json.RawMessage(nil)
	if json.Unmarshal(raw, &list) == nil && len(list) == 1 {
		return listOf(list[0], depth)
	}
	if json.Unmarshal(raw, &object) != nil {
		return nil, nil
	}
	var kind string
	switch json.Unmarshal(object["_type"], &kind); {
	case kind == "ClassLabel":
		f := &feature{}
		if json.Unmarshal(object["names"], &f.classes) != nil || len(f.classes) == 0 {
			return nil, fmt.Errorf("a ClassLabel without a list of names")
		}
		return f, nil
	case kind != "" && object["feature"] != nil:
		return listOf(object["feature"], depth)
	case kind != "":
		return nil, nil
	}
	f := &feature{members: map[string]*feature{}}
	for name, member := range object {
		var err error
		if f.members[name], err = parseFeature(member, depth+1); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func listOf(raw json.RawMessage, depth int) (*feature, error) {
	element, err := parseFeature(raw, depth+1)
	if element == nil {
		return nil, err
	}
	return &feature{element: element}, nil
}

// member is the feature of a struct's member. datasets may call a struct of lists a list of structs.
func (f *feature) member(name string) *feature {
	switch {
	case f == nil:
		return nil
	case f.element != nil:
		if m := f.element.member(name); m != nil {
			return &feature{element: m}
		}
		return nil
	}
	return f.members[name]
}

// items is the feature of a list's elements.
func (f *feature) items() *feature {
	if f == nil {
		return nil
	}
	return f.element
}

// names are those of the classes that a column holds; nil: it holds none.
func (f *feature) names() []string {
	if f == nil {
		return nil
	}
	return f.classes
}

// appendClass writes the name of a class, which is told by its number, or null for none (-1).
func appendClass(dst []byte, n int64, names []string) []byte {
	switch {
	case n == -1:
		return append(dst, "null"...)
	case n < 0 || n >= int64(len(names)):
		panic(fmt.Errorf("the class %d, where there are %d names", n, len(names)))
	}
	return appendText(dst, names[n])
}
