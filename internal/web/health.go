package web

import (
	"maps"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// HealthPaths are served to whoever asks: a load balancer and a scraper have no token.
var HealthPaths = []string{"/healthz", "/readyz", "/metrics"}

// Health serves them: alive at all, ready to take work (waiting names what is not yet), and figures. details are told by readiness, and change nothing about it.
func Health(r fiber.Router, waiting func() []string, details func() map[string]any, metrics prometheus.Gatherer) {
	r.Get("/healthz", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "alive"}) })
	r.Get("/readyz", func(c *fiber.Ctx) error {
		answer := fiber.Map{"status": "ready", "waiting_for": []string{}}
		maps.Copy(answer, details())
		if names := waiting(); len(names) > 0 {
			answer["status"], answer["waiting_for"] = "starting", names
			c.Status(http.StatusServiceUnavailable)
		}
		return c.JSON(answer)
	})
	r.Get("/metrics", adaptor.HTTPHandler(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
}
