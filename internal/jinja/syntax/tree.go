package jinja

// expr is an expression; eval panics with an *Error when it fails.
type expr interface {
	eval(r *run) Value
}

// stmt is a statement.
type stmt interface {
	exec(r *run) control
}

// control tells a loop how its body ended.
type control uint8

const (
	flowNext control = iota
	flowBreak
	flowContinue
)

type (
	constExpr struct{ value Value }
	nameExpr  struct {
		name string
		line int
	}
	listExpr struct {
		items []expr
		tuple bool
	}
	dictExpr struct {
		keys, values []expr
		line         int
	}
	attrExpr struct { // object.name
		object expr
		name   string
		line   int
	}
	indexExpr struct { // object[index]
		object, index expr
		line          int
	}
	sliceExpr struct { // object[start:stop:step]; any of them may be nil
		object, start, stop, step expr
		line                      int
	}
	callExpr struct {
		callee expr
		args   argExprs
		line   int
	}
	filterExpr struct {
		input expr // nil in a filter block: the block's text
		name  string
		args  argExprs
		line  int
	}
	testExpr struct {
		input expr
		name  string
		not   bool
		args  argExprs
		line  int
	}
	unaryExpr struct {
		op      string
		operand expr
		line    int
	}
	binaryExpr struct {
		op          string
		left, right expr
		line        int
	}
	concatExpr  struct{ parts []expr } // a ~ b ~ c
	andExpr     struct{ left, right expr }
	orExpr      struct{ left, right expr }
	compareExpr struct { // first op[0] rest[0] op[1] rest[1] ...
		first expr
		ops   []string
		rest  []expr
		line  int
	}
	ternaryExpr struct {
		then, cond, otherwise expr // otherwise may be nil: undefined
		line                  int
	}
)

// argExprs are the arguments of a call, a filter or a test.
type argExprs struct {
	pos        []expr
	names      []string // of the values in named
	named      []expr
	star, dict expr // *star, **dict; nil if absent
}

type (
	textStmt   struct{ text string }
	outputStmt struct {
		value expr
		line  int
	}
	ifStmt struct {
		conds  []expr
		bodies [][]stmt // one more than conds if there is an else
		line   int
	}
	forStmt struct {
		target     target
		list, cond expr // cond may be nil
		body, none []stmt
		recursive  bool
		line       int
	}
	setStmt struct {
		target target
		value  expr
		line   int
	}
	setBlockStmt struct {
		target  target
		filters []*filterExpr
		body    []stmt
		line    int
	}
	withStmt struct {
		targets []target
		values  []expr
		body    []stmt
		line    int
	}
	filterStmt struct {
		filters []*filterExpr
		body    []stmt
		line    int
	}
	macroStmt struct {
		name     string
		params   []string
		defaults []expr // of the last params
		body     []stmt
		free     map[string]bool // which of varargs, kwargs and caller the body reads
		line     int
	}
	callStmt struct { // {% call(params) callee(args) %}body{% endcall %}
		call   *callExpr
		caller *macroStmt
		line   int
	}
	generationStmt struct {
		body []stmt
		line int
	}
	flowStmt struct{ flow control }
)

// target is what a value is assigned to: a name, an attribute of a namespace,
// or several of these.
type target struct {
	name, attr string
	parts      []target // a tuple if it is not nil
}
