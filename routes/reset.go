package routes

import (
	"context"
	"errors"
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// ResetPassword returns POST /forgot-password and POST /reset-password; no
// routes where the manager has no [authn.Config] ResetTokens.
func (f *Factory[U]) ResetPassword() List {
	if !f.users.CanResetPassword() {
		return nil
	}
	return List{
		{http.MethodPost, "/forgot-password", "reset:forgot_password", f.limited(f.requestMail("reset", f.users.ForgotPassword)), &Operation{
			Summary: "Have a token mailed that replaces a forgotten password",
			Tag:     "auth",
			Body:    []Member{emailMember(true)},
			Status:  http.StatusAccepted,
			Null:    true,
			Limited: f.limits != nil,
		}},
		{http.MethodPost, "/reset-password", "reset:reset_password", f.limited(f.Limited("reset:reset_password", f.resetPassword)), &Operation{
			Summary: "Set a new password by a mailed token",
			Tag:     "auth",
			Body:    []Member{tokenMember(), passwordMember(true)},
			Status:  http.StatusOK,
			Null:    true,
			Problems: []Problem{
				{Status: http.StatusBadRequest, Code: "RESET_PASSWORD_BAD_TOKEN"},
				{Status: http.StatusBadRequest, Code: "RESET_PASSWORD_INVALID_PASSWORD", Reasons: true},
			},
			Limited: f.limits != nil,
		}},
	}
}

// requestMail reads an address, has a token of a kind mailed to it, and tells
// nothing.
func (f *Factory[U]) requestMail(kind string, request func(ctx context.Context, email string) error) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := decodeBody(r)
		if err != nil {
			return err
		}
		var faults Faults
		if _, ok := body["email"]; !ok {
			faults = append(faults, missing("body", "email"))
		}
		email := body.knownEmail(&faults)
		if len(faults) > 0 {
			return faults.httpError()
		}
		attempt, err := f.limits.mail(r, kind, *email)
		if err != nil {
			return err
		}
		defer attempt.End()
		// It counts, and so is sent, whether or not the client waits for the answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), f.cfg.Timeout)
		defer cancel()
		if err := request(ctx, *email); err != nil {
			attempt.TakeBack()
			return err
		}
		res := authn.Response{Status: http.StatusAccepted, Body: null}
		return res.Write(w)
	}
}

func (f *Factory[U]) resetPassword(w http.ResponseWriter, r *http.Request) error {
	body, err := decodeBody(r)
	if err != nil {
		return err
	}
	var faults Faults
	token := body.required("token", &faults)
	if _, ok := body["password"]; !ok {
		faults = append(faults, missing("body", "password"))
	}
	password := body.password(&faults)
	if len(faults) > 0 {
		return faults.httpError()
	}
	_, err = f.users.ResetPassword(r.Context(), *token, *password)
	if errors.Is(err, authn.ErrInvalidToken) {
		return badRequest("RESET_PASSWORD_BAD_TOKEN", err)
	}
	if err != nil {
		return writeError(err, "", "RESET_PASSWORD_INVALID_PASSWORD")
	}
	res := authn.Response{Status: http.StatusOK, Body: null}
	return res.Write(w)
}
