package views

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oms/internal/kafka/kafkatest"
	"oms/internal/web"
	"oms/schemas"
	"oms/topics"
)

// serveRegistry is the schema registry without views behind it.
func serveRegistry(t *testing.T) string {
	t.Helper()
	app := web.New(web.Config{Authenticator: asked{}, Log: kafkatest.Log(t)})
	registry(app)
	return serveApp(t, app)
}

func TestEveryReleasedSchemaIsFoundByItsId(t *testing.T) {
	base := serveRegistry(t)
	for _, r := range schemas.Releases() {
		var got struct{ Schema string }
		res, body := get(t, base+"/schemas/ids/"+fmt.Sprint(r.ID))
		if err := json.Unmarshal(body, &got); err != nil || res.StatusCode != http.StatusOK || got.Schema != r.Text {
			t.Errorf("schema %d: %d %s %v", r.ID, res.StatusCode, body, err)
		}
		var uses []struct {
			Subject string
			Version int
		}
		_, body = get(t, base+"/schemas/ids/"+fmt.Sprint(r.ID)+"/versions")
		if err := json.Unmarshal(body, &uses); err != nil || len(uses) == 0 {
			t.Errorf("schema %d is used nowhere: %s %v", r.ID, body, err)
		}
		for _, use := range uses {
			var found struct {
				Subject string
				ID      uint32
				Version int
				Schema  string
			}
			_, body = get(t, base+"/subjects/"+use.Subject+"/versions/"+fmt.Sprint(use.Version))
			if err := json.Unmarshal(body, &found); err != nil || found.ID != r.ID || found.Schema != r.Text || found.Subject != use.Subject {
				t.Errorf("%s version %d: %s %v", use.Subject, use.Version, body, err)
			}
		}
	}
}

func TestEverySubjectIsATopicAndAMessage(t *testing.T) {
	base := serveRegistry(t)
	var names []string
	_, body := get(t, base+"/subjects")
	if err := json.Unmarshal(body, &names); err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics.All {
		for _, k := range topics.KindsOf(topic) {
			if !slices.Contains(names, topic.Name+"-"+k.String()) {
				t.Errorf("%s on %s has no subject", k, topic.Name)
			}
		}
	}
	for _, name := range names {
		if res, body := get(t, base+"/subjects/"+name+"/versions/latest"); res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != registryType {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
}

func TestTheRegistrySaysWhatItDoesNotHave(t *testing.T) {
	base := serveRegistry(t)
	subject := topics.Subject(topics.OrderEvents, schemas.KindOrderCreated)
	for path, code := range map[string]float64{
		"/schemas/ids/99999":                        errSchema,
		"/schemas/ids/x":                            errSchema,
		"/schemas/ids/99999/versions":               errSchema,
		"/subjects/nobody/versions":                 errSubject,
		"/subjects/nobody/versions/1":               errSubject,
		"/subjects/" + subject + "/versions/999":    errVersion,
		"/subjects/" + subject + "/versions/0":      errBad,
		"/subjects/" + subject + "/versions/newest": errBad,
	} {
		res, body := get(t, base+path)
		if got := parsed(t, body); got["error_code"] != code || res.StatusCode != int(code)/100 || got["message"] == "" || res.Header.Get("Content-Type") != registryType {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}

// A stranger's decoder, given nothing but the address of the registry and a record.
func TestAPythonConsumerDecodesEveryFact(t *testing.T) {
	home, _ := os.UserHomeDir()
	python := filepath.Join(cmp.Or(os.Getenv("OMS_CACHE"), filepath.Join(home, ".cache")), "oms-venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no Python environment (make setup brings it): ", err)
	}
	base := serveRegistry(t)
	var in strings.Builder
	for _, m := range []schemas.Message{
		created("ord_1", 1, 0, 1), confirmed("ord_2", 2, 1, 2), paid("ord_3", 3, 0, 1), orderRow("ord_4", 4, 1000, schemas.OrderStatusConfirmed),
		&schemas.InventoryUpdated{ProductID: "p", Movement: schemas.MovementReserved, Levels: []schemas.StockLevel{{LocationID: "main", OnHand: 5}}},
	} {
		raw, err := schemas.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(map[string]any{"topic": topics.Of(m).Name, "value": raw})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd := exec.Command(python, "testdata/decode.py", base)
	cmd.Stdin = strings.NewReader(in.String())
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	for i, key := range []string{"ord_1", "ord_2", "ord_3", "ord_4", "p"} {
		if got := parsed(t, []byte(lines[i])); got["order_id"] != key && got["product_id"] != key {
			t.Errorf("record %d: %s", i, lines[i])
		}
	}
}
