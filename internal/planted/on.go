//go:build planted

package planted

var chosen Bug

// Choose puts the bug in, instead of the one before; "" is none. It must not be called while the system runs.
func Choose(b Bug) { chosen = b }

// On tells whether the bug was chosen.
func On(b Bug) bool { return b == chosen }
