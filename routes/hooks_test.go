package routes_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/authn/authntest"
	"github.com/echo-users/echo-users/strategies/jwt"
	"github.com/echo-users/echo-users/userdb"
)

// profile is a row of the application's own.
type profile struct {
	UserID string `gorm:"primaryKey"`
	Plan   string
}

// A registration and the application's own rows come together or not at all.
func TestRegistrationSharesItsTransaction(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		s := newSite(t, db)
		if err := db.AutoMigrate(&profile{}); err != nil {
			t.Fatal(err)
		}
		refusal := error(nil)
		s.users.Use(authn.Hooks[*userdb.User]{
			DuringRegister: func(ctx context.Context, u *userdb.User) error {
				tx, ok := userdb.Tx(ctx)
				if !ok {
					return errors.New("no transaction")
				}
				if err := tx.Create(&profile{UserID: u.AuthID(), Plan: "free"}).Error; err != nil {
					return err
				}
				if _, err := s.users.Get(ctx, u.AuthID()); err != nil {
					return err // the manager sees what the transaction did
				}
				return refusal
			},
		})
		count := func() (profiles, users int64) {
			t.Helper()
			if err := errors.Join(db.Model(&profile{}).Count(&profiles).Error, db.Model(&userdb.User{}).Count(&users).Error); err != nil {
				t.Fatal(err)
			}
			return profiles, users
		}
		s.register("ann@example.com")
		if profiles, users := count(); profiles != 1 || users != 1 {
			t.Errorf("%d profiles, %d users", profiles, users)
		}
		const bob = `{"email":"bob@example.com","password":"secret"}`
		refusal = &authn.HTTPError{Status: http.StatusForbidden, Detail: "FULL"}
		s.wants("refused", s.json(http.MethodPost, "/auth/register", bob, ""), http.StatusForbidden, "FULL")
		if profiles, users := count(); profiles != 1 || users != 1 {
			t.Errorf("after a refusal: %d profiles, %d users", profiles, users)
		}
		refusal = nil
		s.wants("taken", s.json(http.MethodPost, "/auth/register", `{"email":"ANN@example.com","password":"secret"}`, ""), http.StatusBadRequest, "REGISTER_USER_ALREADY_EXISTS")
		s.register("bob@example.com")
		if profiles, users := count(); profiles != 2 || users != 2 {
			t.Errorf("%d profiles, %d users", profiles, users)
		}
	})
}

// newKeeping returns a store and an outbox that are ready.
func newKeeping(t *testing.T, db *gorm.DB) (*userdb.Store[userdb.User, *userdb.User], *userdb.Outbox) {
	t.Helper()
	store, err := userdb.New[userdb.User](db)
	if err != nil {
		t.Fatal(err)
	}
	outbox, err := userdb.NewOutbox(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Migrate(t.Context()), outbox.Migrate(t.Context())); err != nil {
		t.Fatal(err)
	}
	return store, outbox
}

// What the outbox of the users' database keeps is part of the change.
func TestNoticesArePartOfTheChange(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		outbox, err := userdb.NewOutbox(db)
		if err != nil {
			t.Fatal(err)
		}
		store, err := userdb.New[userdb.User](db)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(store.Migrate(t.Context()), outbox.Migrate(t.Context())); err != nil {
			t.Fatal(err)
		}
		users, err := authn.New(store, authn.Config{Outbox: outbox}, newSite(t, db).users.Backends()...)
		if err != nil {
			t.Fatal(err)
		}
		var told []authn.Notice
		users.Use(authn.Hooks[*userdb.User]{Notify: func(_ context.Context, _ *userdb.User, notice authn.Notice) error {
			told = append(told, notice)
			return nil
		}})
		u, err := users.Register(t.Context(), "ann@example.com", "a password", nil)
		if err != nil {
			t.Fatal(err)
		}
		email := "anna@example.com"
		if _, err := users.Update(t.Context(), u.AuthID(), authn.Update[*userdb.User]{Email: &email}); err != nil {
			t.Fatal(err)
		}
		if err := users.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := (authn.Notice{Kind: authn.EmailChanged, Email: "ann@example.com"}); len(told) != 1 || told[0] != want {
			t.Errorf("told %v", told)
		}
		var left int64
		if err := db.Table("echo_users_outbox").Count(&left).Error; err != nil || left != 0 {
			t.Errorf("%d errands are left, %v", left, err)
		}

		if err := db.Exec("DROP TABLE echo_users_outbox").Error; err != nil {
			t.Fatal(err)
		}
		other := "other@example.com"
		if _, err := users.Update(t.Context(), u.AuthID(), authn.Update[*userdb.User]{Email: &other}); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("without its outbox: %v", err)
		}
		if u, err := users.Get(t.Context(), u.AuthID()); err != nil || u.Email != email {
			t.Errorf("the address was changed without a notice: %v", err)
		}
	})
}

// A welcome comes to be with its user, and outlives the process.
func TestWelcomesArePartOfTheRegistration(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		clock := authntest.NewClock(time.Now())
		store, outbox := newKeeping(t, db)
		verify, err := jwt.NewVerifyTokens(jwt.Secret(verifySecret), jwt.MailedConfig{Now: clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		var welcomed []string
		newUsers := func() *authn.Users[*userdb.User] {
			t.Helper()
			users, err := authn.New(store, authn.Config{Outbox: outbox, VerifyTokens: verify, Now: clock.Now}, authntest.Impersonator{})
			if err != nil {
				t.Fatal(err)
			}
			users.Use(authn.Hooks[*userdb.User]{Welcome: func(_ context.Context, u *userdb.User, token authn.Token) error {
				mailed, err := verify.Open(t.Context(), token.Value)
				welcomed = append(welcomed, mailed.Email)
				return err
			}})
			return users
		}
		users := newUsers()
		refusal := errors.New("refused")
		users.Use(authn.Hooks[*userdb.User]{DuringRegister: func(context.Context, *userdb.User) error { return refusal }})
		if err := users.Shutdown(t.Context()); err != nil { // as good as a crash: nothing runs in the background
			t.Fatal(err)
		}
		register := func(email string) error {
			_, err := users.Register(t.Context(), email, "a long password", nil)
			return err
		}
		if err := register("eve@example.com"); !errors.Is(err, refusal) {
			t.Error(err)
		}
		refusal = nil
		if err := register("ann@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := register("Ann@example.com"); !errors.Is(err, authn.ErrUserExists) {
			t.Error(err)
		}
		clock.Advance(time.Hour)
		if err := newUsers().DeliverOutbox(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(welcomed, []string{"ann@example.com"}) {
			t.Errorf("welcomed: %v", welcomed)
		}

		if err := db.Exec("DROP TABLE echo_users_outbox").Error; err != nil {
			t.Fatal(err)
		}
		if err := register("bob@example.com"); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("without its outbox: %v", err)
		}
		if _, err := users.GetByEmail(t.Context(), "bob@example.com"); !errors.Is(err, authn.ErrUserNotFound) {
			t.Errorf("somebody was registered without a welcome: %v", err)
		}
	})
}

// What is being sent is nobody else's to send.
func TestMailsBeingSentAreNotDue(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		store, outbox := newKeeping(t, db)
		users, err := authn.New(store, authn.Config{Outbox: outbox}, authntest.Impersonator{})
		if err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int32
		sending, release := make(chan struct{}, 9), make(chan struct{})
		send := func() error {
			sent.Add(1)
			sending <- struct{}{}
			<-release
			return nil
		}
		users.Use(authn.Hooks[*userdb.User]{
			Welcome: func(context.Context, *userdb.User, authn.Token) error { return send() },
			Notify:  func(context.Context, *userdb.User, authn.Notice) error { return send() },
		})
		ann, err := users.Register(t.Context(), "ann@example.com", "a long password", nil)
		if err != nil {
			t.Fatal(err)
		}
		email := "anna@example.com"
		if _, err := users.Update(t.Context(), ann.AuthID(), authn.Update[*userdb.User]{Email: &email}); err != nil {
			t.Fatal(err)
		}
		<-sending
		<-sending
		errands, err := outbox.Claim(t.Context(), time.Now(), time.Now(), 9)
		close(release)
		if err := errors.Join(err, users.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		if len(errands) > 0 || sent.Load() != 2 {
			t.Errorf("due while they are sent: %v; %d were sent", errands, sent.Load())
		}
	})
}

// A notice of what a caller's transaction rolled back doesn't go out; one of
// what it committed does.
func TestNoticesWithinACallersTransaction(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB) {
		outbox, err := userdb.NewOutbox(db)
		if err != nil {
			t.Fatal(err)
		}
		site := newSite(t, db)
		store, err := userdb.New[userdb.User](db)
		if err != nil {
			t.Fatal(err)
		}
		if err := outbox.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		users, err := authn.New(store, authn.Config{Outbox: outbox}, site.users.Backends()...)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		users.Use(authn.Hooks[*userdb.User]{Notify: func(_ context.Context, _ *userdb.User, notice authn.Notice) error {
			told = append(told, string(notice.Kind))
			return nil
		}})
		id := site.register("ann@example.com")
		password, rolledBack := "another password", errors.New("rolled back")
		for _, want := range []error{rolledBack, nil} {
			err := db.Session(&gorm.Session{PrepareStmt: true}).Transaction(func(tx *gorm.DB) error {
				if _, err := users.Update(userdb.WithTx(t.Context(), tx), id, authn.Update[*userdb.User]{Password: &password}); err != nil {
					return err
				}
				return want
			})
			if !errors.Is(err, want) {
				t.Fatal(err)
			}
			if err := errors.Join(users.Flush(t.Context()), users.DeliverOutbox(t.Context(), 0)); err != nil {
				t.Fatal(err)
			}
			if (len(told) == 1) != (want == nil) || len(told) > 1 {
				t.Errorf("%v: told %v", want, told)
			}
		}
	})
}
