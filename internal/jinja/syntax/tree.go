package syntax

// Expr is an expression: one of the types below, by pointer.
type Expr any

type (
	// Const is a constant, as what [Parse] was given makes it.
	Const struct{ Value any }
	// Name is the value of a variable.
	Name struct {
		Name string
		Line int
	}
	// List is a list, or a tuple.
	List struct {
		Items []Expr
		Tuple bool
	}
	// Dict is {key: value}.
	Dict struct {
		Keys, Values []Expr
		Line         int
	}
	// Attr is object.name.
	Attr struct {
		Object Expr
		Name   string
		Line   int
	}
	// Index is object[index].
	Index struct {
		Object, Index Expr
		Line          int
	}
	// Slice is object[start:stop:step]; any of them may be nil.
	Slice struct {
		Object, Start, Stop, Step Expr
		Line                      int
	}
	// Call is callee(args).
	Call struct {
		Callee Expr
		Args   Args
		Line   int
	}
	// Filter is input|name(args). Input is nil in a filter block: the block's text.
	Filter struct {
		Input Expr
		Name  string
		Args  Args
		Line  int
	}
	// Test is input is name(args), or is not.
	Test struct {
		Input Expr
		Name  string
		Not   bool
		Args  Args
		Line  int
	}
	// Unary is an operand behind a sign or behind "not".
	Unary struct {
		Op      string
		Operand Expr
		Line    int
	}
	// Binary is left op right.
	Binary struct {
		Op          string
		Left, Right Expr
		Line        int
	}
	// Concat is a ~ b ~ c.
	Concat struct{ Parts []Expr }
	// And is left and right.
	And struct{ Left, Right Expr }
	// Or is left or right.
	Or struct{ Left, Right Expr }
	// Compare is first ops[0] rest[0] ops[1] rest[1] ...
	Compare struct {
		First Expr
		Ops   []string
		Rest  []Expr
		Line  int
	}
	// Ternary is then if cond else otherwise; nil: undefined.
	Ternary struct {
		Then, Cond, Otherwise Expr
		Line                  int
	}
)

// Args are the arguments of a call, a filter or a test.
type Args struct {
	Pos        []Expr
	Names      []string // of the values in Named
	Named      []Expr
	Star, Dict Expr // *star, **dict; nil if absent
}

// Stmt is a statement: one of the types below, by pointer.
type Stmt any

type (
	// Text is the template's own text.
	Text struct{ Text string }
	// Print is {{ value }}.
	Print struct {
		Value Expr
		Line  int
	}
	// If has one more body than conditions if there is an else.
	If struct {
		Conds  []Expr
		Bodies [][]Stmt
		Line   int
	}
	// For runs Body for each item of List that Cond, which may be nil, holds for, and
	// None if there is no such.
	For struct {
		Target     Target
		List, Cond Expr
		Body, None []Stmt
		Recursive  bool
		Line       int
	}
	// Set is {% set target = value %}.
	Set struct {
		Target Target
		Value  Expr
		Line   int
	}
	// SetBlock is {% set target | filters %}body{% endset %}.
	SetBlock struct {
		Target  Target
		Filters []*Filter
		Body    []Stmt
		Line    int
	}
	// With is {% with target = value %}body{% endwith %}.
	With struct {
		Targets []Target
		Values  []Expr
		Body    []Stmt
		Line    int
	}
	// FilterBlock is {% filter filters %}body{% endfilter %}.
	FilterBlock struct {
		Filters []*Filter
		Body    []Stmt
		Line    int
	}
	// Macro defines a macro.
	Macro struct {
		Name     string
		Params   []string
		Defaults []Expr // of the last params
		Body     []Stmt
		Free     map[string]bool // which of varargs, kwargs and caller the body reads
		Line     int
	}
	// CallBlock is {% call(params) callee(args) %}body{% endcall %}.
	CallBlock struct {
		Call   *Call
		Caller *Macro
		Line   int
	}
	// Generation is {% generation %}body{% endgeneration %}.
	Generation struct {
		Body []Stmt
		Line int
	}
	// Flow is {% break %} or {% continue %}.
	Flow struct{ Break bool }
)

// Target is what a value is assigned to: a name, an attribute of a namespace,
// or several of these.
type Target struct {
	Name, Attr string
	Parts      []Target // a tuple if it is not nil
}
