package views

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"oms/internal/web"
	"oms/schemas"
	"oms/topics"
)

// registryType is the content type of a schema registry.
const registryType = "application/vnd.schemaregistry.v1+json"

// Error codes of the Schema Registry API.
const (
	errSubject = 40401
	errVersion = 40402
	errSchema  = 40403
	errBad     = 42202 // a version that is no number
)

// subjects are the released schemas of each subject, by version. A message that is said on several topics, as outcomes are, is a subject of each.
var subjects = func() map[string][]*schemas.Release {
	all := map[string][]*schemas.Release{}
	for _, t := range topics.All {
		for _, r := range schemas.Releases() { // by id, and a later version has a higher one
			if topics.KindHas(t, r.Kind) {
				name := topics.Subject(t, r.Kind)
				all[name] = append(all[name], r)
			}
		}
	}
	return all
}()

// registry adds the read endpoints of the Schema Registry API, so that any consumer's Avro decoder finds the schemas here. What is released is in the binary: there is
// nothing to write.
func registry(r fiber.Router) {
	r.Get("/subjects", func(c *fiber.Ctx) error {
		names := make([]string, 0, len(subjects))
		for name := range subjects {
			names = append(names, name)
		}
		slices.Sort(names)
		return reply(c, fiber.StatusOK, names)
	})
	r.Get("/subjects/:subject/versions", getVersions)
	r.Get("/subjects/:subject/versions/:version", getVersion)
	r.Get("/schemas/types", func(c *fiber.Ctx) error { return reply(c, fiber.StatusOK, []string{"AVRO"}) })
	r.Get("/schemas/ids/:id", getSchema)
	r.Get("/schemas/ids/:id/versions", getUses)
	r.Get("/config", func(c *fiber.Ctx) error {
		return reply(c, fiber.StatusOK, fiber.Map{"compatibilityLevel": "FULL_TRANSITIVE"})
	})
}

func reply(c *fiber.Ctx, status int, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, registryType)
	return c.Status(status).Send(raw)
}

func refuse(c *fiber.Ctx, code int, message string) error {
	return reply(c, code/100, fiber.Map{"error_code": code, "message": message})
}

// releasesOf the subject in the path; nil when it has none.
func releasesOf(c *fiber.Ctx) (name string, all []*schemas.Release) {
	name, err := web.Param(c, "subject")
	if err != nil {
		return "", nil
	}
	return name, subjects[name]
}

func getVersions(c *fiber.Ctx) error {
	name, all := releasesOf(c)
	if all == nil {
		return refuse(c, errSubject, "Subject '"+name+"' not found.")
	}
	versions := make([]int, len(all))
	for i, r := range all {
		versions[i] = r.Version
	}
	return reply(c, fiber.StatusOK, versions)
}

// releaseAt finds the release of subject and version in the path, or has answered with the registry's error.
func releaseAt(c *fiber.Ctx) (name string, r *schemas.Release, err error) {
	name, all := releasesOf(c)
	if all == nil {
		return name, nil, refuse(c, errSubject, "Subject '"+name+"' not found.")
	}
	given := c.Params("version")
	if given == "latest" || given == "-1" {
		return name, all[len(all)-1], nil
	}
	version, err := strconv.Atoi(given)
	if err != nil || version < 1 || version > math.MaxInt32 {
		return name, nil, refuse(c, errBad, "The specified version '"+given+"' is not a valid version id.")
	}
	for _, r := range all {
		if r.Version == version {
			return name, r, nil
		}
	}
	return name, nil, refuse(c, errVersion, "Version "+given+" not found.")
}

func getVersion(c *fiber.Ctx) error {
	name, r, err := releaseAt(c)
	if r == nil {
		return err
	}
	return reply(c, fiber.StatusOK, fiber.Map{"subject": name, "id": r.ID, "version": r.Version, "schemaType": "AVRO", "schema": r.Text})
}

// releaseByID finds the release of the id in the path, or has answered with the registry's error.
func releaseByID(c *fiber.Ctx) (*schemas.Release, error) {
	id, err := strconv.ParseUint(c.Params("id"), 10, 32)
	all := schemas.Releases()
	i := slices.IndexFunc(all, func(r *schemas.Release) bool { return uint64(r.ID) == id })
	if err != nil || i < 0 {
		return nil, refuse(c, errSchema, "Schema "+c.Params("id")+" not found.")
	}
	return all[i], nil
}

func getSchema(c *fiber.Ctx) error {
	r, err := releaseByID(c)
	if r == nil {
		return err
	}
	return reply(c, fiber.StatusOK, fiber.Map{"schema": r.Text})
}

// getUses answers where a schema is used.
func getUses(c *fiber.Ctx) error {
	r, err := releaseByID(c)
	if r == nil {
		return err
	}
	uses := []fiber.Map{}
	for name, all := range subjects {
		if slices.Contains(all, r) {
			uses = append(uses, fiber.Map{"subject": name, "version": r.Version})
		}
	}
	slices.SortFunc(uses, func(a, b fiber.Map) int {
		if a["subject"].(string) < b["subject"].(string) {
			return -1
		}
		return 1
	})
	return reply(c, fiber.StatusOK, uses)
}
