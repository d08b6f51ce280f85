package userdb

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unsafe"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/echo-users/echo-users/authn"
)

// mapping says where GORM's schema keeps what authentication needs.
type mapping struct {
	schema *schema.Schema
	table  string
	key    *schema.Field

	email, hash, active, superuser, verified, generation *schema.Field
}

// account returns the fields that hold the account.
func (m *mapping) account() []*schema.Field {
	return []*schema.Field{m.email, m.hash, m.active, m.superuser, m.verified, m.generation}
}

// newMapping finds the fields of u's account in its schema by their address,
// so that whatever names, tags and embedding the application chose are right.
func newMapping(db *gorm.DB, u authn.User) (*mapping, error) {
	if err := checkEmbedding(reflect.TypeOf(u).Elem()); err != nil {
		return nil, err
	}
	stmt := &gorm.Statement{DB: db}
	if err := stmt.Parse(u); err != nil {
		return nil, err
	}
	m := &mapping{schema: stmt.Schema, table: stmt.Schema.Table}
	if db.Statement != nil && db.Statement.Table != "" {
		m.table = db.Statement.Table
	}
	if len(stmt.Schema.PrimaryFields) != 1 {
		return nil, fmt.Errorf("%s needs one primary key column, and GORM sees %d of them (it doesn't look into embedded structs that are not exported)", stmt.Schema.Name, len(stmt.Schema.PrimaryFields))
	}
	m.key = stmt.Schema.PrimaryFields[0]
	if _, err := parseKey(m.key.FieldType, "0"); errors.Is(err, errKeyType) {
		return nil, err
	}

	account := u.AuthAccount()
	if account == nil {
		return nil, fmt.Errorf("%s has no account: AuthAccount returned nil", stmt.Schema.Name)
	}
	value := reflect.ValueOf(u).Elem()
	byAddress := make(map[unsafe.Pointer]*schema.Field, len(stmt.Schema.Fields))
	for _, field := range stmt.Schema.Fields {
		if v := field.ReflectValueOf(context.Background(), value); field.DBName != "" && v.CanAddr() && v.Type().Size() > 0 {
			byAddress[v.Addr().UnsafePointer()] = field
		}
	}
	for _, part := range []struct {
		name    string
		address unsafe.Pointer
		field   **schema.Field
	}{
		{"Email", unsafe.Pointer(&account.Email), &m.email},
		{"HashedPassword", unsafe.Pointer(&account.HashedPassword), &m.hash},
		{"IsActive", unsafe.Pointer(&account.IsActive), &m.active},
		{"IsSuperuser", unsafe.Pointer(&account.IsSuperuser), &m.superuser},
		{"IsVerified", unsafe.Pointer(&account.IsVerified), &m.verified},
		{"Generation", unsafe.Pointer(&account.Generation), &m.generation},
	} {
		field, ok := byAddress[part.address]
		if !ok {
			return nil, fmt.Errorf("%s: the account's %s is no column: AuthAccount must return a pointer into the user", stmt.Schema.Name, part.name)
		}
		if field.HasDefaultValue {
			return nil, fmt.Errorf("%s: column %s must not have a default tag: GORM would write the default for false and zero", stmt.Schema.Name, field.DBName)
		}
		if field.Serializer != nil {
			return nil, fmt.Errorf("%s: column %s must not have a serializer", stmt.Schema.Name, field.DBName)
		}
		*part.field = field
	}
	return m, nil
}

// checkEmbedding refuses a user that gets its methods from an embedded pointer
// or interface: it is nil in a new user, and GORM would call them.
func checkEmbedding(t reflect.Type) error {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for field := range t.Fields() {
		switch {
		case !field.Anonymous:
		case field.Type.Kind() == reflect.Struct:
			if err := checkEmbedding(field.Type); err != nil {
				return err
			}
		case field.Type.Implements(reflect.TypeFor[authn.User]()):
			return fmt.Errorf("%v embeds %v, which is nil in a new user: embed userdb.User, not *userdb.User", t, field.Type)
		}
	}
	return nil
}

var (
	errKeyType = errors.New("userdb: this type of primary key is not supported")
	textKey    = reflect.TypeFor[encoding.TextUnmarshaler]()
	uuidKey    = reflect.TypeFor[uuid.UUID]()
)

var errNoKey = errors.New("userdb: this text is no key")

// parseKey makes a key of type t from text: a UUID with dashes (RFC 9562 §4) or
// without, as a URN, or in braces, in any letter case; an integer in its one
// spelling, without a plus or zeros in front. Any error but errKeyType means that
// the text is no key.
func parseKey(t reflect.Type, text string) (any, error) {
	switch {
	case t == uuidKey:
		if len(text) == 38 && (text[0] != '{' || text[37] != '}') { // uuid.Parse drops whatever is there
			return nil, errNoKey
		}
		return uuid.Parse(text)
	case reflect.PointerTo(t).Implements(textKey):
		key := reflect.New(t)
		err := key.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		return key.Elem().Interface(), err
	}
	var key any
	var err error
	switch t.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int64:
		var n int64
		n, err = strconv.ParseInt(text, 10, t.Bits())
		if key = n; err == nil && strconv.FormatInt(n, 10) != text {
			err = errNoKey
		}
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		var n uint64
		n, err = strconv.ParseUint(text, 10, min(t.Bits(), 63)) // no database has more
		if key = n; err == nil && strconv.FormatUint(n, 10) != text {
			err = errNoKey
		}
	case reflect.String:
		if key = text; !isStorable(text) {
			err = errNoKey
		}
	default:
		err = fmt.Errorf("%w: %v", errKeyType, t)
	}
	if err != nil {
		return nil, err
	}
	return reflect.ValueOf(key).Convert(t).Interface(), nil
}

// newKey returns a key for a new row, or nil where the database makes it.
func newKey(t reflect.Type) (any, error) {
	if t != uuidKey && t.Kind() != reflect.String {
		return nil, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	if t == uuidKey {
		return id, nil
	}
	return reflect.ValueOf(id.String()).Convert(t).Interface(), nil
}

// keyCondition is where the column, the first ?, is a key, the second. Postgres
// is told that an integer is one of 64 bits: else the driver would take the
// column's width for it, and refuse a key beyond as if the database were away.
func keyCondition(db *gorm.DB, m *mapping) string {
	if db.Name() == "postgres" && hasIntegerKey(m) {
		return "? = CAST(? AS bigint)"
	}
	return "? = ?"
}

// hasIntegerKey reports whether the database makes the keys.
func hasIntegerKey(m *mapping) bool {
	return m.key.DataType == schema.Int || m.key.DataType == schema.Uint
}
