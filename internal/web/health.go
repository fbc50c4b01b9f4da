package web

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// HealthPaths are served to whoever asks: a load balancer and a scraper have no token.
var HealthPaths = []string{"/healthz", "/readyz", "/metrics"}

// Health serves them: alive at all, ready to take work (waiting names what is not yet), and figures.
func Health(r fiber.Router, waiting func() []string, metrics prometheus.Gatherer) {
	r.Get("/healthz", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "alive"}) })
	r.Get("/readyz", func(c *fiber.Ctx) error {
		if names := waiting(); len(names) > 0 {
			return c.Status(http.StatusServiceUnavailable).JSON(fiber.Map{"status": "starting", "waiting_for": names})
		}
		return c.JSON(fiber.Map{"status": "ready", "waiting_for": []string{}})
	})
	r.Get("/metrics", adaptor.HTTPHandler(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
}
