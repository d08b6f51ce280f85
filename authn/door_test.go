package authn_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// TestOneDoorForCredentials holds, over the parsed source, who may issue a
// credential: the one place that does, and the one that asks for it. It counts
// calls and method values under whatever name the receiver has.
func TestOneDoorForCredentials(t *testing.T) {
	var issues, logins, grants []string
	forEachSource(t, func(file, text string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		arguments := map[*ast.SelectorExpr]int{}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if called, ok := n.Fun.(*ast.SelectorExpr); ok {
					arguments[called] = len(n.Args)
				}
			case *ast.SelectorExpr:
				switch n.Sel.Name {
				case "Issue":
					issues = append(issues, file)
				case "Grant":
					grants = append(grants, file)
				case "Login":
					// Users.Login, which is the door, takes at least three.
					if count, called := arguments[n]; !called || count < 3 {
						logins = append(logins, file)
					}
				}
			}
			return true
		})
	})
	if want := []string{"backends/backend.go"}; !slices.Equal(issues, want) {
		t.Errorf("Strategy.Issue is used in %v, want %v", issues, want)
	}
	if want := []string{"authn/login.go"}; !slices.Equal(logins, want) {
		t.Errorf("LoginBackend.Login is used in %v, want %v", logins, want)
	}
	if want := []string{"authn/refresh.go"}; !slices.Equal(grants, want) {
		t.Errorf("RefreshBackend.Grant is used in %v, want %v", grants, want)
	}
}
