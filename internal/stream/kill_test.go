package stream_test

// child runs what a parent test asked this binary to be.
func child() bool { return false }
