package fold

import "oms/proof/audit/checkpoint"

// Fields shows everything that it knows, to be written or to be filled in a new Fold.
func (f *Fold) Fields(c *checkpoint.Codec) {
	for _, g := range f.groups {
		checkpoint.Map(c, g.parts, func(n *int32) { checkpoint.Number(c, n) }, func(p **part) {
			if *p == nil {
				*p = newPart()
			}
			(*p).fields(c)
		})
	}
}

func (p *part) fields(c *checkpoint.Codec) {
	checkpoint.Number(c, &p.taken)
	checkpoint.Number(c, &p.covered)
	checkpoint.List(c, &p.pending, func(r *record) {
		checkpoint.Number(c, &r.offset)
		checkpoint.Number(c, &r.ms)
		checkpoint.Bytes(c, &r.key)
		checkpoint.Bytes(c, &r.value)
	})
	checkpoint.Map(c, p.dead, func(offset *int64) { checkpoint.Number(c, offset) }, func(b *bool) { checkpoint.Bool(c, b) })
	checkpoint.Map(c, p.rows, func(key *string) { checkpoint.Text(c, key) }, func(r **row) {
		if *r == nil {
			*r = &row{}
		}
		checkpoint.Bytes(c, &(*r).folded)
		checkpoint.Number(c, &(*r).table)
		checkpoint.Number(c, &(*r).version)
		checkpoint.Number(c, &(*r).sum)
	})
}
