// Command chart reads the output of several rounds of go test -bench, and draws
// as SVG what requests cost relative to what is written by hand.
package main

import (
	"fmt"
	"html"
	"log"
	"os"

	"github.com/echo-users/echo-users/bench/internal/results"
)

type bar struct{ label, name string }

var panels = []struct {
	title, floor string
	bars         []bar
}{
	{"A guard, and the user is in memory (× HMAC and JSON by hand)", "Stateless/by-hand/good", []bar{
		{"by hand", "Stateless/by-hand/good"},
		{"echo-users", "Stateless/ours-cached/good"},
		{"echo-users, token kept", "Stateless/ours-verified-cached/good"},
		{"echo-jwt", "Stateless/echo-jwt/good"},
		{"gin-jwt", "Stateless/gin-jwt/good"},
		{"go-pkgz/auth", "Stateless/go-pkgz-auth/good"},
		{"jwtauth", "Stateless/jwtauth/good"},
	}},
	{"A guard, and the user is in Postgres (× that and one prepared query)", "Load/postgres/by-hand/1", []bar{
		{"by hand", "Load/postgres/by-hand/1"},
		{"echo-users", "Load/postgres/ours/1"},
		{"echo-users, user cache", "Load/postgres/ours-cached/1"},
		{"echo-jwt and GORM's First", "Load/postgres/echo-jwt+First/1"},
	}},
	{"A stored token and its user in Postgres (× two queries through pgx)", "Tokens/database/by-hand", []bar{
		{"by hand, two queries", "Tokens/database/by-hand"},
		{"echo-users", "Tokens/database/ours"},
		{"scs and a query", "Tokens/database/scs"},
	}},
}

const (
	width, left, right = 720, 190, 60
	row, thickness     = 24, 14
)

func main() {
	r, err := results.Read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	var body string
	y := 8
	for _, panel := range panels {
		most := 0.0
		for _, bar := range panel.bars {
			ratio, _ := r.Ratio(bar.name, panel.floor, "ns/op")
			most = max(most, ratio)
		}
		if most == 0 {
			continue
		}
		y += row
		body += fmt.Sprintf("<text class=\"title\" x=\"8\" y=\"%d\">%s</text>\n", y, html.EscapeString(panel.title))
		y += 10
		for _, bar := range panel.bars {
			ratio, ok := r.Ratio(bar.name, panel.floor, "ns/op")
			if !ok {
				continue
			}
			class := "other"
			if len(bar.label) >= 10 && bar.label[:10] == "echo-users" {
				class = "ours"
			}
			length := max(1, ratio/most*(width-left-right))
			middle := y + thickness - 3
			body += fmt.Sprintf("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left-8, middle, html.EscapeString(bar.label))
			body += fmt.Sprintf("<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", class, left, y, length, thickness)
			body += fmt.Sprintf("<text x=\"%.1f\" y=\"%d\">%.2f</text>\n", left+length+6, middle, ratio)
			y += row
		}
		y += 8
	}
	fmt.Printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="What a request costs, relative to what is written by hand">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.ours { fill: #0969da }
.other { fill: #8c959f }
@media (prefers-color-scheme: dark) {
	text { fill: #e6edf3 }
	.ours { fill: #58a6ff }
	.other { fill: #6e7681 }
}
</style>
%s</svg>
`, width, y+8, width, y+8, body)
}
