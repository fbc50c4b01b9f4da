package bench

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"oms/proof/chaos"
)

// ticksPerSecond is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// usage is what the server has used so far; zero where it is not measured.
type usage struct {
	server, client time.Duration // processor time, user and system
	resident, peak int64         // bytes
	disk           map[string]int64
	mallocs, bytes float64 // allocated by the server's process
}

// usage reads /proc, the data directory and the metrics. What cannot be read counts as not measured: the figures are then absent from the report.
func (c Config) usage() usage {
	var u usage
	var self syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &self) == nil {
		u.client = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	}
	if c.PID > 0 {
		u.server = processorTime(c.PID)
		u.resident, u.peak = chaos.Memory(c.PID)
	}
	if c.Server != "" {
		if families, err := c.metrics(context.Background()); err == nil { // ends by itself
			u.mallocs, u.bytes = counter(families, "go_memstats_mallocs_total"), counter(families, "go_memstats_alloc_bytes_total")
		}
	}
	if c.DataDir != "" {
		u.disk = diskBytes(c.DataDir)
	}
	return u
}

func processorTime(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is the command in brackets and may hold anything; utime and stime are fields 14 and 15.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// ofTopic finds the topic in the path of a file of the embedded broker's log.
var ofTopic = regexp.MustCompile(`^kafka/log/partitions/(.+)-[0-9]+/`)

// diskBytes are the sizes of the files below dir by its first level, and those of Kafka's log by topic. Files come and go while it looks, so one that is gone counts nothing.
func diskBytes(dir string) map[string]int64 {
	sizes := map[string]int64{}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		rel, _ := filepath.Rel(dir, path)
		name, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		if m := ofTopic.FindStringSubmatch(filepath.ToSlash(rel)); m != nil {
			name = "kafka: " + m[1]
		}
		sizes[name] += info.Size()
		return nil
	})
	return sizes
}

// spent puts processor time and allocations per order into the result.
func (r *Result) spent(before, after usage, orders int64) {
	if orders == 0 {
		return
	}
	per := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(orders) }
	if after.server > 0 {
		r.ServerCPUMS = per(after.server - before.server)
	}
	r.ClientCPUMS = per(after.client - before.client)
	if before.mallocs > 0 && after.mallocs > 0 {
		r.Allocations, r.AllocatedBytes = (after.mallocs-before.mallocs)/float64(orders), (after.bytes-before.bytes)/float64(orders)
	}
}

// grown puts disk and memory per order into the result.
func (r *Result) grown(before, after usage, orders int64) {
	if orders == 0 {
		return
	}
	if after.disk != nil {
		r.BytesBy = map[string]float64{}
	}
	for dir, bytes := range after.disk {
		per := float64(bytes-before.disk[dir]) / float64(orders)
		if r.BytesPerOrder += per; per >= 1 {
			r.BytesBy[dir] = per
		}
	}
	const mib = 1 << 20
	r.ResidentMiB, r.PeakResidentMiB = float64(after.resident)/mib, float64(after.peak)/mib
	r.BytesPerResident = max(0, float64(after.resident-before.resident)/float64(orders))
}
