package httpd

import (
	"maps"
	"slices"
	"strings"

	"oms/internal/clickhouse/chdb"
)

// tagSetting is the setting by which a session's statement is found among the running ones. A client that gives it is not listened to.
const tagSetting = "log_comment"

// session is a session of the engine and what it was told. USE and SET cost a statement each, most of a millisecond; requests mostly want the same.
type session struct {
	*chdb.Session
	home     *stack            // that lends it
	tag      string            // the value of tagSetting
	readonly bool              // of the reader
	database string            // of the last USE; empty: not known
	applied  map[string]string // settings beside base
	base     map[string]string // the settings that differ from ClickHouse's defaults in a fresh session
	stale    []string          // settings of which it is not known what they are
}

// freePerThread is how many bytes have to be free for each thread of a statement. ClickHouse wants a gigabyte, which is one thread in an engine of two.
const freePerThread = "134217728"

// open makes a session, under a name of its own and with settings that stay.
func open(e *chdb.Engine, tag string, fixed map[string]string) (*session, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	s := &session{Session: c, tag: tag, applied: map[string]string{}, readonly: fixed["readonly"] != ""}
	first := maps.Clone(fixed)
	if first == nil {
		first = map[string]string{}
	}
	first[tagSetting], first["max_threads_min_free_memory_per_thread"] = tag, freePerThread
	if err = s.change(first); err == nil {
		s.base, err = s.changed()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// unset stands for the default among settings.
const unset = "\x00"

// set tells settings in one statement.
func (s *session) set(settings map[string]string) error {
	if len(settings) == 0 {
		return nil
	}
	return s.Exec("SET " + list(settings))
}

// list writes settings as SET and SETTINGS take them.
func list(settings map[string]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		v := "DEFAULT"
		if settings[k] != unset {
			v = quote(settings[k])
		}
		all = append(all, k+" = "+v)
	}
	return strings.Join(all, ", ")
}

// changed asks which settings differ from ClickHouse's defaults.
func (s *session) changed() (map[string]string, error) {
	r, err := s.Query("SELECT name, value FROM system.settings WHERE changed", "TabSeparatedRaw", nil)
	if err != nil {
		return nil, err
	}
	defer r.Free()
	all := map[string]string{}
	for line := range strings.Lines(string(r.Bytes())) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all[k] = v
	}
	return all, nil
}

// prepare makes the session stand in the database with exactly these settings beside its own. After an error no statement may run in it.
func (s *session) prepare(database string, settings map[string]string) error {
	if database != s.database {
		s.database = ""
		if err := s.Exec("USE `" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(database) + "`"); err != nil {
			return err
		}
		s.database = database
	}
	if len(s.stale) > 0 {
		if err := s.settle(); err != nil {
			return err
		}
	}
	diff := map[string]string{}
	for k := range s.applied {
		if _, wanted := settings[k]; !wanted {
			diff[k] = s.normal(k)
		}
	}
	for k, v := range settings {
		if old, ok := s.applied[k]; !ok || old != v {
			diff[k] = v
		}
	}
	if len(diff) == 0 {
		return nil
	}
	s.stale = slices.AppendSeq(slices.Collect(maps.Keys(diff)), maps.Keys(s.applied)) // until it is known to have gone well
	if err := s.change(diff); err != nil {
		return err
	}
	s.stale, s.applied = nil, maps.Clone(settings)
	return nil
}

// normal is what a setting is in a fresh session.
func (s *session) normal(k string) string {
	if v, ok := s.base[k]; ok {
		return v
	}
	return unset
}

// settle takes back, one by one, the settings of which it is not known what they are. A name that does not exist never took effect.
func (s *session) settle() error {
	if err := s.set(map[string]string{"readonly": unset}); err != nil {
		return err
	}
	for _, k := range s.stale {
		if k == "readonly" {
			continue
		}
		if err := s.set(map[string]string{k: s.normal(k)}); err != nil && !strings.HasPrefix(err.Error(), "Code: 115.") {
			return err
		}
	}
	if s.readonly {
		if err := s.set(map[string]string{"readonly": "1"}); err != nil {
			return err
		}
	}
	s.stale, s.applied = nil, map[string]string{}
	return nil
}

// change tells the difference. A read-only session takes no settings, so readonly is lifted first, which the engine allows, and comes back last.
func (s *session) change(diff map[string]string) error {
	last, told := diff["readonly"]
	if _, was := s.applied["readonly"]; was || s.readonly && s.base != nil {
		if err := s.set(map[string]string{"readonly": unset}); err != nil {
			return err
		}
	}
	if !told {
		last = unset
		if v, was := s.applied["readonly"]; was {
			last = v
		}
		if s.readonly {
			last = "1"
		}
	}
	delete(diff, "readonly")
	if err := s.set(diff); err != nil {
		return err // the settings stay stale
	}
	if last == unset {
		return nil
	}
	return s.set(map[string]string{"readonly": last})
}

// ran notes what a statement of the client may have changed.
func (s *session) ran(did statement) {
	if did.verb == "USE" {
		s.database = ""
	}
	if did.verb == "SET" {
		s.stale = slices.AppendSeq(did.sets, maps.Keys(s.applied))
	}
}

// quote writes a string literal.
func quote(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}
