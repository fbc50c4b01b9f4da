//go:build planted

package main

import (
	"os"

	"oms/internal/planted"
)

// A build with planted bugs has the one that OMS_PLANTED names.
func init() { planted.Choose(planted.Bug(os.Getenv("OMS_PLANTED"))) }
