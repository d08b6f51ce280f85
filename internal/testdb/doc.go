// Package testdb gives tests a database of their own: a SQLite file, or a
// Postgres database made for the test and dropped after it.
//
// Start with [Each], which runs one test on both. Postgres is found at
// TEST_DATABASE_URL, as make test sets it; where that is unset, the test is
// left out and says so.
package testdb
