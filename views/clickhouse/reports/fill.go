package reports

import _ "embed"

// Fill are the statements that fill the tables with a made-up shop, for measuring reports; its parameters are described at its head.
//
//go:embed bench/fill.sql
var Fill string
