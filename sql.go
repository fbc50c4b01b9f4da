package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"oms/internal/clickhouse"
	"oms/views/clickhouse/desk"
)

// SQLCmd asks ClickHouse.
type SQLCmd struct {
	databaseFlags
	Statement string        `arg:"" optional:"" help:"One statement that only reads; without it, standard input is read, and a terminal gets a prompt."`
	Output    string        `short:"o" help:"table, csv, json or parquet." enum:"table,csv,json,parquet" default:"table"`
	Timeout   time.Duration `help:"How long a statement may take." default:"5m"`
}

// maxStatement is the most that is read as one statement, in bytes.
const maxStatement = 1 << 20

// Run prints the answer of one statement, or takes statements until the person leaves.
func (c SQLCmd) Run(r *run) error {
	text := c.Statement
	prompt := text == "" && terminal(os.Stdin) != nil
	if text == "" && !prompt {
		b, err := io.ReadAll(io.LimitReader(os.Stdin, maxStatement+1))
		if err != nil {
			return err
		}
		if len(b) > maxStatement {
			return fmt.Errorf("standard input: a statement has at most %d bytes", maxStatement)
		}
		text = string(b)
	}
	if err := noBinary(c.Output); err != nil {
		return err
	}
	var sql string
	if !prompt {
		var err error
		if sql, err = desk.Statement(text); err != nil {
			return err
		}
	}
	conf, err := c.settings(r, map[string]any{})
	if err != nil {
		return err
	}
	conn, closer, err := r.analytics(conf)
	if err != nil {
		return err
	}
	if prompt {
		return errors.Join(c.prompt(r, conn), closer())
	}
	_, err = desk.Plain(r.ctx, conn, r.out, c.Output, sql, c.limits())
	return errors.Join(explained(err, c.Timeout), closer())
}

func (c SQLCmd) limits() desk.Limits {
	return desk.Limits{Time: c.Timeout, Memory: 4 << 30, Rows: 1 << 40}
}

const sqlHelp = `A statement ends with ; and may go over several lines. Ctrl-C cancels the one that runs, Ctrl-D leaves.
  \d           the tables           \d TABLE     its columns, and what they mean
  \o SHAPE     table, csv or json   \q           leave
`

// prompt takes statements from the terminal. While one runs the terminal is as it was, so that Ctrl-C comes as a signal.
func (c SQLCmd) prompt(r *run, conn clickhouse.Conn) error {
	fmt.Fprint(r.out, "ClickHouse, read only. \\h helps.\n")
	past := openHistory()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(ended)
	var text strings.Builder
	for {
		sign := "oms> "
		if text.Len() > 0 {
			sign = "...> "
		}
		line, err := readLine(sign, past)
		switch {
		case errors.Is(err, io.EOF) && text.Len() > 0: // Ctrl-C or Ctrl-D drops what was typed
			text.Reset()
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		trimmed := strings.TrimSpace(line)
		if text.Len() == 0 && (strings.HasPrefix(trimmed, `\`) || trimmed == "exit" || trimmed == "quit" || trimmed == "help" || trimmed == "") {
			if line = c.command(r, trimmed); line == "" {
				continue
			} else if line == leave {
				return nil
			}
		}
		text.WriteString(line + "\n")
		if !desk.Complete(text.String()) {
			continue
		}
		typed := text.String()
		text.Reset()
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.ctx)) // which ends with the first Ctrl-C
		go func() {
			select {
			case <-interrupts:
				cancel()
			case s := <-ended:
				cancel()
				ended <- s
			case <-ctx.Done():
			}
		}()
		c.one(ctx, r, conn, typed)
		cancel()
		select {
		case <-ended:
			return nil
		default:
		}
	}
}

// leave is the command's answer that ends the prompt.
const leave = "\x00"

// command does what a line with a backslash says, or answers the statement that it stands for.
func (c *SQLCmd) command(r *run, line string) string {
	name, arg, _ := strings.Cut(strings.TrimPrefix(line, `\`), " ")
	arg = strings.TrimSpace(arg)
	switch name {
	case "":
	case "q", "exit", "quit":
		return leave
	case "d":
		if arg == "" {
			return "SELECT name, total_rows AS rows, comment FROM system.tables WHERE database = currentDatabase() ORDER BY name;"
		}
		return "SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() AND table = '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(arg) + "' ORDER BY position;"
	case "o":
		if arg == "table" || arg == "csv" || arg == "json" {
			c.Output = arg
		} else {
			fmt.Fprintln(r.out, `\o table, \o csv or \o json`)
		}
	default:
		fmt.Fprint(r.out, sqlHelp)
	}
	return ""
}

// one runs a statement and says how long it took.
func (c SQLCmd) one(ctx context.Context, r *run, conn clickhouse.Conn, text string) {
	sql, err := desk.Statement(text)
	began := time.Now()
	var rows int64
	if err == nil {
		rows, err = desk.Plain(ctx, conn, r.out, c.Output, sql, c.limits())
		err = explained(err, c.Timeout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	unit := "rows"
	if rows == 1 {
		unit = "row"
	}
	fmt.Fprintf(os.Stderr, "%d %s, %s\n", rows, unit, time.Since(began).Round(time.Millisecond))
}

// readLine reads one line with the keys of an editor: arrows, Home, End, Ctrl-W and so on; up and down go through the history.
func readLine(sign string, past *history) (string, error) {
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return "", err
	}
	defer term.Restore(int(os.Stdin.Fd()), before)
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}, sign)
	if width, height, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
		t.SetSize(width, height)
	}
	t.History = past
	line, err := t.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

// history is the lines that were typed, the newest last; they outlive the process in a file of the user's.
type history struct {
	lines []string
	path  string // empty: none could be found
}

const maxHistory = 1000

func openHistory() *history {
	h := &history{}
	dir, err := os.UserConfigDir()
	if err != nil {
		return h
	}
	h.path = filepath.Join(dir, "oms", "sql_history")
	if f, err := os.Open(h.path); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			h.lines = append(h.lines, s.Text())
		}
		h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	}
	return h
}

// Add keeps a line, unless it is empty or the last one again.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if h.path == "" || os.MkdirAll(filepath.Dir(h.path), 0o700) != nil {
		return
	}
	if f, err := os.OpenFile(h.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		fmt.Fprintln(f, line)
		f.Close()
	}
}

// Len is how many lines there are.
func (h *history) Len() int { return len(h.lines) }

// At is a line, 0 the newest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
