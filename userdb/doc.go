// Package userdb keeps users in a SQL database over GORM: SQLite and Postgres
// are tested, and any *gorm.DB of theirs will do, whichever driver it is from.
//
//	type AppUser struct {
//		userdb.User // a UUID key; userdb.Model[int64] for another kind
//		FirstName string
//	}
//
//	store, err := userdb.New[AppUser](db)
//	err = store.Migrate(ctx)
//	users, err := authn.New(store, authn.Config{}, …)
//
// The table is fastapi-users': a database that it made is opened as it is,
// after an additive migration.
package userdb
