package desk

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// browser is a Chromium, driven over the WebDriver protocol.
type browser struct {
	t       *testing.T
	session string // URL
}

// newBrowser starts a Chromium without a window; the test skips where there is none.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	driver, err := exec.LookPath("chromedriver")
	if err != nil {
		t.Skip("no chromedriver: .ci/setup brings Chromium")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium: .ci/setup brings it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.Command(driver, fmt.Sprintf("--port=%d", port), "--silent")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "desk-browser")
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, session: fmt.Sprintf("http://127.0.0.1:%d", port)}
	t.Cleanup(func() {
		if strings.Contains(b.session, "/session/") {
			b.call(http.MethodDelete, "", nil)
		}
		cmd.Process.Kill()
		cmd.Wait()
		eventually(t, "the browser has left its directory", func() bool { return os.RemoveAll(profile) == nil })
	})
	eventually(t, "the driver answers", func() bool {
		res, err := http.Get(b.session + "/status")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	var opened struct{ SessionID string }
	b.into(&opened, http.MethodPost, "/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "goog:loggingPrefs": map[string]string{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{"binary": chromium, "args": []string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
			"--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--user-data-dir=" + profile}}}}})
	b.session += "/session/" + opened.SessionID
	return b
}

// call sends a command and answers its value.
func (b *browser) call(method, path string, body any) json.RawMessage {
	b.t.Helper()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, b.session+path, content)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != 200 {
		b.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, answer.Value, err)
	}
	return answer.Value
}

func (b *browser) into(v any, method, path string, body any) {
	b.t.Helper()
	if err := json.Unmarshal(b.call(method, path, body), v); err != nil {
		b.t.Fatal(err)
	}
}

// is runs JavaScript that answers true or false.
func (b *browser) is(js string) (yes bool) {
	b.t.Helper()
	b.into(&yes, http.MethodPost, "/execute/sync", map[string]any{"script": "return Boolean(" + js + ")", "args": []any{}})
	return yes
}

// text runs JavaScript that answers a text.
func (b *browser) text(js string) (s string) {
	b.t.Helper()
	b.into(&s, http.MethodPost, "/execute/sync", map[string]any{"script": "return String(" + js + ")", "args": []any{}})
	return s
}

func (b *browser) run(js string) {
	b.t.Helper()
	b.call(http.MethodPost, "/execute/sync", map[string]any{"script": js, "args": []any{}})
}

// comes waits until JavaScript answers true.
func (b *browser) comes(js string) {
	b.t.Helper()
	for end := time.Now().Add(15 * time.Second); !b.is(js); {
		if time.Now().After(end) {
			b.t.Fatalf("never: %s\n%s\n%v", js, b.text("document.body.innerText.slice(0, 900)"), b.errors())
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.call(http.MethodPost, "/url", map[string]string{"url": url})
}

// press types on the keyboard; see the W3C's WebDriver for keys that are no letters.
func (b *browser) press(keys string) {
	b.t.Helper()
	var actions []map[string]string
	for _, k := range keys {
		actions = append(actions, map[string]string{"type": "keyDown", "value": string(k)}, map[string]string{"type": "keyUp", "value": string(k)})
	}
	b.call(http.MethodPost, "/actions", map[string]any{"actions": []any{map[string]any{"type": "key", "id": "keyboard", "actions": actions}}})
}

const (
	tab   = "\uE004"
	enter = "\uE007"
	down  = "\uE015"
)

// cdp sends a command of the DevTools.
func (b *browser) cdp(command string, params map[string]any) {
	b.t.Helper()
	b.call(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": command, "params": params})
}

// screen is the size of the window, in pixels of CSS.
func (b *browser) screen(width, height int, phone bool) {
	b.t.Helper()
	scale := 1
	if phone {
		scale = 2
	}
	b.cdp("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone})
}

// dark sets what the person prefers.
func (b *browser) dark(yes bool) {
	b.t.Helper()
	value := "light"
	if yes {
		value = "dark"
	}
	b.cdp("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": value}}})
}

// errors are the console's since the last look.
func (b *browser) errors() (all []string) {
	b.t.Helper()
	var entries []struct{ Level, Message string }
	b.into(&entries, http.MethodPost, "/se/log", map[string]string{"type": "browser"})
	for _, e := range entries {
		if e.Level == "SEVERE" || e.Level == "WARNING" {
			all = append(all, e.Message)
		}
	}
	return all
}

// picture writes what is on the screen to a file.
func (b *browser) picture(path string) {
	b.t.Helper()
	var encoded string
	b.into(&encoded, http.MethodGet, "/screenshot", nil)
	img, err := png.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(encoded)))
	if err != nil {
		b.t.Fatal(err)
	}
	var small bytes.Buffer // the browser's own takes twice the bytes
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, img); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, small.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("%s: %d kB", path, small.Len()>>10)
}
