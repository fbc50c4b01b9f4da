package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// client speaks to one server and takes no for an answer only when it is one.
type client struct {
	pick    func() string // base URL of the next request
	http    *http.Client
	retries atomic.Int64
	notice  io.Writer
	noticed atomic.Int64 // when the last word was said, in Unix seconds
}

// waitSeconds is how long the server is asked to wait for a decision before it answers with the order as it is.
const waitSeconds = 20

func newClient(base string, workers int, notice io.Writer) (*client, error) {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("server %q: want a URL, such as http://127.0.0.1:8080", base)
	}
	t := &http.Transport{MaxIdleConnsPerHost: workers, MaxConnsPerHost: workers, DisableCompression: true, ResponseHeaderTimeout: (waitSeconds + 15) * time.Second,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	base = strings.TrimSuffix(base, "/")
	return &client{pick: func() string { return base }, http: &http.Client{Transport: t, Timeout: (waitSeconds + 30) * time.Second}, notice: notice}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answer is what the server said.
type answer struct {
	code     int
	body     []byte
	replayed bool
}

// problem is application/problem+json, as far as a storefront needs it.
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Code    string `json:"code"`
		Rule    string `json:"rule"`
		Value   string `json:"value"`
	} `json:"errors"`
}

func (a answer) problem() problem {
	var p problem
	if json.Unmarshal(a.body, &p) != nil || p.Code == "" {
		p.Code = "HTTP_" + strconv.Itoa(a.code)
	}
	return p
}

func (p problem) text() string {
	if len(p.Errors) == 0 {
		return p.Detail
	}
	e, value := p.Errors[0], ""
	if e.Value != "" {
		value = fmt.Sprintf(", is %q", e.Value)
	}
	return strings.TrimSpace(e.Pointer + " " + e.Rule + value)
}

var errUndecided = errors.New("no final answer in time")

// triesAt500 is how often a request that the server fails on is repeated: it may be a moment's fault, but not for ever.
const triesAt500 = 8

// call repeats a request until it is answered for good: not by a lost connection, "too many requests" or "not now". It carries the same key each time, so the
// server does what it asks once.
func (c *client) call(ctx context.Context, method, path, key string, body []byte) (answer, error) {
	failed := 0
	for try := 0; ; try++ {
		if try > 0 {
			c.retries.Add(1)
		}
		a, err := c.once(ctx, method, path, key, body)
		switch {
		case ctx.Err() != nil:
			return a, errUndecided
		case err != nil || a.code == http.StatusTooManyRequests || a.code == http.StatusServiceUnavailable || a.code == http.StatusBadGateway || a.code == http.StatusGatewayTimeout:
		case a.code >= 500 && a.problem().Code != "DEAD_LETTERED" && failed < triesAt500:
			failed++
		default:
			return a, nil
		}
		c.complain(try, a, err)
		if !pause(ctx, try) {
			return a, errUndecided
		}
	}
}

// complain says now and then that a request is not answered, so that nobody waits for a server that is not there.
func (c *client) complain(try int, a answer, err error) {
	const patient, every = 5, 5 // tries, seconds
	now, last := time.Now().Unix(), c.noticed.Load()
	if c.notice == nil || try < patient || now-last < every || !c.noticed.CompareAndSwap(last, now) {
		return
	}
	if err == nil {
		err = fmt.Errorf("status %d: %s", a.code, a.problem().Detail)
	}
	fmt.Fprintf(c.notice, "%s does not take requests, trying again: %v\n", c.pick(), err)
}

func (c *client) once(ctx context.Context, method, path, key string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.pick()+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
		req.Header.Set("Prefer", "wait="+strconv.Itoa(waitSeconds))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{code: resp.StatusCode, replayed: resp.Header.Get("Idempotent-Replayed") == "true"}
	a.body, err = io.ReadAll(resp.Body)
	return a, err
}

const (
	firstPause = 20 * time.Millisecond
	longPause  = 1500 * time.Millisecond
)

// pause waits longer each time, with full jitter above a floor, so that many workers do not come back at once.
func pause(ctx context.Context, try int) bool {
	most := min(firstPause<<min(try, 10), longPause)
	timer := time.NewTimer(most/4 + rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fits tells whether a key can travel as an HTTP header at all.
func fits(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) && strings.TrimSpace(key) == key
}
