package stream

import "fmt"

// Points at which a test may stop an engine dead, in the order in which a transaction passes them.
const (
	FaultBegin  = "begin"  // before the transaction begins
	FaultMark   = "mark"   // after a record was handed out
	FaultFlush  = "flush"  // all steps are done, the records are on their way
	FaultEnd    = "end"    // before the commit is asked for
	FaultEnded  = "ended"  // committed in Kafka, not yet in the store
	FaultStored = "stored" // committed in both
)

// faultError ends the engine as a killed process ends: what is open stays open.
type faultError struct {
	point string
	err   error
}

func (f *faultError) Error() string { return fmt.Sprintf("stream: stopped at %s: %v", f.point, f.err) }
func (f *faultError) Unwrap() error { return f.err }

func (e *Engine) fault(point string) error {
	if e.cfg.Fault == nil {
		return nil
	}
	if err := e.cfg.Fault(point); err != nil {
		return &faultError{point, err}
	}
	return nil
}
