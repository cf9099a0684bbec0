package policy

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Bounds of a condition. What a call may make it cost is in CEL's units, about one for an operation and one for ten characters
// that are read; a condition that costs more refuses. The dearest unit measured, of a pattern, makes that 30 to 50 ms of a processor.
const (
	maxCondition      = 2_000   // characters
	maxMessage        = 500     // bytes
	maxConditionNodes = 2_000   // of the expression, macros expanded
	maxConditionCost  = 100_000 // units of one condition in one call
	maxRegexProgram   = 1_000   // instructions of a pattern
)

// condition is compiled. Its program is safe for concurrent use.
type condition struct {
	Condition
	program cel.Program
}

// conditions is the language of conditions, made when the first is compiled. Of the macros, those that build lists are left out:
// what a call makes a condition keep is then no larger than the call.
var conditions = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("args", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("agent", cel.StringType),
		cel.Variable("user", cel.StringType),
		cel.Variable("persona", cel.StringType),
		cel.Variable("now", cel.TimestampType),
		cel.ClearMacros(), cel.Macros(cel.HasMacro, cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro),
		cel.CrossTypeNumericComparisons(true), // 5 <= 5.5
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserRecursionLimit(50),
		cel.ExpressionNodeLimit(maxConditionNodes),
		cel.RegexProgramSizeLimit(maxRegexProgram),
	)
})

func (c Condition) compile() (condition, error) {
	k := condition{Condition: c}
	switch {
	case strings.TrimSpace(c.CEL) == "":
		return k, errors.New("the expression is empty")
	case utf8.RuneCountInString(c.CEL) > maxCondition:
		return k, fmt.Errorf("the expression has more than %d characters", maxCondition)
	case len(c.Message) > maxMessage || !utf8.ValidString(c.Message):
		return k, fmt.Errorf("the message is a text of at most %d bytes", maxMessage)
	}
	env, err := conditions()
	if err != nil {
		return k, err
	}
	checked, issues := env.Compile(c.CEL)
	if issues.Err() != nil {
		return k, inWords(issues)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return k, fmt.Errorf("the expression has to be true or false, but is %s; a member is compared, as in args.urgent == true", checked.OutputType())
	}
	if err := exact(checked.NativeRep()); err != nil {
		return k, err
	}
	k.program, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize),
		cel.CostLimit(maxConditionCost), cel.CostTracking(prices{}))
	return k, err
}

// prices are what operators cost that CEL takes for one unit each when the types of their operands are not known before the call,
// however large these are.
type prices struct{}

var sizes = types.NewSizeCalculator(types.SizeCalculatorMaxDepth(2*maxDepth), types.SizeCalculatorMaxTraversal(2*maxValues))

func (prices) CallCost(function, _ string, operands []ref.Val, result ref.Val) *uint64 {
	var cost uint64
	switch function {
	case operators.Add:
		cost = 1 + uint64(sizes.AggregateSize(result))
	case operators.Equals, operators.NotEquals, operators.In, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		for _, o := range operands {
			cost += uint64(sizes.AggregateSize(o))
		}
	default:
		return nil
	}
	return &cost
}

// inWords is the first problem of an expression, with its place.
func inWords(issues *cel.Issues) error {
	first := issues.Errors()[0]
	text, _, _ := strings.Cut(first.Message, " (in container ")
	if short := []rune(text); len(short) > 200 {
		text = string(short[:200]) + "…"
	}
	return fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, text)
}

// exact refuses what makes a condition mean something else than it reads: a pattern that the call chooses, and a number that is
// rounded before it is compared.
func exact(expression *ast.AST) error {
	var problem error
	at := func(e ast.Expr, text string) {
		if place := expression.SourceInfo().GetStartLocation(e.ID()); problem == nil {
			problem = fmt.Errorf("line %d, column %d: %s", place.Line(), place.Column()+1, text)
		}
	}
	ast.PreOrderVisit(expression.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.CallKind:
			call := e.AsCall()
			if n := len(call.Args()); call.FunctionName() == "matches" && n > 0 && call.Args()[n-1].Kind() != ast.LiteralKind {
				at(e, "the pattern of matches is written in the condition, not taken from the call")
			}
		case ast.LiteralKind:
			if d, ok := e.AsLiteral().(types.Double); ok && (d >= maxExact || d <= -maxExact) {
				at(e, "a number of this size is rounded; write it without a point or an exponent")
			}
		}
	}))
	return problem
}

// meets says which condition the call does not meet; empty when it meets all. A condition that cannot be evaluated is not met.
// No error of an evaluation is passed on, since it can hold values of the call.
func (c *Compiled) meets(call Call) string {
	if len(c.conditions) == 0 {
		return ""
	}
	variables, err := call.variables()
	if err != nil {
		return "the conditions could not be evaluated: " + err.Error()
	}
	for _, k := range c.conditions {
		if why := k.unmet(variables); why != "" {
			return why
		}
	}
	return ""
}

// variables are what an expression may speak of.
func (call Call) variables() (map[string]any, error) {
	args, err := values(call.Arguments.Text)
	return map[string]any{"args": args, "agent": call.Agent, "user": call.User, "persona": call.Persona, "now": call.Now.UTC()}, err
}

func (k condition) unmet(variables map[string]any) string {
	result, _, err := k.program.Eval(variables)
	switch {
	case err != nil:
		return "a condition could not be evaluated for this call: " + k.text()
	case result != types.True:
		return k.text()
	}
	return ""
}

// text is the message, or else the condition itself.
func (k condition) text() string {
	if k.Message != "" {
		return k.Message
	}
	return "it has to be true that " + k.CEL
}
