package authn

import "context"

// Hooks are the application's own steps, on its own user type and with the
// request's context. Every field may be nil. [Users.Use] adds a set; the sets
// run in the order in which they were added.
//
// The rule for errors is in the types: a hook that returns an error can
// refuse, and its error is the flow's; what a hook without one hears of has
// happened.
type Hooks[U User] struct {
	// AfterRegister hears of a new user.
	AfterRegister func(ctx context.Context, u U)

	// BeforeLogin is a gate of the application's: an error refuses the log-in
	// before anything is issued. id says how the person authenticated.
	BeforeLogin func(ctx context.Context, u U, id Identity) error
	// AfterLogin may add to the answer. An error refuses the log-in, and what
	// was issued is revoked where the backend can.
	AfterLogin func(ctx context.Context, u U, res *Response) error

	// AfterUpdate hears what was changed.
	AfterUpdate func(ctx context.Context, u U, changed Changed)

	// BeforeDelete may refuse.
	BeforeDelete func(ctx context.Context, u U) error
	// AfterDelete hears of a user who is gone.
	AfterDelete func(ctx context.Context, u U)
}

// Changed says which parts of a user an update altered.
type Changed struct {
	Email, Password, Active, Superuser, Verified bool
	// OldEmail is the address before the update, where it changed.
	OldEmail string
	// Fields are the application's own fields that the update named, as it
	// named them.
	Fields []string
}

// Use adds hooks. Call it before the first request is served.
func (m *Users[U]) Use(h Hooks[U]) { m.hooks = append(m.hooks, h) }

func (m *Users[U]) afterRegister(ctx context.Context, u U) {
	for _, h := range m.hooks {
		if h.AfterRegister != nil {
			h.AfterRegister(ctx, u)
		}
	}
}

func (m *Users[U]) beforeLogin(ctx context.Context, u U, id Identity) error {
	for _, h := range m.hooks {
		if h.BeforeLogin == nil {
			continue
		}
		if err := h.BeforeLogin(ctx, u, id); err != nil {
			return err
		}
	}
	return nil
}

func (m *Users[U]) afterLogin(ctx context.Context, u U, res *Response) error {
	for _, h := range m.hooks {
		if h.AfterLogin == nil {
			continue
		}
		if err := h.AfterLogin(ctx, u, res); err != nil {
			return err
		}
	}
	return nil
}

func (m *Users[U]) afterUpdate(ctx context.Context, u U, changed Changed) {
	for _, h := range m.hooks {
		if h.AfterUpdate != nil {
			h.AfterUpdate(ctx, u, changed)
		}
	}
}

func (m *Users[U]) beforeDelete(ctx context.Context, u U) error {
	for _, h := range m.hooks {
		if h.BeforeDelete == nil {
			continue
		}
		if err := h.BeforeDelete(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

func (m *Users[U]) afterDelete(ctx context.Context, u U) {
	for _, h := range m.hooks {
		if h.AfterDelete != nil {
			h.AfterDelete(ctx, u)
		}
	}
}
