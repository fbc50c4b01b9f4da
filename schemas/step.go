package schemas

// Input is a message as a row meets it.
type Input struct {
	Message Message
	// NowMS is the time of the step, UTC ms: the later of the row's last step and the record's timestamp. No machine reads a clock, so a replay sees the same time.
	NowMS int64
}
