package authn

import "time"

// Demands is what a guard asks, for documents that describe its routes.
type Demands struct {
	// Backends are the names of those whose credentials count, in the order in
	// which they are tried.
	Backends []string
	// Optional says that nobody is refused for want of a user.
	Optional bool
	// Forbids says that some users are refused: unverified ones, those who are
	// no superusers, or whom a rule of the application's refuses.
	Forbids bool
	// Fresh is how long ago the person may have authenticated; zero for any time.
	Fresh time.Duration
	// CrossSite says that a request that another site had a browser send is
	// refused, if it can change something.
	CrossSite bool
}

// Demands returns what the guard asks.
func (g *Guard[U]) Demands() Demands {
	d := Demands{
		Optional: g.demands.optional,
		Fresh:    g.demands.fresh,
		Forbids:  g.demands.verified || g.demands.superuser || len(g.require) > 0,
	}
	for i, b := range g.backends {
		d.Backends = append(d.Backends, b.Name())
		d.Forbids = d.Forbids || RequiresVerified(b)
		d.CrossSite = d.CrossSite || g.origins[i] != nil
	}
	return d
}
