package routes

import "net/http"

// Register returns POST /register.
func (f *Factory[U]) Register() List {
	return List{{http.MethodPost, "/register", "register:register", f.limited(f.register), &Operation{
		Summary: "Register",
		Tag:     "auth",
		Body:    append([]Member{emailMember(true), passwordMember(true)}, f.cfg.Register.members()...),
		Status:  http.StatusCreated,
		Answer:  f.cfg.Read.t,
		Problems: append([]Problem{
			{Status: http.StatusBadRequest, Code: "REGISTER_USER_ALREADY_EXISTS"},
			{Status: http.StatusBadRequest, Code: "REGISTER_INVALID_PASSWORD", Reasons: true},
		}, f.cfg.Register.conflicts()...),
		Limited: f.limits != nil,
	}}}
}

func (f *Factory[U]) register(w http.ResponseWriter, r *http.Request) error {
	body, err := decodeBody(r)
	if err != nil {
		return err
	}
	var faults Faults
	for _, name := range []string{"email", "password"} {
		if _, ok := body[name]; !ok {
			faults = append(faults, missing("body", name))
		}
	}
	email, password := body.email(&faults), body.password(&faults)
	own := f.cfg.Register.read(body, &faults)
	if len(faults) > 0 {
		return faults.httpError()
	}
	if err := f.limits.register(r); err != nil {
		return err
	}
	u, err := f.users.Register(r.Context(), *email, *password, own)
	if err != nil {
		return writeError(err, "REGISTER_USER_ALREADY_EXISTS", "REGISTER_INVALID_PASSWORD")
	}
	return f.answer(w, http.StatusCreated, u)
}
