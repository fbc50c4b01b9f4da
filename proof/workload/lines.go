package workload

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Lines reads documents in the format of this package. It ends early only with an error of the reader.
func Lines(r io.Reader) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		in := bufio.NewReaderSize(r, 1<<20)
		for n := 1; ; n++ {
			line, err := in.ReadBytes('\n')
			if line = bytes.TrimSpace(line); len(line) > 0 {
				d := parse(line, n)
				d.Line = n
				if !yield(d, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Document{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
		}
	}
}

// parse takes a line apart without judging its values: numbers, repeated names and unknown fields reach the server as they stand.
func parse(line []byte, n int) Document {
	sum := sha256.Sum256(line)
	bad := Document{Key: fmt.Sprintf("line-%d-%s", n, hex.EncodeToString(sum[:6])), Action: Named, Outcome: RefusedLine, Reason: "must be one JSON object"}
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad
	}
	var own struct {
		key, product, onHand json.RawMessage
	}
	body := make([]byte, 0, len(line))
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return bad
		}
		switch name {
		case "idempotency_key":
			own.key = value
		case "product":
			own.product = value
		case "on_hand":
			own.onHand = value
		default:
			quoted, _ := json.Marshal(name)
			body = append(append(append(append(body, ','), quoted...), ':'), value...)
		}
	}
	if _, err := d.Token(); err != nil || d.InputOffset() != int64(len(line)) {
		return bad
	}
	if own.product != nil {
		return product(bad, own.product, own.onHand)
	}
	doc := Document{Key: bad.Key, Action: Place}
	if own.key != nil && (json.Unmarshal(own.key, &doc.Key) != nil || doc.Key == "") {
		bad.Reason = "idempotency_key must be a text, and not empty"
		return bad
	}
	if body = append(body, '}'); body[0] == ',' {
		body[0] = '{'
	} else {
		body = []byte("{}")
	}
	doc.Body = body
	return doc
}

func product(bad Document, body, onHand json.RawMessage) Document {
	doc := Document{Action: Open, Body: body}
	var id struct {
		ProductID string `json:"product_id"`
	}
	if json.Unmarshal(body, &id) != nil || onHand != nil && json.Unmarshal(onHand, &doc.OnHand) != nil {
		bad.Reason = "product must be an object with a product_id, and on_hand a whole number"
		return bad
	}
	doc.ProductID, doc.Key = id.ProductID, "product:"+id.ProductID
	return doc
}

// Write puts documents into the format of this package; only orders and products have a place in it.
func Write(w io.Writer, documents iter.Seq2[Document, error]) error {
	out := bufio.NewWriter(w)
	for d, err := range documents {
		if err != nil {
			return err
		}
		var line any
		switch d.Action {
		case Open:
			line = struct {
				Product json.RawMessage `json:"product"`
				OnHand  int64           `json:"on_hand"`
			}{d.Body, d.OnHand}
		case Place:
			key, err := json.Marshal(d.Key)
			if err != nil {
				return err
			}
			line = json.RawMessage(append(append(append([]byte(`{"idempotency_key":`), key...), ','), d.Body[1:]...))
		default:
			return fmt.Errorf("document %q is neither an order nor a product", d.Key)
		}
		b, err := json.Marshal(line)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return out.Flush()
}
