package chaos

import (
	"oms/proof/workload"
)

// work is what a shop is asked to do while it is broken.
type work struct {
	goods   *workload.Shop
	arrive  func(n int, decided func(key string) bool) ([]workload.Document, error) // the n-th order, and what comes with it
	decides func(outcome string) bool                                               // an outcome that shows a shop at work
}

// A twentieth of the orders is cancelled, some orders after it was placed.
const (
	cancelEvery = 20
	cancelAfter = 10
)

// retail sells many products; of the most popular ones it has less than its buyers want.
func retail(c Config) work {
	w := work{goods: workload.NewShop(workload.Shop{Seed: c.Seed, Products: 300, OnHand: int64(max(1, c.Orders/150))}), decides: confirmed}
	w.arrive = func(n int, _ func(string) bool) ([]workload.Document, error) { return cancelled(n, w.goods.Order) }
	return w
}

// keyReused is the outcome of another body under a key that an order has: the order itself has its own.
const keyReused = "REFUSED:KEY_REUSED"

func confirmed(outcome string) bool { return outcome == "CONFIRMED" }

// cancelled answers the n-th order, and now and then the cancellation of an earlier one.
func cancelled(n int, order func(n int) workload.Order) ([]workload.Document, error) {
	d, err := order(n).Document()
	d.Awaited = n%cancelEvery == 0
	all := []workload.Document{d}
	if n%cancelEvery == cancelAfter {
		of := order(n - cancelAfter).Key
		all = append(all, workload.Document{Key: "cancel-" + of, Action: workload.Cancel, Of: of, Reason: "changed my mind"})
	}
	return all, err
}
