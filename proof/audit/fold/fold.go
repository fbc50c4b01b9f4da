// Package fold does again what the groups did: it folds their inboxes from the first record on with the machines of this build, and compares what comes of it with the
// live tables, byte for byte (I9). The other laws are checked without the machines; this one asks whether the machines alone, and the inboxes alone, explain the tables.
package fold

import (
	"github.com/cespare/xxhash/v2"

	"oms/internal/kafka"
	"oms/processors"
	"oms/proof/audit"
	"oms/schemas"
)

// Fold of all groups. It takes records in the order of their partitions, and knows neither a broker nor a clock. It is for one goroutine.
//
// It keeps the row of each key as it is stored, so its memory grows with the keys that live and with what waits to be folded, not with the records read.
type Fold struct {
	groups                []*group
	inboxes, tables, dead map[string]*group // by topic
}

type group struct {
	processors.Group
	parts map[int32]*part
}

// part is a partition of an inbox with the partition of the table that it makes.
type part struct {
	taken   int64 // the group has taken the records before it
	covered int64 // rows in the table before it come from those
	pending []record
	dead    map[int64]bool // offsets of records that went to the dead letters
	rows    map[string]*row
}

// record of an inbox that waits until the group has taken it.
type record struct {
	offset, ms int64
	key, value []byte
}

// row of one key: what folding gives, and what the table has last.
type row struct {
	folded  []byte // as it is stored; nil: none
	table   int64  // offset of the last row in the table
	version int64  // of that row; 0: none was met
	sum     uint64 // hash of its bytes; 0: no row was met
}

// New fold, of nothing yet.
func New() *Fold {
	f := &Fold{inboxes: map[string]*group{}, tables: map[string]*group{}, dead: map[string]*group{}}
	for _, g := range processors.Groups {
		own := &group{Group: g, parts: map[int32]*part{}}
		f.groups = append(f.groups, own)
		f.inboxes[g.Inbox.Name], f.tables[g.Table.Name], f.dead[g.DeadLetters.Name] = own, own, own
	}
	return f
}

func (g *group) part(n int32) *part {
	p := g.parts[n]
	if p == nil {
		p = newPart()
		g.parts[n] = p
	}
	return p
}

func newPart() *part { return &part{dead: map[int64]bool{}, rows: map[string]*row{}} }

func (p *part) row(key []byte) *row {
	r := p.rows[string(key)]
	if r == nil {
		r = &row{}
		p.rows[string(key)] = r
	}
	return r
}

// Take one record of any topic. Those of inboxes wait until Until says that their group has taken them.
func (f *Fold) Take(rec *kafka.Record) {
	if g := f.inboxes[rec.Topic]; g != nil {
		p := g.part(rec.Partition)
		r := record{rec.Offset, rec.Timestamp.UnixMilli(), rec.Key, rec.Value}
		if rec.Offset < p.taken && len(p.pending) == 0 {
			g.step(p, &r)
		} else {
			p.pending = append(p.pending, r)
		}
	} else if g := f.tables[rec.Topic]; g != nil {
		g.part(rec.Partition).row(rec.Key).met(rec)
	} else if g := f.dead[rec.Topic]; g != nil {
		if topic, partition, offset, ok := audit.Origin(rec); ok && topic == g.Inbox.Name {
			g.part(partition).dead[offset] = true
		}
	}
}

// Until tells that the groups have taken the records of their inboxes before taken, that every dead letter of these was handed to Take, and that rows of the tables
// before covered come from these. What it knows of a partition never goes back.
func (f *Fold) Until(taken, covered kafka.Offsets) {
	for _, g := range f.groups {
		for n, at := range taken[g.Inbox.Name] {
			p := g.part(n)
			p.taken, p.covered = max(p.taken, at), max(p.covered, covered[g.Table.Name][n])
			g.fold(p)
		}
	}
}

// fold takes what waits and was taken by the group.
func (g *group) fold(p *part) {
	n := 0
	for ; n < len(p.pending) && p.pending[n].offset < p.taken; n++ {
		g.step(p, &p.pending[n])
	}
	if p.pending = p.pending[n:]; len(p.pending) == 0 {
		p.pending = nil
	}
}

// step does with a record what the group did.
func (g *group) step(p *part, rec *record) {
	if p.dead[rec.offset] {
		delete(p.dead, rec.offset)
		return
	}
	old := p.rows[string(rec.key)]
	// What is to be buried and has no dead letter changes nothing either: the law that misses the dead letter is another (I7).
	t := g.Group.Take(string(rec.key), rec.value, rec.ms, func() []byte {
		if old == nil {
			return nil
		}
		return old.folded
	})
	if t.Row == nil {
		return
	}
	if old == nil {
		old = p.row(rec.key)
	}
	if cap(old.folded) < len(t.Row) {
		old.folded = make([]byte, 0, len(t.Row))
	}
	old.folded = append(old.folded[:0], t.Row...)
}

// newest is the id of the schema that this build writes a kind with.
var newest = func() map[schemas.Kind]uint32 {
	ids := map[schemas.Kind]uint32{}
	for _, r := range schemas.Releases() { // by id, and a later version has a higher one
		ids[r.Kind] = r.ID
	}
	return ids
}()

// met books a row of the table. One that was written with an older schema is compared as this build would write it.
func (r *row) met(rec *kafka.Record) {
	value := rec.Value
	if id, k := schemas.FrameID(value), schemas.KindIn(value); k != schemas.KindMalformed && id != newest[k] {
		if b, err := schemas.Encode(schemas.Decode(value)); err == nil {
			value = b
		}
	}
	_, version, _ := schemas.RowStep(value)
	r.table, r.version, r.sum = rec.Offset, version, xxhash.Sum64(value)
}

// lawText is what the law says.
const lawText = "replay: folding each inbox from its first record with this build's machines gives the live table, byte for byte"

// Law compares, as of a moment (UTC ms) when the ends of what was taken were asked for; still says that nothing was added since. What of a live system is under way
// between an inbox and its table is counted as that, for audit.Grace at most.
func (f *Fold) Law(asOfMS int64, still bool) *audit.Law {
	l := &audit.Law{ID: "I9", Text: lawText}
	for _, g := range f.groups {
		for n, p := range g.parts {
			l.UnderWay += int64(len(p.pending))
			c := comparison{Law: l, asOfMS: asOfMS, still: still, table: g.Table.Name, partition: n, covered: p.covered}
			for key, r := range p.rows {
				c.compare(key, r)
			}
		}
	}
	return l
}

// comparison of the rows of one partition.
type comparison struct {
	*audit.Law
	asOfMS    int64
	still     bool
	table     string
	partition int32
	covered   int64
}

func (c comparison) compare(key string, r *row) {
	at := audit.At(c.table, c.partition, r.table)
	if r.sum == 0 {
		at = audit.Place{}
	}
	folded, stepMS := int64(0), int64(0)
	if r.folded != nil {
		stepMS, folded, _ = schemas.RowStep(r.folded)
	}
	switch {
	case folded == r.version && (folded == 0 || xxhash.Sum64(r.folded) == r.sum):
		c.Demand(true, at, "")
	case folded == r.version:
		c.Demand(false, at, "the row of %q at version %d has other bytes than folding gives", key, r.version)
	case folded < r.version && r.table >= c.covered:
		c.UnderWay++ // the inbox is not folded so far
	case folded < r.version:
		c.Demand(false, at, "the row of %q has version %d, the records of its inbox give %d", key, r.version, folded)
	case !c.still && c.asOfMS-stepMS <= audit.Grace.Milliseconds():
		c.UnderWay++ // the table is not read so far
	default:
		c.Demand(false, at, "the records of the inbox give %q version %d, its row has %d", key, folded, r.version)
	}
}
