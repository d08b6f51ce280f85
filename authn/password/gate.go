package password

import "context"

// gate admits a number of holders at once. The others wait.
type gate chan struct{}

func newGate(size int) gate { return make(gate, size) }

// enter waits for a place until ctx is done, and then returns its error. Where
// it returns nil, the caller holds a place until it calls leave.
func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	// A free place and a done context may have been there at once.
	if err := ctx.Err(); err != nil {
		g.leave()
		return err
	}
	return nil
}

func (g gate) leave() { <-g }
