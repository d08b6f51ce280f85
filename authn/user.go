package authn

// User is what authentication asks of an application's own user type. A
// struct that embeds userdb.User (or userdb.Model for another kind of key)
// satisfies it; the manager's type parameter is the pointer to that struct.
type User interface {
	// AuthID returns the canonical text of the primary key, which becomes
	// the "sub" of tokens. It must not be empty for a stored user.
	AuthID() string
	// AuthAccount returns the live account: changes made through the pointer
	// are changes of the user.
	AuthAccount() *Account
}

// Account is what authentication needs of a user. Its fields carry the names
// of fastapi-users' table, and their JSON is that library's read schema; the
// hash and the generation never appear in JSON.
//
// A type of other column names declares a struct of the same fields with GORM
// tags of its own and converts: (*authn.Account)(&u.account).
type Account struct {
	Email          string `json:"email"`
	HashedPassword string `json:"-"`
	IsActive       bool   `json:"is_active"`
	IsSuperuser    bool   `json:"is_superuser"`
	IsVerified     bool   `json:"is_verified"`

	// Generation rises each time that every credential issued before becomes void:
	// by one with a new password, and with signing out everywhere or elsewhere; by
	// 1<<32 with each re-activation, so that its column is one of 64 bits. A
	// credential carries the generation it was issued under; one without it (as
	// fastapi-users issued them) counts as generation 0.
	Generation int64 `json:"-" gorm:"column:credential_generation"`
}
