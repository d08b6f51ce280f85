package routes

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/echo-users/echo-users/authn"
)

// Users returns GET and PATCH /me for the user, and GET, PATCH and DELETE
// /{id} for superusers.
func (f *Factory[U]) Users() List {
	current := f.users.CurrentUser(authn.Active, f.usersRules()...)
	superuser := f.users.CurrentUser(authn.Active, f.usersRules(authn.Superuser)...)
	forUser, forSuperuser := current.Demands(), superuser.Demands()
	refused := []Problem{
		{Status: http.StatusBadRequest, Code: "UPDATE_USER_EMAIL_ALREADY_EXISTS"},
		{Status: http.StatusBadRequest, Code: "UPDATE_USER_INVALID_PASSWORD", Reasons: true},
	}
	unknown := []Problem{notFound}
	account := []Member{emailMember(false), passwordMember(false)}
	mine, refusedMine := account, refused
	if f.cfg.Reauthenticate.Password {
		mine = append(slices.Clone(mine), Member{Name: currentPassword, Type: text, Format: "password"})
		refusedMine = append(slices.Clone(refused), Problem{Status: http.StatusBadRequest, Code: "UPDATE_USER_BAD_CURRENT_PASSWORD"})
	}
	if f.cfg.Reauthenticate.Fresh > 0 {
		refusedMine = append(slices.Clone(refusedMine), Problem{Status: http.StatusUnauthorized, Code: "insufficient_user_authentication"})
	}
	return List{
		{http.MethodGet, "/me", "users:current_user", f.guarded(current, f.me), &Operation{
			Summary: "Who is logged in", Tag: "users", Status: http.StatusOK, Answer: f.cfg.Read.t, Demands: &forUser,
		}},
		{http.MethodPatch, "/me", "users:patch_current_user", f.guarded(current, f.patchMe), &Operation{
			Summary: "Change who is logged in", Tag: "users", Status: http.StatusOK, Answer: f.cfg.Read.t, Demands: &forUser,
			Body:     slices.Concat(mine, f.cfg.Update.members()),
			Problems: slices.Concat(refusedMine, f.cfg.Update.conflicts()),
			Limited:  f.limits != nil,
		}},
		{http.MethodGet, "/{id}", "users:user", f.guarded(superuser, f.getUser), &Operation{
			Summary: "A user", Tag: "users", Status: http.StatusOK, Answer: f.cfg.Read.t, Demands: &forSuperuser,
			Problems: unknown,
		}},
		{http.MethodPatch, "/{id}", "users:patch_user", f.guarded(superuser, f.patchUser), &Operation{
			Summary: "Change a user", Tag: "users", Status: http.StatusOK, Answer: f.cfg.Read.t, Demands: &forSuperuser,
			Body:     slices.Concat(account, flagMembers(), f.cfg.AdminUpdate.members()),
			Problems: slices.Concat(refused, unknown, f.cfg.AdminUpdate.conflicts()),
		}},
		{http.MethodDelete, "/{id}", "users:delete_user", f.guarded(superuser, f.deleteUser), &Operation{
			Summary: "Delete a user", Tag: "users", Status: http.StatusNoContent, Demands: &forSuperuser,
			Problems: unknown,
		}},
	}
}

// usersRules are those of the guards at /users.
func (f *Factory[U]) usersRules(rules ...authn.Rule) []authn.Rule {
	if f.cfg.RequireVerified {
		rules = append(rules, authn.Verified)
	}
	return rules
}

func (f *Factory[U]) guarded(guard *authn.Guard[U], h func(w http.ResponseWriter, r *http.Request, u U) error) Handler {
	return f.limited(func(w http.ResponseWriter, r *http.Request) error {
		// The body first: whoever sends it slowly shall not act with what
		// their credential was good for when they began.
		r.Body = readAhead(r.Body)
		u, r, err := guard.Check(r)
		if err != nil {
			return err
		}
		return h(w, r, u)
	})
}

// readAhead reads all of a body, and returns it with the error that ended it.
func readAhead(body io.Reader) io.ReadCloser {
	read, err := io.ReadAll(body)
	if err != nil {
		return io.NopCloser(io.MultiReader(bytes.NewReader(read), brokenOff{err}))
	}
	return io.NopCloser(bytes.NewReader(read))
}

type brokenOff struct{ err error }

func (b brokenOff) Read([]byte) (int, error) { return 0, b.err }

func (f *Factory[U]) me(w http.ResponseWriter, _ *http.Request, u U) error {
	return f.answer(w, http.StatusOK, u)
}

func (f *Factory[U]) patchMe(w http.ResponseWriter, r *http.Request, u U) error {
	return f.patch(w, r, u, u.AuthID(), f.cfg.Update, false)
}

func (f *Factory[U]) getUser(w http.ResponseWriter, r *http.Request, _ U) error {
	u, err := f.users.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return f.answer(w, http.StatusOK, u)
}

func (f *Factory[U]) patchUser(w http.ResponseWriter, r *http.Request, by U) error {
	u, err := f.users.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return f.patch(w, r, by, u.AuthID(), f.cfg.AdminUpdate, true)
}

func (f *Factory[U]) deleteUser(w http.ResponseWriter, r *http.Request, _ U) error {
	if err := f.users.Delete(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	res := authn.Response{Status: http.StatusNoContent}
	return res.Write(w)
}

// patch updates a user by what the body has, for whoever the guard found;
// privileged says whether flags count.
func (f *Factory[U]) patch(w http.ResponseWriter, r *http.Request, by U, id string, schema InputSchema[U], privileged bool) error {
	body, err := decodeBody(r)
	if err != nil {
		return err
	}
	if string(body["password"]) == "null" {
		delete(body, "password") // fastapi-users' clients send it for "as it is"
	}
	var faults Faults
	var current *string
	if !privileged && f.cfg.Reauthenticate.Password {
		current = body.text(currentPassword, &faults)
	}
	up := authn.Update[U]{
		By:       by,
		Email:    body.email(&faults),
		Password: body.password(&faults),
		Own:      schema.read(body, &faults),
		Fields:   schema.named(body),
	}
	if privileged {
		up.IsActive = body.flag("is_active", &faults)
		up.IsSuperuser = body.flag("is_superuser", &faults)
		up.IsVerified = body.flag("is_verified", &faults)
	}
	if len(faults) > 0 {
		return faults.httpError()
	}
	var address, password *Attempt
	var from device
	if !privileged {
		if up.Password != nil {
			if err := f.limits.password(r); err != nil {
				return err
			}
			if password, err = f.limits.newPassword(r, id); err != nil {
				return err
			}
			defer password.End()
			from = f.deviceBefore(r, by)
		}
		if err := f.reauthenticate(r, by, up, current); err != nil {
			password.TakeBack()
			return err
		}
		if changesEmail(by, up) {
			if address, err = f.limits.change(r, id); err != nil {
				password.TakeBack()
				return err
			}
			defer address.End()
		}
	}
	u, err := f.users.Update(r.Context(), id, up)
	var weak *authn.PasswordError
	if errors.As(err, &weak) || errors.Is(err, authn.ErrUnavailable) {
		address.TakeBack()
	}
	if err != nil {
		password.TakeBack()
		return writeError(err, "UPDATE_USER_EMAIL_ALREADY_EXISTS", "UPDATE_USER_INVALID_PASSWORD")
	}
	res := f.UserAnswer(http.StatusOK, u)
	res.AddCookie(f.sameDevice(r, from, u))
	return res.Write(w)
}
