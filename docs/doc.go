// Package docs has the documentation pages beside it, and their code as
// compiled examples: a test fails where a page shows code that none of them has.
package docs
