package docs_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	swaggest "github.com/swaggest/openapi-go"

	"github.com/echo-users/echo-users/adapters/echo4"
	"github.com/echo-users/echo-users/authn"
	"github.com/echo-users/echo-users/routes"
	"github.com/echo-users/echo-users/routes/openapi"
	"github.com/echo-users/echo-users/routes/swaggerui"
)

func mountDocumented(e *echo.Echo, users *authn.Users[*AppUser]) error {
	factory, err := routes.New(users, routes.Config[*AppUser]{})
	if err != nil {
		return err
	}
	echo4.Mount(e, factory.All())
	doc, err := openapi.New(factory, openapi.Config{Title: "Shop"})
	if err != nil {
		return err
	}
	if err := mountOrders(e, users, doc); err != nil {
		return err
	}
	echo4.Mount(e, doc.Routes())       // /openapi.json
	echo4.Mount(e, swaggerui.Routes()) // /docs
	return nil
}

// Order is what the shop answers with.
type Order struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
}

// OrderPath is what is in an order's path.
type OrderPath struct {
	ID int64 `path:"id"`
}

func mountOrders(e *echo.Echo, users *authn.Users[*AppUser], doc *openapi.Document) error {
	active := users.CurrentUser(authn.Active)
	e.GET("/orders/:id", echo4.Handle(active, showOrder))

	op, err := doc.Operation(http.MethodGet, "/orders/{id}", active)
	if err != nil {
		return err
	}
	op.SetSummary("An order")
	op.SetTags("orders")
	op.AddReqStructure(new(OrderPath))
	op.AddRespStructure(new(Order), swaggest.WithHTTPStatus(http.StatusOK))
	return doc.AddOperation(op)
}

func showOrder(c echo.Context, _ *AppUser) error {
	return c.JSON(http.StatusOK, Order{ID: 1, Title: "Tea"})
}

func TestTheDocumentOfThePage(t *testing.T) {
	e := echo.New()
	if err := mountDocumented(e, newAppUsers(t)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/openapi.json": `"/orders/{id}"`, "/docs": "swagger-ui"} {
		if got := get(e, path, ""); !strings.HasPrefix(got, "200 ") || !strings.Contains(got, want) {
			t.Errorf("%s: %.200s", path, got)
		}
	}
}
