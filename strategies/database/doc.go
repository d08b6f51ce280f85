// Package database is the strategy of opaque tokens in a database: random
// text, whose SHA-256 is stored beside what it says. A token can be revoked,
// and a guard's user is loaded in the query that looks the token up.
//
//	tokens, err := userdb.NewTokens(store, userdb.TokensConfig{})
//	err = tokens.Migrate(ctx)
//	strategy, err := database.New(tokens, database.Config{})
//	backend := backends.New("database", backends.Bearer{}, strategy)
//
// Any [Store] will do; package userdb's is one, over GORM. What fastapi-users'
// DatabaseStrategy stored is read by a [PlainStore].
package database
