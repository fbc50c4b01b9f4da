package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oms/internal/archive"
	"oms/internal/kafka"
	"oms/proof/audit"
	"oms/proof/audit/checkpoint"
	"oms/proof/audit/fold"
	"oms/topics"
)

// session is an audit at work. Books and offsets move together: whenever it is not inside one of its methods, the books hold exactly the records before reader.Next.
type session struct {
	Config
	clusterID string
	archive   *archive.Archive // nil: none
	reader    *kafka.Reader
	books     *audit.Auditor
	fold      *folder
	marks     marks
	progress  progress
	onBatch   func() // after each poll; nil: nothing is done
}

// batchRecords bounds what one poll hands out, and so what waits for the fold.
const batchRecords = 10_000

// open starts a session, from the checkpoint if there is one.
func open(ctx context.Context, c Config) (s *session, err error) {
	s = &session{Config: c, books: audit.New()}
	if s.clusterID, err = c.Kafka.ClusterID(ctx); err != nil {
		return nil, err
	}
	f, from, err := s.load()
	if err != nil {
		return nil, err
	}
	if s.Archive != "" {
		if s.archive, err = archive.Open(s.Archive, s.clusterID); err != nil {
			return nil, err
		}
	}
	if err := s.read(ctx, from); err != nil {
		return nil, errors.Join(err, s.closeReaders())
	}
	s.fold = start(f)
	s.marks.seen = s.reader.Next()
	return s, nil
}

// gather lets the broker wait for a megabyte: an audit reads much, or has time.
const gather = 20 * time.Millisecond

// read every topic, and what the archive has of its beginning, from the offsets on.
func (s *session) read(ctx context.Context, from kafka.Offsets) (err error) {
	var all, kept []string
	for _, t := range topics.All {
		if all = append(all, t.Name); t.Policy == topics.KeepForever {
			kept = append(kept, t.Name)
		}
	}
	begin := kafka.From{Offsets: from, Gather: gather, Whole: kept}
	if s.archive != nil {
		begin.Before = s.archive.Beginning(from)
	}
	if s.reader, err = s.Kafka.NewReader(ctx, begin, all...); err != nil {
		return err
	}
	s.reader.MaxPoll = batchRecords
	starts, err := s.reader.Starts(ctx)
	if err != nil {
		return err
	}
	if s.archive != nil {
		if err := s.archive.Compare(ctx, s.Kafka, starts); err != nil {
			return err
		}
		for topic, parts := range s.archive.Ends() { // which begin with the first record
			for n, end := range parts {
				if starts[topic][n] <= end { // otherwise what is between is in neither
					starts[topic][n] = 0
				}
			}
		}
	}
	return s.follows(ctx, from, starts)
}

func (s *session) close() {
	s.fold.stop()
	_ = s.closeReaders() // of files that were read
}

func (s *session) closeReaders() (err error) {
	if s.reader != nil {
		s.reader.Close()
	}
	if s.archive != nil {
		err = s.archive.Close()
	}
	return err
}

// follows demands that the topics go on from a checkpoint, or have all that was ever in them: no law can be checked without the records that others follow from.
func (s *session) follows(ctx context.Context, from, starts kafka.Offsets) error {
	ends, err := s.ends(ctx)
	if err != nil {
		return err
	}
	for _, t := range topics.All {
		for n, first := range starts[t.Name] {
			at, resumed := from[t.Name][n]
			if end := ends[t.Name][n]; at > end {
				return fmt.Errorf("checkpoint %s: it was read up to %s/%d@%d, which ends at %d: the log has lost its end, or is another one: remove the file, and the audit reads from the start", s.Checkpoint, t.Name, n, at, end)
			}
			switch gone := at < first && t.Policy == topics.KeepForever; {
			case gone && resumed:
				return fmt.Errorf("checkpoint %s: it was read up to %s/%d@%d, which starts at %d now: what is between can no longer be audited, unless it was archived (--archive)", s.Checkpoint, t.Name, n, at, first)
			case gone:
				return fmt.Errorf("%s/%d starts at offset %d: the laws can only be checked from the first record on, so name the directory into which the beginning was archived (--archive)", t.Name, n, first)
			}
		}
	}
	return nil
}

// load answers the fold and where to go on, and fills the books; without a checkpoint all are new.
func (s *session) load() (*fold.Fold, kafka.Offsets, error) {
	f, from := fold.New(), kafka.Offsets{}
	if s.Checkpoint == "" {
		return f, from, nil
	}
	err := checkpoint.Load(s.Checkpoint, s.fields(f, from))
	if errors.Is(err, checkpoint.ErrNone) {
		return f, kafka.Offsets{}, nil
	}
	return f, from, err
}

// save writes the checkpoint, if one is kept.
func (s *session) save() error {
	if s.Checkpoint == "" {
		return nil
	}
	next := s.reader.Next()
	return s.fold.with(func(f *fold.Fold) error { return checkpoint.Save(s.Checkpoint, s.fields(f, next)) })
}

// fields of a checkpoint. A cluster or a program that is not this one's ends it before anything else is read.
func (s *session) fields(f *fold.Fold, at kafka.Offsets) func(*checkpoint.Codec) {
	return func(c *checkpoint.Codec) {
		cluster, build := s.clusterID, s.Build
		checkpoint.Text(c, &cluster)
		checkpoint.Text(c, &build)
		if cluster != s.clusterID {
			c.Fail(fmt.Errorf("it belongs to cluster %q, this one is %q", cluster, s.clusterID))
			return
		}
		if build != s.Build {
			c.Fail(fmt.Errorf("it was written by oms %s, this is oms %s: rows are folded by one program from start to end", build, s.Build))
			return
		}
		checkpoint.Map(c, at, func(topic *string) { checkpoint.Text(c, topic) }, func(parts *map[int32]int64) {
			if *parts == nil {
				*parts = map[int32]int64{}
			}
			checkpoint.Map(c, *parts, func(n *int32) { checkpoint.Number(c, n) }, func(at *int64) { checkpoint.Number(c, at) })
		})
		s.books.Fields(c)
		f.Fields(c)
	}
}

// stopped saves what was read when an audit cannot go on, and says so.
func (s *session) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ErrInterrupted
	}
	if saving := s.save(); saving != nil || s.Checkpoint == "" {
		return errors.Join(err, saving)
	}
	return fmt.Errorf("%w; %d records are in the checkpoint, and the same audit again goes on there", err, s.books.Records())
}

// askError is an error of a question to the cluster, which may be asked again; the books stand.
type askError struct{ error }

func (e askError) Unwrap() error { return e.error }

func (s *session) ends(ctx context.Context) (kafka.Offsets, error) {
	ends, err := s.reader.Ends(ctx)
	if err != nil {
		return nil, askError{err}
	}
	return ends, nil
}

// round reads everything that there is when it begins, and learns how far the groups are. still: nothing was added meanwhile.
func (s *session) round(ctx context.Context) (asOf time.Time, still bool, err error) {
	asOf = time.Now()
	ends, err := s.ends(ctx)
	if err != nil {
		return asOf, false, err
	}
	if err := s.readTo(ctx, ends); err != nil {
		return asOf, false, err
	}
	if err := s.settle(ctx); err != nil {
		return asOf, false, err
	}
	if ends, err = s.ends(ctx); err != nil {
		return asOf, false, err
	}
	return asOf, s.reader.Reached(ends), nil
}

func (s *session) readTo(ctx context.Context, ends kafka.Offsets) error {
	for !s.reader.Reached(ends) {
		if err := s.poll(ctx); err != nil {
			return err
		}
		s.progress.tell(s.Progress, s.books.Records(), func() int64 { return left(s.reader.Next(), ends) })
		if err := s.mark(ctx); err != nil {
			return err
		}
	}
	return nil
}

// poll takes the records of one poll, all or none of which are in the books when it comes back.
func (s *session) poll(ctx context.Context) error {
	batch := make([]*kafka.Record, 0, 1_000) // the fold works on it while the next one is read
	err := s.reader.Poll(ctx, func(rec *kafka.Record) error {
		batch = append(batch, rec)
		return nil
	})
	s.fold.do(func(f *fold.Fold) {
		for _, rec := range batch {
			f.Take(rec)
		}
	})
	for _, rec := range batch {
		if err := s.books.Take(rec); err != nil {
			return err
		}
	}
	if s.onBatch != nil {
		s.onBatch()
	}
	return err
}

// look checks what only the whole shows.
func (s *session) look(asOf time.Time, still bool) audit.Report {
	var replay *audit.Law
	_ = s.fold.with(func(f *fold.Fold) error {
		replay = f.Law(asOf.UnixMilli(), still)
		return nil
	})
	r := s.books.Report(asOf, still)
	r.Add(replay)
	return r
}

// left counts the offsets between two places.
func left(next, ends kafka.Offsets) (n int64) {
	for topic, parts := range ends {
		for p, end := range parts {
			n += max(0, end-next[topic][p])
		}
	}
	return n
}
