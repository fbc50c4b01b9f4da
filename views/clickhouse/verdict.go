package clickhouse

// Verdict about one table.
type Verdict struct {
	Table      string `json:"table"`
	Rows       uint64 `json:"rows"`                       // as the topics have them
	Sums       []Sum  `json:"sums,omitempty"`             // as the topics have them
	Cells      int    `json:"partition_hours"`            // compared
	Different  int    `json:"different"`                  // of those, how many differ
	First      string `json:"first_difference,omitempty"` // in words; empty: none
	Behind     int64  `json:"behind_offsets"`             // of the topics, that the table has not taken yet; transaction markers included
	Beyond     uint64 `json:"rows_beyond"`                // of records beyond where the table stands, counted when nobody fills the tables: nobody knows where they are from
	Duplicates uint64 `json:"duplicates"`                 // rows that a merge will drop; what reads with FINAL does not see them
}

// Report is what a comparison of all tables found.
type Report struct {
	Tables []Verdict `json:"tables"`
	Filler string    `json:"filler,omitempty"` // the process that fills the tables; empty: none does
}

// Equal tells whether the tables are what the topics are, but for what a sink is about to bring.
func (r Report) Equal() bool {
	for _, v := range r.Tables {
		if v.Different > 0 || r.Filler == "" && (v.Behind > 0 || v.Beyond > 0) {
			return false
		}
	}
	return true
}

// Behind is how far the table that is furthest behind is.
func (r Report) Behind() (most int64) {
	for _, v := range r.Tables {
		most = max(most, v.Behind)
	}
	return most
}

// Sum of a column.
type Sum struct {
	Column string `json:"column"`
	Sum    int64  `json:"sum"`
}
