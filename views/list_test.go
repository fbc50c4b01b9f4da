package views

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"oms/schemas"
)

// ids in the pages of a list, page by page, following Link. between runs after each page.
func ids(t *testing.T, base, path string, between func(page int), headers ...string) (all []string) {
	t.Helper()
	for page := 0; path != ""; page++ {
		res, body := get(t, base+path, headers...)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, res.StatusCode, body)
		}
		for _, o := range parsed(t, body)["orders"].([]any) {
			all = append(all, o.(map[string]any)["order_id"].(string))
		}
		path = ""
		if link := res.Header.Get("Link"); link != "" {
			var ok bool
			if path, ok = strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`); !ok {
				t.Fatalf("Link is %s", link)
			}
		}
		if between != nil {
			between(page)
		}
	}
	return all
}

func TestAChangedStatusLeavesNoEntryBehind(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	for _, status := range []schemas.OrderStatus{schemas.OrderStatusPending, schemas.OrderStatusConfirmed, schemas.OrderStatusCancelling, schemas.OrderStatusCancelled} {
		version := int64(slices.Index(orderStatuses, status))
		s.say(orderRow("ord_1", version, 1000, status))
		s.order("ord_1", version)
		for _, other := range orderStatuses {
			want := 0
			if other == status {
				want = 1
			}
			for _, list := range []string{"/api/orders?status=", "/api/customers/cus_1/orders?status="} {
				if got := ids(t, base, list+string(other), nil); len(got) != want {
					t.Errorf("%s: %s%s has %v", status, list, other, got)
				}
			}
		}
	}
	for _, kind := range []byte{kindPlaced, kindStatus, kindCustomer} {
		if n := s.entries(kind); n != 1 {
			t.Errorf("%d entries of kind %c, want 1", n, kind)
		}
	}
}

func TestACursorHoldsItsPlaceWhileOrdersComeIn(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	var want []string
	var rows []schemas.Message
	for i := range 25 {
		id := fmt.Sprintf("ord_%02d", i)
		rows = append(rows, orderRow(id, 1, int64(1000+i/2), schemas.OrderStatusPending)) // pairs at one time
		want = append(want, id)
	}
	slices.Reverse(want)
	for i := 0; i+2 < len(want); i += 2 { // within one time, by id
		slices.Sort(want[i+1 : i+3])
	}
	s.say(rows...)
	for i := range 25 {
		s.order(fmt.Sprintf("ord_%02d", i), 1)
	}
	for _, list := range []string{"/api/orders?limit=7", "/api/orders?customer=cus_1&limit=7", "/api/customers/cus_1/orders?limit=7", "/api/orders?limit=7&status=PENDING", "/api/orders?customer=cus_1&limit=7&status=PENDING"} {
		got := ids(t, base, list, func(page int) {
			id := "ord_new" + url.QueryEscape(list) + fmt.Sprint(page)
			s.say(orderRow(id, 1, 5000, schemas.OrderStatusPending))
			s.order(id, 1)
		})
		got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "ord_new") })
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", list, got, want)
		}
	}
	got := ids(t, base, "/api/orders?from=1970-01-01T00:00:01.010Z&limit=100", nil)
	if got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "ord_new") }); !slices.Equal(got, want[:5]) {
		t.Errorf("from a time on: %v, want %v", got, want[:5])
	}
}

func TestAListRefusesWhatItCannotRead(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	s.say(orderRow("ord_1", 1, 1000, schemas.OrderStatusPending), orderRow("ord_2", 1, 1000, schemas.OrderStatusPending))
	s.order("ord_2", 1)
	s.order("ord_1", 1)
	_, body := get(t, base+"/api/orders?limit=1")
	cursor := parsed(t, body)["next_cursor"].(string)
	for path, why := range map[string]string{
		"/api/orders?limit=0":                                "limit below 1",
		"/api/orders?limit=101":                              "limit above 100",
		"/api/orders?limit=x":                                "limit that is no number",
		"/api/orders?status=pending":                         "status in lower case",
		"/api/orders?from=yesterday":                         "a time that is none",
		"/api/orders?cursor=AAAA":                            "a made-up cursor",
		"/api/orders?status=CONFIRMED&cursor=" + cursor:      "a cursor of another list",
		"/api/products?cursor=" + cursor:                     "a cursor of another kind",
		"/api/orders?custmer=cus_1":                          "a misspelt filter",
		"/api/orders?status=PENDING&status=CONFIRMED":        "two statuses",
		"/api/customers/cus_1/orders?customer=cus_2":         "a filter of another list",
		"/api/products?status=PENDING":                       "a filter of another kind",
		"/api/orders/ord_1?minversion=1":                     "a misspelt version",
		"/api/orders/ord_1?min_version=-1":                   "a version below 0",
		"/api/orders/ord_1?min_version=99999999999999999999": "a version beyond int64",
	} {
		if res, body := get(t, base+path); res.StatusCode != http.StatusBadRequest || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s (%s): %d %s", path, why, res.StatusCode, body)
		}
	}
}

func TestTheCatalogueListsWhatWasAdded(t *testing.T) {
	s := openShop(t)
	base := s.serve()
	asked := productRow("only-asked-for", 1, 0)
	asked.Exists = false
	other := productRow("theirs", 1, 5)
	other.Tenant = "other"
	s.say(productRow("b", 1, 5), productRow("a", 1, 5), productRow("c d", 1, 5), asked, other)
	for _, id := range []string{"a", "b", "c d"} {
		if _, err := s.views.Product(soon(t), shopTenant, id, 1); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	path := "/api/products?limit=2"
	for path != "" {
		_, body := get(t, base+path)
		page := parsed(t, body)
		for _, p := range page["products"].([]any) {
			got = append(got, p.(map[string]any)["product_id"].(string))
		}
		if path = ""; page["next_cursor"] != nil {
			path = "/api/products?limit=2&cursor=" + page["next_cursor"].(string)
		}
	}
	if want := []string{"a", "b", "c d"}; !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if res, _ := get(t, base+"/api/products/only-asked-for"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a product that nobody added: %d", res.StatusCode)
	}
	if res, body := get(t, base+"/api/inventory/c%20d"); res.StatusCode != http.StatusOK || parsed(t, body)["available"] != 2.0 || parsed(t, body)["reserved"] != 2.0 {
		t.Errorf("stock: %d %s", res.StatusCode, body)
	}
}
