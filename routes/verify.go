package routes

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/echo-users/echo-users/authn"
)

// Verify returns POST /request-verify-token and POST /verify; no routes where
// the manager has no [authn.Config] VerifyTokens.
func (f *Factory[U]) Verify() List {
	if !f.users.CanVerify() {
		return nil
	}
	return List{
		{http.MethodPost, "/request-verify-token", "verify:request-token", f.limited(f.requestMail("verify", f.users.RequestVerify)), &Operation{
			Summary: "Have a token mailed that verifies an address",
			Tag:     "auth",
			Body:    []Member{emailMember(true)},
			Status:  http.StatusAccepted,
			Null:    true,
			Limited: f.limits != nil,
		}},
		{http.MethodPost, "/verify", "verify:verify", f.limited(f.failing("verify:verify", f.verify)), &Operation{
			Summary: "Verify an address by a mailed token",
			Tag:     "auth",
			Body:    []Member{tokenMember()},
			Status:  http.StatusOK,
			Answer:  f.cfg.Read.t,
			Problems: []Problem{
				{Status: http.StatusBadRequest, Code: "VERIFY_USER_BAD_TOKEN"},
				{Status: http.StatusBadRequest, Code: "VERIFY_USER_ALREADY_VERIFIED"},
			},
			Limited: f.limits != nil,
		}},
	}
}

// null is the contract's answer where there is nothing to say.
var null = json.RawMessage("null")

func (f *Factory[U]) verify(w http.ResponseWriter, r *http.Request) error {
	body, err := decodeBody(r)
	if err != nil {
		return err
	}
	var faults Faults
	token := body.required("token", &faults)
	if len(faults) > 0 {
		return faults.httpError()
	}
	u, err := f.users.Verify(r.Context(), *token)
	switch {
	case errors.Is(err, authn.ErrInvalidToken):
		return badRequest("VERIFY_USER_BAD_TOKEN", err)
	case errors.Is(err, authn.ErrAlreadyVerified):
		return badRequest("VERIFY_USER_ALREADY_VERIFIED", err)
	case err != nil:
		return err
	}
	return f.answer(w, http.StatusOK, u)
}
