//go:build !planted

package planted

// On tells whether the bug is on: never.
func On(Bug) bool { return false }
